/**
 * Commands that look into the data or change it. There are two kinds:
 *
 * - A `BrokerCommand` works on a broker, wherever that is: in the process that serves the data
 *   directory, which is reached over its control socket, or else in this one, which opens the
 *   directory for that moment. What it needs from the place where it was typed, a file or standard
 *   input, is read there and travels with the order.
 * - A `FileCommand` reads the files themselves, and is refused while a process serves them.
 *
 * Their arguments are their own; where the data is, configuration says.
 */
import type { Broker } from '../../engine/broker.ts';
import type { Config } from '../config.ts';

/** What every command has. */
interface CommandShape {
  readonly name: string;
  /** What follows the name, for help: words in capitals, and options. */
  readonly usage: string;
  readonly summary: string;
  /** How many words it takes. */
  readonly words: readonly [least: number, most: number];
  /** Its options, and how many values each takes. */
  readonly options: Readonly<Record<string, number>>;
}

/** What a command gets where it was typed. */
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

/** What was typed, and the secret that was read for it. Travels to a serving process as JSON. */
export interface Order {
  readonly command: string;
  readonly words: readonly string[];
  readonly options: Readonly<Record<string, readonly string[]>>;
  /** A password, or the secret of a key. */
  readonly secret?: string | undefined;
}

/** What is known where the work is done. */
export interface WorkFacts {
  readonly config: Config;
  readonly version: string;
  /** Makes a data directory of what is in the store. @throws Error; nothing is left of it then */
  readonly backup: (directory: string) => Promise<void>;
}

/** What the work has to say. */
export interface Outcome {
  /** For standard output. */
  readonly output: string;
  /** What an operator should know besides, for standard error: one sentence. */
  readonly note?: string | undefined;
}

/** A command that works on a broker. */
export interface BrokerCommand extends CommandShape {
  /** It may take as long as it takes; others are answered within a minute, or not at all. */
  readonly isLong?: true;
  /** The words as they are to travel: a path means what it means where it was typed. */
  readonly placeWords?: (words: readonly string[]) => readonly string[];
  /** Reads the secret that the work needs. @throws CommandError */
  readonly readSecret?: (context: CommandContext) => Promise<string | undefined>;
  /**
   * Does it. What it changed is durable with `broker.ticket` as of its end.
   * @throws CommandError; nothing was changed then
   */
  readonly work: (broker: Broker, order: Order, facts: WorkFacts) => Outcome | Promise<Outcome>;
  /** Takes the output where it was asked for. Without: to standard output. @throws CommandError */
  readonly deliver?: (context: CommandContext, output: string) => Promise<void>;
}

/** A command that reads the files of a stopped broker. */
export interface FileCommand extends CommandShape {
  /** Returns the exit code. @throws CommandError */
  readonly run: (context: CommandContext) => Promise<number>;
}

export type AdminCommand = BrokerCommand | FileCommand;

/** What an operator did wrong or must do first; one sentence. */
export class CommandError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'CommandError';
  }
}

/** The outcome of a change that has nothing to say. */
export const DONE: Outcome = { output: '' };

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
export function parseArguments(command: AdminCommand, argv: readonly string[]): CommandArguments {
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
export function usageText(command: AdminCommand): string {
  const usage = command.usage === '' ? '' : ` ${command.usage}`;
  return `usage: tributary ${command.name}${usage} [--data-dir DIR] [--config FILE]`;
}

/** The one value of an option that was given. */
export function valueOf(order: Order, option: string): string | undefined {
  return order.options[option]?.[0];
}
