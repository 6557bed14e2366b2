/**
 * Message ids: decimal text of 64 bits, the same on every wire.
 *
 *      63        54        42       34                          2    0
 *     +-----------+---------+--------+---------------------------+----+
 *     | boot mod  | queue   | level  | sequence mod 2^32         |kind|
 *     +-----------+---------+--------+---------------------------+----+
 *
 * An entry has one by its place (READY_KIND: queue, level, sequence), for nothing. A message that
 * leaves its place takes the id along in the header `x-msg-id`: out of a delay, back from the
 * rewind window, into a dead-letter queue, through a topic (TOPIC_KIND, a counter of the process).
 * Its format says so: a publisher may write that header, too, and is not believed.
 */
import type { FieldTable } from '../../base/field-value.ts';
import type { QueueId } from '../ports.ts';
import { ID_EPOCH_FACTOR, IDS_PER_QUEUE } from './store-ids.ts';

/** The header that carries a message's id when it is not told by its place. */
export const MESSAGE_ID_HEADER = 'x-msg-id';

export const READY_KIND = 0;
export const DELAYED_KIND = 1;
export const TOPIC_KIND = 2;

const SEQUENCE_MODULUS = 2 ** 32;
const ID = /^\d{1,20}$/;

/** The place an id tells, as far as 64 bits can. */
export interface MessagePlace {
  readonly kind: number;
  readonly level: number;
  /** Modulo 2^32. */
  readonly sequence: number;
}

/** The id of the entry that lies, or lay first, at that place of a queue. */
export function placeId(queueId: QueueId, kind: number, level: number, sequence: number): string {
  const epoch = Math.floor(queueId / ID_EPOCH_FACTOR) & 0x3ff;
  const counter = Math.floor((queueId % ID_EPOCH_FACTOR) / IDS_PER_QUEUE) & 0xfff;
  const high = (epoch * 0x1000 + counter) * 0x100 + level;
  const low = BigInt(sequence % SEQUENCE_MODULUS) * 4n + BigInt(kind);
  return ((BigInt(high) << 34n) | low).toString();
}

/** The id of a message published to a topic: number `counter` of boot `epoch`. */
export function topicMessageId(epoch: number, counter: number): string {
  return placeId((epoch & 0x3ff) * ID_EPOCH_FACTOR, TOPIC_KIND, 0, counter);
}

/** The place an id tells when it is of this queue; undefined when it is another's or no id. */
export function placeOf(queueId: QueueId, id: string): MessagePlace | undefined {
  if (!ID.test(id)) return undefined;
  const value = BigInt(id);
  const kind = Number(value & 3n);
  const level = Number((value >> 34n) & 0xffn);
  const sequence = Number((value >> 2n) & 0xffffffffn);
  return placeId(queueId, kind, level, sequence) === id ? { kind, level, sequence } : undefined;
}

/** The id in the headers of a message that carries one (`Message.isNamed`). */
export function carriedId(headers: FieldTable | undefined): string | undefined {
  const id = headers?.get(MESSAGE_ID_HEADER);
  return typeof id === 'string' && ID.test(id) ? id : undefined;
}
