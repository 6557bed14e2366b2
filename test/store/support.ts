/** Helpers of the store tests: messages, entries, waiting for tickets, throwaway directories. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Entry, Message } from '../../src/engine/message.ts';
import type { QueueId, Store } from '../../src/engine/ports.ts';

export const EPOCH = 2 ** 32;

/** A queue id as the engine makes them. */
export function queueIdOf(number: number): QueueId {
  return EPOCH + number;
}

export interface MessageFields {
  exchange?: string;
  routingKey?: string;
  header?: string;
  body?: string | Buffer;
  isPersistent?: boolean;
  priority?: number;
  expirationMs?: number;
  publishedAtMs?: number;
  format?: number;
}

/** A message whose bytes stand at an odd place of a larger buffer, as in a slab. */
export function makeMessage(fields: MessageFields = {}): Message {
  const header = Buffer.from(fields.header ?? 'header');
  const body = Buffer.from(fields.body ?? 'body');
  const bytes = Buffer.concat([Buffer.from('???'), header, body, Buffer.from('!!')]);
  return new Message(
    fields.exchange ?? 'exchange',
    fields.routingKey ?? 'key',
    fields.format ?? 0,
    bytes,
    3,
    header.length,
    body.length,
    fields.isPersistent ?? true,
    fields.priority ?? -1,
    fields.expirationMs ?? -1,
    fields.publishedAtMs ?? 1_700_000_000_000,
  );
}

export function makeEntry(sequence: number, fields: MessageFields = {}): Entry {
  return new Entry(makeMessage({ body: `body ${sequence}`, ...fields }), sequence, Infinity);
}

/** Everything of a message that the store must keep, comparable. */
export function describeMessage(message: Message): Record<string, unknown> {
  const { exchange, routingKey, format, isPersistent, priority } = message;
  const { expirationMs, publishedAtMs } = message;
  const bodyAt = message.start + message.headerBytes;
  return {
    exchange,
    routingKey,
    format,
    isPersistent,
    priority,
    expirationMs,
    publishedAtMs,
    header: message.bytes.toString('latin1', message.start, bodyAt),
    body: message.bytes.toString('latin1', bodyAt, bodyAt + message.bodyBytes),
  };
}

/** Commits what is buffered and waits for it. */
export async function commit(store: Store): Promise<void> {
  const { ticket } = store;
  if (store.committedTicket >= ticket) return;
  const previous = store.onCommitted;
  await new Promise<void>((resolve, reject) => {
    store.onFailure = reject;
    store.onCommitted = (committed) => {
      previous(committed);
      if (committed < ticket) return;
      store.onCommitted = previous;
      resolve();
    };
    store.commit(false);
  });
}

/** `Store.read` as a promise. */
export function read(
  store: Store,
  queueId: QueueId,
  from = 1,
  maxCount = 1000,
  maxBytes = 1e9,
): Promise<{ entries: Entry[]; end: number }> {
  return new Promise((resolve) => {
    store.read(queueId, from, maxCount, maxBytes, (entries, end) => resolve({ entries, end }));
  });
}

/** Reads a queue to its end in steps, as a queue would. */
export async function readAll(store: Store, queueId: QueueId, step = 100): Promise<Entry[]> {
  const all: Entry[] = [];
  let from = 1;
  while (store.firstLive(queueId, from) !== Infinity) {
    const { entries, end } = await read(store, queueId, from, step);
    all.push(...entries);
    if (end === from) break;
    from = end;
  }
  return all;
}

/** Sequences of entries. */
export function sequencesOf(entries: readonly Entry[]): number[] {
  return entries.map((entry) => entry.sequence);
}

/** A directory for one test, and its removal. */
export function temporaryDirectory(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'tributary-store-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
