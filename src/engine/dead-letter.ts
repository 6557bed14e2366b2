/**
 * Dead-lettering: what a dead message's header says, and where it may go.
 *
 * The record is RabbitMQ's: `x-death` is an array of tables, newest first, one per (queue, reason),
 * with a count and the time of the first such death; `x-first-death-*` never change,
 * `x-last-death-*` always do. The rest of the header passes through byte for byte. Only the record
 * of this gateway counts, which the message's format tells: what a client wrote under these names
 * is shown to consumers, and replaced at the first death (RabbitMQ 4).
 *
 * Cycles: a message that died only of automatic reasons since it was last in queue Q is not routed
 * to Q again; a consumer's reject anywhere on the way breaks the cycle (RabbitMQ, dlx docs).
 */
import type { FieldTable, FieldValue } from '../base/field-value.ts';
import { isTable } from '../base/field-value.ts';
import { FORMAT_AMQP_DEAD, FORMAT_BLIND, FORMAT_NAMED, type Message } from './message.ts';
import { copyMessage } from './message-copy.ts';
import type { MessageFormat } from './ports.ts';
import type { DeathReason } from './queue/queue.ts';

/** Where and why a message died. */
export interface Death {
  readonly queue: string;
  readonly reason: DeathReason;
  readonly atMs: number;
}

/** What a hand-over told its consumer: of the queue the message leaves (RabbitMQ shows none). */
const HAND_OVER_COUNTS = ['x-acquired-count', 'x-delivery-count'];

/** The extra routing keys of a message's CC header, or of the one that nobody may see. */
export function carbonCopies(headers: FieldTable | undefined, name: 'CC' | 'BCC' = 'CC'): string[] {
  const value = headers?.get(name);
  if (!Array.isArray(value)) return [];
  return value.filter((key): key is string => typeof key === 'string');
}

/** The deaths a message died so far, newest first: nothing of what a client made up. */
export function recordedDeaths(
  message: Message,
  headers: FieldTable | undefined,
): readonly FieldTable[] {
  if (!message.isDeadLetter) return [];
  const value = headers?.get('x-death');
  if (!Array.isArray(value)) return [];
  return value.filter((death): death is FieldTable => isTable(death as FieldValue));
}

/**
 * True when an earlier death gave the message another key: its CC and BCC route no more then, and
 * no record names them. The newest record has the keys from before that death.
 */
export function isRekeyed(message: Message, headers: FieldTable | undefined): boolean {
  const keys = recordedDeaths(message, headers)[0]?.get('routing-keys');
  if (!Array.isArray(keys)) return false;
  return keys[0] !== message.routingKey || keys.length <= carbonCopies(headers).length;
}

/** The keys a message is routed by again, or was at its death: its own, and those of CC. */
export function keysOf(message: Message, headers: FieldTable | undefined): readonly string[] {
  const { routingKey } = message;
  return isRekeyed(message, headers) ? [routingKey] : [routingKey, ...carbonCopies(headers)];
}

/** True when routing the dead message to `queue` again would only repeat how it died. */
export function isCycle(
  deaths: readonly FieldTable[],
  reason: DeathReason,
  queue: string,
  lastQueue: string,
): boolean {
  if (reason === 'rejected') return false;
  return queue === lastQueue || diedIn(deaths, queue);
}

/** True when a message died in `queue` of automatic reasons since it was last rejected. */
export function diedIn(deaths: readonly FieldTable[], queue: string): boolean {
  for (const death of deaths) {
    if (death.get('reason') === 'rejected') return false;
    if (death.get('queue') === queue) return true;
  }
  return false;
}

/**
 * The message as it is published to the dead-letter exchange.
 *
 * @param routingKeyOverride `x-dead-letter-routing-key`; a CC header stays then, as in RabbitMQ
 *   4.3.6, and is not routed by
 */
export function buildDeadLetter(
  message: Message,
  format: MessageFormat,
  death: Death,
  exchange: string,
  routingKeyOverride: string | undefined,
): Message {
  const headers = format.headers(message);
  const expiration = format.properties(message).expiration;
  const edit = {
    set: deathHeaders(message, headers, expiration, death),
    remove: HAND_OVER_COUNTS,
    removeExpiration: true,
  };
  return copyMessage(message, {
    header: format.edit(message, edit),
    exchange,
    routingKey: routingKeyOverride ?? message.routingKey,
    format: FORMAT_AMQP_DEAD | (message.format & (FORMAT_NAMED | FORMAT_BLIND)),
    expirationMs: -1,
    publishedAtMs: death.atMs,
  });
}

function deathHeaders(
  message: Message,
  headers: FieldTable | undefined,
  expiration: string | undefined,
  death: Death,
): Map<string, FieldValue> {
  const set = new Map<string, FieldValue>();
  const deaths = recordedDeaths(message, headers);
  set.set('x-death', updatedDeaths(message, deaths, headers, expiration, death));
  if (deaths.length === 0) {
    set.set('x-first-death-exchange', message.exchange);
    set.set('x-first-death-queue', death.queue);
    set.set('x-first-death-reason', death.reason);
  }
  set.set('x-last-death-exchange', message.exchange);
  set.set('x-last-death-queue', death.queue);
  set.set('x-last-death-reason', death.reason);
  return set;
}

function updatedDeaths(
  message: Message,
  deaths: readonly FieldTable[],
  headers: FieldTable | undefined,
  expiration: string | undefined,
  death: Death,
): FieldValue[] {
  const rows = deaths.map(withLongCount);
  const known = rows.findIndex(
    (row) => row.get('queue') === death.queue && row.get('reason') === death.reason,
  );
  if (known >= 0) {
    const again = new Map(rows[known]);
    const count = again.get('count');
    again.set('count', typeof count === 'bigint' ? count + 1n : 1n);
    return [again, ...rows.slice(0, known), ...rows.slice(known + 1)];
  }
  const fresh = new Map<string, FieldValue>([
    ['count', 1n],
    ['reason', death.reason],
    ['queue', death.queue],
    ['time', { kind: 'timestamp', value: Math.floor(death.atMs / 1000) }],
    ['exchange', message.exchange],
    ['routing-keys', [...keysOf(message, headers)]],
  ]);
  if (expiration !== undefined) fresh.set('original-expiration', expiration);
  return [fresh, ...rows];
}

/** The record with its count as a long, whose width reading it has lost: Java clients cast it. */
function withLongCount(row: FieldTable): FieldTable {
  const count = row.get('count');
  return typeof count === 'number' ? new Map(row).set('count', BigInt(count)) : row;
}
