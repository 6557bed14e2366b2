import { Command, CommanderError, Option as Flag } from 'commander';
import type { AdminCommand } from './commands/command.ts';
import { ADMIN_COMMANDS, BROKER_COMMANDS, FILE_COMMANDS } from './commands/command-list.ts';
import { ConfigError, suggest } from './config-loader.ts';
import { formatHelpItem } from './help-format.ts';
import { OPTION_KEYS, type OptionKey, optionOf } from './options.ts';
import { camelCase } from './config.ts';

/** What the process was asked to do. */
export interface CommandLine {
  readonly command: 'serve' | 'check-config' | 'exit';
  /** Values of the flags that were given, by option key. */
  readonly flags: ReadonlyMap<OptionKey, unknown>;
  readonly file: string | undefined;
}

const COMMANDS = ['serve', 'check-config'] as const;
const ADMIN_NAMES: readonly string[] = ADMIN_COMMANDS.map(({ name }) => name);
const DESCRIPTION = `Message broker: AMQP 0-9-1, MQTT and STOMP clients, CMQ over HTTP, durable
queues and topics on SQLite.

Commands:
  serve         serve clients until SIGTERM (the default)
  check-config  print the effective configuration; exit code 0 when it is sound

Commands on a running server or a stopped data directory (--help after one
tells more):
${listCommands(BROKER_COMMANDS)}

Commands on a stopped data directory:
${listCommands(FILE_COMMANDS)}

Every option is also an environment variable (TRIBUTARY_AMQP_PORT) and a key
of the configuration file (amqp-port). A flag wins over the environment, and
that over the file.`;

function listCommands(commands: readonly AdminCommand[]): string {
  return commands.map(({ name, summary }) => `  ${name.padEnd(20)}${summary}`).join('\n');
}

/**
 * Reads the arguments after the program's name. Help and version are printed here.
 *
 * @throws ConfigError with every unknown flag and word
 */
export function parseCommandLine(argv: readonly string[], version: string): CommandLine {
  const program = makeProgram(version);
  try {
    program.parse(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return { command: 'exit', flags: new Map(), file: undefined };
    throw new ConfigError([error.message.replace(/^error: /, '')]);
  }
  const [word = 'serve', ...rest] = program.args;
  if (word === 'help') {
    program.outputHelp();
    return { command: 'exit', flags: new Map(), file: undefined };
  }
  const command = COMMANDS.find((name) => name === word);
  const unknown = command === undefined ? program.args : rest;
  if (unknown.length > 0 || command === undefined) throw new ConfigError(describeAll(unknown));
  return { command, ...readFlags(program) };
}

function makeProgram(version: string): Command {
  const program = new Command('tributary')
    .description(DESCRIPTION)
    .usage('[command] [options]')
    .version(version, '-V, --version', 'print the version and exit')
    .argument('[command...]')
    .helpOption('-h, --help', 'print this and exit')
    .allowUnknownOption()
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  program.configureHelp({ formatItem: formatHelpItem });
  program.addOption(new Flag('-c, --config <file>', 'configuration file, .toml or .conf'));
  for (const key of OPTION_KEYS) {
    const { type, doc, group, default: text } = optionOf(key);
    const shown = text === '' ? '' : ` (default ${text})`;
    const flag = new Flag(`--${key} <${type.hint}>`, `${doc.replaceAll('`', '')}${shown}`);
    flag.helpGroup(`${group}:`);
    if (type.isList)
      flag.argParser<unknown[] | undefined>((value, earlier) => [...(earlier ?? []), value]);
    program.addOption(flag);
  }
  return program;
}

function readFlags(program: Command): Pick<CommandLine, 'flags' | 'file'> {
  const given = program.opts<Record<string, unknown>>();
  const flags = new Map<OptionKey, unknown>();
  for (const key of OPTION_KEYS) {
    const raw = given[camelCase(key)];
    if (raw !== undefined) flags.set(key, raw);
  }
  return { flags, file: given['config'] as string | undefined };
}

function describeAll(words: readonly string[]): readonly string[] {
  const late = words.find((word) => ADMIN_NAMES.includes(word));
  if (late === undefined) return words.filter((_, at) => !isValue(words, at)).map(describe);
  return [`${late}: comes first: tributary ${late} ...`];
}

/** What follows an option that does not exist is likely its value. */
function isValue(words: readonly string[], at: number): boolean {
  const before = words[at - 1] ?? '';
  return before.startsWith('--') && !before.includes('=') && !words[at]!.startsWith('-');
}

function describe(word: string): string {
  const [name = ''] = word.split('=');
  if (!name.startsWith('-')) {
    return `${name}: no such command${suggest(name, [...COMMANDS, ...ADMIN_NAMES])}`;
  }
  const names = ['--config', '--help', '--version', ...OPTION_KEYS.map((key) => `--${key}`)];
  return `${name}: no such option${suggest(name, names)}`;
}
