/**
 * Commands for a stopped broker: they open the data directory themselves, and are refused while a
 * process serves it. Their arguments are their own; where the data is, configuration says.
 */
import type { Config } from '../config.ts';

/** What a command gets. */
export interface CommandContext {
  readonly config: Config;
  readonly version: string;
  /** What stands beside the options. */
  readonly words: readonly string[];
  /** Values of an option that was given. */
  option(name: string): readonly string[] | undefined;
  /** Writes to standard output; resolves when there is room for more. */
  write(text: string): Promise<void>;
  /** Standard input to its end. */
  readInput(): Promise<string>;
}

/** One command. */
export interface OfflineCommand {
  readonly name: string;
  /** What follows the name, for help: words in capitals, and options. */
  readonly usage: string;
  readonly summary: string;
  /** How many words it takes. */
  readonly words: readonly [least: number, most: number];
  /** Its options, and how many values each takes. */
  readonly options: Readonly<Record<string, number>>;
  /** Returns the exit code. @throws CommandError */
  run(context: CommandContext): Promise<number>;
}

/** What an operator did wrong or must do first; one sentence. */
export class CommandError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'CommandError';
  }
}

/** Options that every command has. */
const COMMON_OPTIONS: Readonly<Record<string, number>> = { 'data-dir': 1, config: 1 };

export interface CommandArguments {
  readonly words: readonly string[];
  readonly options: ReadonlyMap<string, readonly string[]>;
}

/**
 * Reads `--name value`, `--name=value` and words in any order; after `--` come only words.
 *
 * @throws CommandError for what the command does not take
 */
export function parseArguments(command: OfflineCommand, argv: readonly string[]): CommandArguments {
  const words: string[] = [];
  const options = new Map<string, readonly string[]>();
  const end = argv.includes('--') ? argv.indexOf('--') : argv.length;
  for (let at = 0; at < end; at += 1) {
    const text = argv[at]!;
    if (!text.startsWith('--')) {
      words.push(text);
      continue;
    }
    const [, name = '', inline] = /^--([^=]*)(?:=([^]*))?$/.exec(text) ?? [];
    const count = { ...COMMON_OPTIONS, ...command.options }[name];
    if (count === undefined) throw new CommandError(`--${name}: no such option of ${command.name}`);
    if (options.has(name)) throw new CommandError(`--${name}: given twice`);
    const values = inline === undefined ? argv.slice(at + 1, at + 1 + count) : [inline];
    if (values.length !== count) {
      throw new CommandError(`--${name}: takes ${count === 1 ? 'a value' : `${count} values`}`);
    }
    options.set(name, values);
    at += inline === undefined ? count : 0;
  }
  words.push(...argv.slice(end + 1));
  const [least, most] = command.words;
  if (words.length < least || words.length > most) throw new CommandError(usageText(command));
  return { words, options };
}

/** `usage: tributary add-user NAME ...`. */
export function usageText(command: OfflineCommand): string {
  return `usage: tributary ${command.name} ${command.usage} [--data-dir DIR] [--config FILE]`;
}
