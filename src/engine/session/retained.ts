/**
 * Retained messages of one vhost: the last one of each topic, found by exact name or by filter.
 *
 * A tree by topic level, so that a filter costs what it matches: `a/+/c` looks at the children of
 * `a` only. Each is one persisted definition; expired ones are dropped when they are met.
 *
 * A topic has up to 65,536 levels: the tree is walked without recursion, and the levels are bounded
 * besides the messages. At a limit the expired are looked for, a part of the tree at each attempt.
 */
import {
  RETAINED_BYTES_MAX,
  RETAINED_LEVELS_MAX,
  RETAINED_MESSAGES_MAX,
} from '../../base/limits.ts';
import { ownText } from '../../base/own-text.ts';
import { definitionKey } from '../definitions.ts';
import type { Json } from '../definitions.ts';
import { Message } from '../message.ts';
import type { Store } from '../ports.ts';

/** Levels looked at for expired messages by one attempt that finds no room: some 100 us. */
const SWEEP_LEVELS = 1_000;

interface Level {
  /** Made with the first level below. */
  children: Map<string, Level> | undefined;
  /** What the topic that ends here retains. */
  message: Message | undefined;
  /** That topic; '' while nothing is retained. */
  topic: string;
}

/** Levels still to be looked at. */
interface Step {
  readonly levels: Iterator<Level>;
  /** Words of the filter, or levels below a `#`, that led there. */
  readonly depth: number;
  /** Below a `#`: everything matches. */
  readonly isAny: boolean;
}

interface RetainedRow {
  readonly exchange: string;
  readonly routingKey: string;
  readonly format: number;
  readonly headerBytes: number;
  readonly bytes: string;
  readonly isPersistent: boolean;
  readonly expirationMs: number;
  readonly publishedAtMs: number;
}

export class RetainedMessages {
  readonly #vhostName: string;
  readonly #store: Store;
  readonly #root: Level;
  #count: number;
  #bytes: number;
  #levelCount: number;
  /** Where the look for expired messages goes on. */
  #sweep: Generator<Level> | undefined;

  constructor(vhostName: string, store: Store) {
    this.#vhostName = vhostName;
    this.#store = store;
    this.#root = newLevel();
    this.#count = 0;
    this.#bytes = 0;
    this.#levelCount = 0;
    this.#sweep = undefined;
  }

  get count(): number {
    return this.#count;
  }

  /** Bytes of headers and bodies. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Whether `message` can be kept for `topic` now, in place of what is there.
   *
   * Each attempt that finds no room makes some by what has expired: the next may find it.
   */
  hasRoom(topic: string, message: Message): boolean {
    if (this.#fits(topic, message.byteCount)) return true;
    this.#dropExpired(message.publishedAtMs);
    return this.#fits(topic, message.byteCount);
  }

  /** Keeps `message` for `topic`; false when a limit forbids one more, and what was there stays. */
  set(topic: string, message: Message): boolean {
    if (!this.hasRoom(topic, message)) return false;
    this.#put(this.#level(topic), topic, message);
    this.#store.define('retained', this.#key(topic), JSON.stringify(toRow(message)));
    return true;
  }

  /** Forgets what a topic retains; missing is fine. */
  clear(topic: string): void {
    const level = this.#find(topic);
    if (level?.message === undefined) return;
    this.#count -= 1;
    this.#bytes -= sizeOf(level.message);
    level.message = undefined;
    level.topic = '';
    this.#prune(topic);
    this.#store.undefine('retained', this.#key(topic));
  }

  /** Puts a persisted one back. */
  restore(topic: string, value: Json): void {
    this.#put(this.#level(topic), topic, fromRow(value as unknown as RetainedRow));
  }

  /** Topics and messages a filter matches and that have not expired, in no particular order. */
  match(topicFilter: string, nowMs: number): [topic: string, message: Message][] {
    return [...this.walk(topicFilter, () => nowMs)];
  }

  /**
   * The same one after the other, whatever is set and cleared meanwhile: a walk that rests holds
   * next to nothing.
   */
  *walk(topicFilter: string, nowMs: () => number): Generator<[topic: string, message: Message]> {
    for (const { topic, message } of matching(this.#root, topicFilter.split('/'))) {
      if (message === undefined) continue;
      if (isExpired(message, nowMs())) this.clear(topic);
      else yield [topic, message];
    }
  }

  #fits(topic: string, byteCount: number): boolean {
    let level: Level | undefined = this.#root;
    let newLevels = 0;
    for (const word of topic.split('/')) {
      level = level?.children?.get(word);
      if (level === undefined) newLevels += 1;
    }
    const old = level?.message;
    if (this.#bytes - sizeOf(old) + byteCount > RETAINED_BYTES_MAX) return false;
    if (old !== undefined) return true;
    return (
      this.#count < RETAINED_MESSAGES_MAX && this.#levelCount + newLevels <= RETAINED_LEVELS_MAX
    );
  }

  #dropExpired(nowMs: number): void {
    this.#sweep ??= matching(this.#root, ['#']);
    for (let left = SWEEP_LEVELS; left > 0; left -= 1) {
      const { value: level, done } = this.#sweep.next();
      if (done === true) {
        this.#sweep = undefined;
        return;
      }
      if (level.message !== undefined && isExpired(level.message, nowMs)) this.clear(level.topic);
    }
  }

  #put(level: Level, topic: string, message: Message): void {
    if (level.message === undefined) this.#count += 1;
    this.#bytes += sizeOf(message) - sizeOf(level.message);
    level.message = message;
    level.topic = topic;
  }

