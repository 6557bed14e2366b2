import { stdin, stdout } from 'node:process';
import { ConfigError, loadConfig } from '../config-loader.ts';
import { CHECK, DUMP } from './data-commands.ts';
import { EXPORT_DEFINITIONS } from './definitions-commands.ts';
import {
  type CommandArguments,
  type OfflineCommand,
  parseArguments,
  usageText,
} from './command.ts';
import { KEY } from './key-commands.ts';
import {
  ADD_USER,
  CHANGE_PASSWORD,
  DELETE_USER,
  LIST_USERS,
  SET_PERMISSIONS,
} from './user-commands.ts';
import { ADD_VHOST } from './vhost-commands.ts';

/** Every command for a stopped broker, in the order of the help. */
export const OFFLINE_COMMANDS: readonly OfflineCommand[] = [
  ADD_USER,
  CHANGE_PASSWORD,
  DELETE_USER,
  LIST_USERS,
  ADD_VHOST,
  SET_PERMISSIONS,
  KEY,
  EXPORT_DEFINITIONS,
  CHECK,
  DUMP,
];

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
export async function runOfflineCommand(
  argv: readonly string[],
  ports: CommandPorts,
): Promise<number | undefined> {
  const [name, ...rest] = argv;
  const command = OFFLINE_COMMANDS.find((candidate) => candidate.name === name);
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

function run(
  command: OfflineCommand,
  { words, options }: CommandArguments,
  ports: CommandPorts,
): Promise<number> {
  const directory = options.get('data-dir');
  const { config } = loadConfig({
    flags: new Map(directory === undefined ? [] : [['data-dir', directory[0]]]),
    environment: ports.environment,
    file: options.get('config')?.[0],
  });
  return command.run({
    config,
    version: ports.version,
    words,
    option: (name) => options.get(name),
    write: ports.write,
    readInput: ports.readInput,
  });
}

/**
 * Writes to standard output and waits for room, so that a slow reader costs no memory. A reader
 * that has gone (`| head`) ends the process: nobody wants the rest.
 */
export function writeOutput(text: string): Promise<void> {
  return new Promise((resolve) => {
    stdout.write(text, (error) => {
      if (error == null) resolve();
      else process.exit(0);
    });
  });
}

/** Reads standard input to its end. */
export async function readInput(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
