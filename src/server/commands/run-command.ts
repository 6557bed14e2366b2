/**
 * One command from the command line to its exit code: arguments, configuration, the order, and the
 * place where it is carried out.
 */
import { resolve } from 'node:path';
import { stdin, stdout } from 'node:process';
import { ConfigError, loadConfig } from '../config-loader.ts';
import {
  type AdminCommand,
  type BrokerCommand,
  type CommandArguments,
  type CommandContext,
  type Order,
  type Outcome,
  parseArguments,
  usageText,
} from './command.ts';
import { ADMIN_COMMANDS } from './command-list.ts';
import { sendOrder } from './control-client.ts';
import { withOfflineBroker } from './offline-broker.ts';
import { readHidden } from './terminal-input.ts';

/** What a command may touch of the process; tests pass their own. */
export interface CommandPorts {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly version: string;
  write(text: string): Promise<void>;
  writeError(text: string): void;
  readInput(): Promise<string>;
}

/**
 * Runs the command that `argv` begins with and returns its exit code; undefined when it begins
 * with none. What goes wrong is told on standard error.
 */
export async function runAdminCommand(
  argv: readonly string[],
  ports: CommandPorts,
): Promise<number | undefined> {
  const [name, ...rest] = argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv;
  const command = ADMIN_COMMANDS.find((candidate) => candidate.name === name);
  if (command === undefined) return undefined;
  if (rest.includes('--help') || rest.includes('-h')) {
    await ports.write(`${usageText(command)}\n\n${command.summary}\n`);
    return 0;
  }
  try {
    return await run(command, parseArguments(command, rest), ports);
  } catch (error) {
    const problems = error instanceof ConfigError ? error.problems : [(error as Error).message];
    for (const problem of problems) ports.writeError(`tributary: ${problem}\n`);
    return 1;
  }
}

async function run(
  command: AdminCommand,
  { words, options }: CommandArguments,
  ports: CommandPorts,
): Promise<number> {
  const directory = options.get('data-dir');
  const { config } = loadConfig({
    flags: new Map(directory === undefined ? [] : [['data-dir', directory[0]]]),
    environment: ports.environment,
    file: options.get('config')?.[0],
  });
  const context: CommandContext = {
    config,
    version: ports.version,
    words,
    option: (name) => options.get(name),
    write: ports.write,
    readInput: ports.readInput,
  };
  if ('run' in command) return command.run(context);
  const secret = await command.readSecret?.(context);
  const placed = command.placeWords?.(words) ?? words;
  const order = {
    command: command.name,
    words: placed,
    options: Object.fromEntries(options),
    secret,
  };
  const { output, note } = await carryOut(command, order, context);
  if (command.deliver === undefined) await context.write(output);
  else await command.deliver(context, output);
  if (note !== undefined) ports.writeError(`tributary: ${note}\n`);
  return 0;
}

/** In the process that serves the data, if there is one, else in this one. */
async function carryOut(
  command: BrokerCommand,
  order: Order,
  { config, version }: CommandContext,
): Promise<Outcome> {
  const outcome = await sendOrder(resolve(config.dataDir), order, command.isLong === true);
  if (outcome !== undefined) return outcome;
  return withOfflineBroker(config, (broker, store) => {
    const backup = (directory: string): Promise<void> => store.backup(directory);
    return command.work(broker, order, { config, version, backup });
  });
}

/**
 * Writes to standard output and waits for room, so that a slow reader costs no memory. A reader
 * that has gone (`| head`) ends the process: nobody wants the rest.
 */
export function writeOutput(text: string): Promise<void> {
  return new Promise((done) => {
    stdout.write(text, (error) => {
      if (error == null) done();
      else process.exit(0);
    });
  });
}

/** Reads standard input to its end; at a terminal one line, which is not shown. */
export async function readInput(): Promise<string> {
  if (stdin.isTTY) return readHidden('password: ');
  const chunks: Buffer[] = [];
  for await (const chunk of stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