  #level(topic: string): Level {
    let level = this.#root;
    for (const word of topic.split('/')) {
      const children = (level.children ??= new Map());
      let child = children.get(word);
      if (child === undefined) {
        child = newLevel();
        // It may outlive the topic, of up to 64 KiB, that was the first to come by.
        children.set(ownText(word), child);
        this.#levelCount += 1;
      }
      level = child;
    }
    return level;
  }

  #find(topic: string): Level | undefined {
    let level: Level | undefined = this.#root;
    for (const word of topic.split('/')) level = level?.children?.get(word);
    return level;
  }

  /** Removes the levels of a topic that hold nothing any more. */
  #prune(topic: string): void {
    const path: [Level, string][] = [];
    let level: Level | undefined = this.#root;
    for (const word of topic.split('/')) {
      if (level === undefined) return;
      path.push([level, word]);
      level = level.children?.get(word);
    }
    for (let index = path.length - 1; index >= 0; index -= 1) {
      const [parent, word] = path[index]!;
      const child = parent.children?.get(word);
      if (child === undefined || child.message !== undefined || child.children !== undefined)
        return;
      parent.children?.delete(word);
      if (parent.children?.size === 0) parent.children = undefined;
      this.#levelCount -= 1;
    }
  }

  #key(topic: string): string {
    return definitionKey(this.#vhostName, topic);
  }
}

function newLevel(): Level {
  return { children: undefined, message: undefined, topic: '' };
}

/** The levels a filter ends at. One that begins with a wildcard meets no `$` topic. */
function* matching(root: Level, words: readonly string[]): Generator<Level> {
  const steps: Step[] = [{ levels: [root].values(), depth: 0, isAny: false }];
  for (let step = steps.at(-1); step !== undefined; step = steps.at(-1)) {
    const { value: level, done } = step.levels.next();
    if (done === true) {
      steps.pop();
      continue;
    }
    const { depth } = step;
    const word = words[depth];
    // `a/#` matches `a` too.
    const isAny = step.isAny || word === '#';
    const below = isAny || word === '+' ? childrenOf(level, depth) : childAt(level, word);
    steps.push({ levels: below, depth: depth + 1, isAny });
    if (isAny || word === undefined) yield level;
  }
}

function* childrenOf(level: Level, depth: number): Generator<Level> {
  for (const [name, child] of level.children ?? []) {
    if (depth > 0 || !name.startsWith('$')) yield child;
  }
}

function* childAt(level: Level, word: string | undefined): Generator<Level> {
  const child = word === undefined ? undefined : level.children?.get(word);
  if (child !== undefined) yield child;
}

function sizeOf(message: Message | undefined): number {
  return message === undefined ? 0 : message.byteCount;
}

function isExpired(message: Message, nowMs: number): boolean {
  return message.expirationMs >= 0 && message.publishedAtMs + message.expirationMs <= nowMs;
}

function toRow(message: Message): RetainedRow {
  const { exchange, routingKey, format, headerBytes, isPersistent, start } = message;
  const end = start + headerBytes + message.bodyBytes;
  const { expirationMs, publishedAtMs } = message;
  const bytes = message.bytes.toString('base64', start, end);
  return {
    exchange,
    routingKey,
    format,
    headerBytes,
    bytes,
    isPersistent,
    expirationMs,
    publishedAtMs,
  };
}

function fromRow(row: RetainedRow): Message {
  const bytes = Buffer.from(row.bytes, 'base64');
  return new Message(
    row.exchange,
    row.routingKey,
    row.format,
    bytes,
    0,
    row.headerBytes,
    bytes.length - row.headerBytes,
    row.isPersistent,
    -1,
    row.expirationMs,
    row.publishedAtMs,
  );
}
