/**
 * Retained messages of one vhost: the last one of each topic, found by exact name or by filter.
 *
 * A tree by topic level, so that a filter costs what it matches: `a/+/c` looks at the children of
 * `a` only. Each is one persisted definition; expired ones are dropped when they are met.
 */
import { RETAINED_BYTES_MAX, RETAINED_MESSAGES_MAX } from '../../base/limits.ts';
import { definitionKey } from '../definitions.ts';
import type { Json } from '../definitions.ts';
import { Message } from '../message.ts';
import type { Store } from '../ports.ts';

interface Level {
  readonly children: Map<string, Level>;
  message: Message | undefined;
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

  constructor(vhostName: string, store: Store) {
    this.#vhostName = vhostName;
    this.#store = store;
    this.#root = { children: new Map(), message: undefined };
    this.#count = 0;
    this.#bytes = 0;
  }

  get count(): number {
    return this.#count;
  }

  /** Bytes of headers and bodies. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Keeps `message` for `topic`; false when a limit forbids one more. */
  set(topic: string, message: Message): boolean {
    const size = message.headerBytes + message.bodyBytes;
    const level = this.#level(topic);
    const oldSize = sizeOf(level.message);
    const isFull = level.message === undefined && this.#count >= RETAINED_MESSAGES_MAX;
    if (isFull || this.#bytes - oldSize + size > RETAINED_BYTES_MAX) {
      this.#prune(topic);
      return false;
    }
    this.#put(level, message);
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
    this.#prune(topic);
    this.#store.undefine('retained', this.#key(topic));
  }

  /** Puts a persisted one back. */
  restore(topic: string, value: Json): void {
    this.#put(this.#level(topic), fromRow(value as unknown as RetainedRow));
  }

  /** Topics and messages a filter matches and that have not expired, in no particular order. */
  match(topicFilter: string, nowMs: number): [topic: string, message: Message][] {
    const found: [string, Message][] = [];
    walk(this.#root, topicFilter.split('/'), 0, '', found);
    const live: [string, Message][] = [];
    for (const pair of found) {
      if (isExpired(pair[1], nowMs)) this.clear(pair[0]);
      else live.push(pair);
    }
    return live;
  }

  #put(level: Level, message: Message): void {
    if (level.message === undefined) this.#count += 1;
    this.#bytes += sizeOf(message) - sizeOf(level.message);
    level.message = message;
  }

  #level(topic: string): Level {
    let level = this.#root;
    for (const word of topic.split('/')) {
      let child = level.children.get(word);
      if (child === undefined) {
        child = { children: new Map(), message: undefined };
        level.children.set(word, child);
      }
      level = child;
    }
    return level;
  }

  #find(topic: string): Level | undefined {
    let level: Level | undefined = this.#root;
    for (const word of topic.split('/')) level = level?.children.get(word);
    return level;
  }

  /** Removes the levels of a topic that hold nothing any more. */
  #prune(topic: string): void {
    const path: [Level, string][] = [];
    let level: Level | undefined = this.#root;
    for (const word of topic.split('/')) {
      if (level === undefined) return;
      path.push([level, word]);
      level = level.children.get(word);
    }
    for (let index = path.length - 1; index >= 0; index -= 1) {
      const [parent, word] = path[index]!;
      const child = parent.children.get(word);
      if (child === undefined || child.message !== undefined || child.children.size > 0) return;
      parent.children.delete(word);
    }
  }

  #key(topic: string): string {
    return definitionKey(this.#vhostName, topic);
  }
}

function walk(
  level: Level,
  words: readonly string[],
  index: number,
  topic: string,
  found: [string, Message][],
): void {
  if (index === words.length) {
    if (level.message !== undefined) found.push([topic.slice(1), level.message]);
    return;
  }
  const word = words[index]!;
  if (word === '#') {
    collect(level, index, topic, found);
    return;
  }
  if (word !== '+') {
    const child = level.children.get(word);
    if (child !== undefined) walk(child, words, index + 1, `${topic}/${word}`, found);
    return;
  }
  for (const [name, child] of level.children) {
    if (index === 0 && name.startsWith('$')) continue;
    walk(child, words, index + 1, `${topic}/${name}`, found);
  }
}

/** Everything at and below `level`; `a/#` matches `a` too. */
function collect(level: Level, depth: number, topic: string, found: [string, Message][]): void {
  if (level.message !== undefined) found.push([topic.slice(1), level.message]);
  for (const [name, child] of level.children) {
    if (depth === 0 && name.startsWith('$')) continue;
    collect(child, depth + 1, `${topic}/${name}`, found);
  }
}

function sizeOf(message: Message | undefined): number {
  return message === undefined ? 0 : message.headerBytes + message.bodyBytes;
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
