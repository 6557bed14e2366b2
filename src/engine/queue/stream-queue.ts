/**
 * The queue that keeps what is read: an append-only log with a cursor per consumer.
 *
 *      #firstSequence                    #residentFrom          nextSequence
 *           |  on disk only ...                |  in memory too     |
 *           [  1 2 3 ...                       [ n ... ]            )
 *                 ^ cursor of a consumer             ^ another
 *
 * A stream's offset is sequence - 1. Deliveries are entries of their own (one per consumer), so
 * that settling one only returns credit. Retention removes whole segments from the front when the
 * log is larger than `x-max-length-bytes` or older than `x-max-age`; the newest segment stays.
 *
 * Consumers need a prefetch limit and manual acks (RabbitMQ, streams over AMQP 0-9-1).
 */
import { BrokerError } from '../../base/errors.ts';
import type { FieldValue } from '../../base/field-value.ts';
import { isTagged } from '../../base/field-value.ts';
import { typeName, valueText } from '../field-text.ts';
import {
  DELIVERIES_PER_TURN,
  ENTRY_OVERHEAD_BYTES,
  PAGE_IN_BYTES,
  PAGE_IN_ENTRIES,
  STREAM_SEGMENT_BYTES_DEFAULT,
} from '../../base/limits.ts';
import { Ring } from '../../base/ring.ts';
import type { Message } from '../message.ts';
import { ENTRY_LEASED, ENTRY_SETTLED, Entry, STORE_WRITTEN } from '../message.ts';
import type { RecoveredQueue, Ticket } from '../ports.ts';
import type { Consumer } from './consumer.ts';
import type { QueueHost, QueueOptions } from './queue.ts';
import { ENQUEUED, ENQUEUED_DURABLE, Queue } from './queue.ts';
import { parseMaxAgeMs } from './argument-checks.ts';

/** Segments that a stream is cut into at start-up, at most. */
const RESTORED_SEGMENTS_MAX = 4_096;

/** Where one consumer reads. */
interface Cursor {
  readonly consumer: Consumer;
  readonly filter: ReadonlySet<string> | undefined;
  readonly matchesUnfiltered: boolean;
  next: number;
  /** Entries read from disk, from `next` on. */
  page: Entry[];
  pageIndex: number;
  isReading: boolean;
}

/** Messages that retention removes together. */
interface Segment {
  first: number;
  /** Sequence after its last. */
  end: number;
  bytes: number;
  lastAtMs: number;
}

export class StreamQueue extends Queue {
  readonly #resident: Ring<Entry>;
  #residentBytes: number;
  readonly #cursors: Cursor[];
  readonly #segments: Segment[];
  #nextSequence: number;
  #firstSequence: number;
  #bodyBytes: number;
  #unackedCount: number;
  #turnCursor: number;
  #watermarkTicket: Ticket;
  #watermarkSequence: number;
  #evictableBelow: number;

  constructor(options: QueueOptions, host: QueueHost) {
    super(options, host);
    this.#resident = new Ring();
    this.#residentBytes = 0;
    this.#cursors = [];
    this.#segments = [];
    this.#nextSequence = 1;
    this.#firstSequence = 1;
    this.#bodyBytes = 0;
    this.#unackedCount = 0;
    this.#turnCursor = 0;
    this.#watermarkTicket = 0;
    this.#watermarkSequence = 0;
    this.#evictableBelow = 0;
  }

  override restore(_level: number, recovered: RecoveredQueue): void {
    this.#nextSequence = recovered.nextSequence;
    this.#firstSequence = recovered.firstSequence;
    this.#bodyBytes = recovered.liveBodyBytes;
    if (recovered.liveCount > 0) this.#restoreSegments();
  }

  override get readyCount(): number {
    return this.#nextSequence - this.#firstSequence;
  }

  override get readyBytes(): number {
    return this.#bodyBytes;
  }

  override get unackedCount(): number {
    return this.#unackedCount;
  }

  override publish(message: Message): number {
    const entry = new Entry(message, this.#nextSequence, Infinity);
    this.#nextSequence += 1;
    if (this.isDurable) this.host.store.put(this.id, entry, true);
    this.#resident.push(entry);
    this.#residentBytes += message.bodyBytes + ENTRY_OVERHEAD_BYTES;
    this.#bodyBytes += message.bodyBytes;
    this.host.addResidentBytes(message.bodyBytes + ENTRY_OVERHEAD_BYTES);
    this.#appendToSegment(message);
    if (!this.isDirty) this.host.markDirty(this);
    return this.isDurable ? ENQUEUED_DURABLE : ENQUEUED;
  }

  override deliver(): void {
    this.consumers.forgetGone();
    if (this.isDeleted) return;
    let budget = DELIVERIES_PER_TURN;
    let idle = 0;
    while (budget > 0 && idle < this.#cursors.length) {
      if (this.#turnCursor >= this.#cursors.length) this.#turnCursor = 0;
      const cursor = this.#cursors[this.#turnCursor]!;
      this.#turnCursor += 1;
      const served = cursor.consumer.hasCredit() && this.#serve(cursor);
      idle = served ? 0 : idle + 1;
      if (served) budget -= 1;
    }
    if (budget === 0) this.host.markDirty(this);
    this.#retain(this.host.nowMs());
    this.#evict();
  }

  override get(): void {
    throw new BrokerError('NOT_IMPLEMENTED', this.#refusal('basic.get', 'queues '));
  }

  override acknowledge(entry: Entry): void {
    if (entry.state !== ENTRY_LEASED) return;
    entry.state = ENTRY_SETTLED;
    this.#unackedCount -= 1;
  }

  /** A stream gives every consumer each message once; giving one back only returns credit. */
  override requeue(entry: Entry): void {
    this.acknowledge(entry);
  }

  override reject(entry: Entry): void {
    this.acknowledge(entry);
  }

  override purge(): number {
    throw new BrokerError('NOT_IMPLEMENTED', this.#refusal('queue.purge', 'queues '));
  }

  override settleMark(): void {}

  override checkConsumer(consumer: Consumer): void {
    if (consumer.noAck) {
      throw new BrokerError('NOT_IMPLEMENTED', this.#refusal('automatic acknowledgement'));
    }
    if (consumer.prefetchCount === 0) {
      throw new BrokerError(
        'PRECONDITION_FAILED',
        `consumer prefetch count is not set for stream ${this.#resource()}`,
      );
    }
    this.#startOf(consumer.arguments.get('x-stream-offset'));
  }

  override addConsumer(consumer: Consumer): void {
    const filter = consumer.arguments.get('x-stream-filter');
    this.#cursors.push({
      consumer,
      filter: filterValues(filter),
      matchesUnfiltered: consumer.arguments.get('x-stream-match-unfiltered') === true,
      next: this.#startOf(consumer.arguments.get('x-stream-offset')),
      page: [],
      pageIndex: 0,
      isReading: false,
    });
    super.addConsumer(consumer);
  }

  override removeConsumer(consumer: Consumer): boolean {
    const index = this.#cursors.findIndex((cursor) => cursor.consumer === consumer);
    if (index >= 0) this.#cursors.splice(index, 1);
    return super.removeConsumer(consumer);
  }

  protected override expire(nowMs: number): void {
    this.#retain(nowMs);
  }

  protected override dropEntries(): void {
    this.host.addResidentBytes(-this.#residentBytes);
    this.#resident.clear();
    this.#cursors.length = 0;
    this.#firstSequence = this.#nextSequence;
    this.#bodyBytes = 0;
    this.host.store.dropQueue(this.id);
  }

  protected override settingsChanged(): void {
    this.#retain(this.host.nowMs());
  }

  /** Delivers the cursor's next message; false when there is none in memory or at all. */
  #serve(cursor: Cursor): boolean {
    for (;;) {
      const entry = this.#entryAt(cursor);
      if (entry === undefined) return false;
      cursor.next = entry.sequence + 1;
      if (!this.#passes(cursor, entry.message)) continue;
      const offset = entry.sequence - 1;
      const message = this.host.withHeaders(entry.message, [['x-stream-offset', BigInt(offset)]]);
      const delivery = new Entry(message, entry.sequence, Infinity);
      delivery.state = ENTRY_LEASED;
      this.#unackedCount += 1;
      cursor.consumer.deliver(this, delivery);
      return true;
    }
  }

  #entryAt(cursor: Cursor): Entry | undefined {
    if (cursor.next < this.#firstSequence) cursor.next = this.#firstSequence;
    const first = this.#resident.peek();
    if (first !== undefined && cursor.next >= first.sequence) {
      cursor.page = [];
      return this.#resident.at(cursor.next - first.sequence);
    }
    while (cursor.pageIndex < cursor.page.length) {
      const entry = cursor.page[cursor.pageIndex]!;
      cursor.pageIndex += 1;
      if (entry.sequence >= cursor.next) return entry;
    }
    if (cursor.next < this.#nextSequence) this.#read(cursor);
    return undefined;
  }

  #read(cursor: Cursor): void {
    if (cursor.isReading) return;
    cursor.isReading = true;
    this.host.store.read(this.id, cursor.next, PAGE_IN_ENTRIES, PAGE_IN_BYTES, (entries, end) => {
      cursor.isReading = false;
      cursor.page = entries;
      cursor.pageIndex = 0;
      if (entries.length === 0 && end > cursor.next) cursor.next = end;
      this.host.markDirty(this);
    });
  }

  #passes(cursor: Cursor, message: Message): boolean {
    if (cursor.filter === undefined) return true;
    const value = this.host.headersOf(message)?.get('x-stream-filter-value');
    if (typeof value !== 'string') return cursor.matchesUnfiltered;
    return cursor.filter.has(value);
  }

  /** First sequence for a consumer's offset argument. @throws BrokerError 406 */
  #startOf(offset: FieldValue | undefined): number {
    if (offset === undefined || offset === 'next') return this.#nextSequence;
    if (offset === 'first') return this.#firstSequence;
    if (offset === 'last') return Math.max(this.#nextSequence - 1, this.#firstSequence);
    if (typeof offset === 'number' || typeof offset === 'bigint') {
      return Math.max(Number(offset) + 1, this.#firstSequence);
    }
    if (offset !== null && isTagged(offset) && offset.kind === 'timestamp') {
      return this.#sequenceAt(offset.value * 1000);
    }
    if (typeof offset === 'string') {
      const ageMs = parseMaxAgeMs(offset);
      if (ageMs !== undefined) return this.#sequenceAt(this.host.nowMs() - ageMs);
    }
    throw new BrokerError(
      'PRECONDITION_FAILED',
      `invalid arg 'x-stream-offset' for ${this.#resource()}: ` +
        `{invalid_stream_offset_arg,{${typeName(offset)},${valueText(offset)}}}`,
    );
  }

  #sequenceAt(atMs: number): number {
    const stored = this.isDurable ? this.host.store.sequenceAt(this.id, atMs) : Infinity;
    const first = this.#resident.peek();
    if (first !== undefined && (stored === Infinity || stored >= first.sequence)) {
      for (let index = 0; index < this.#resident.length; index += 1) {
        const entry = this.#resident.at(index)!;
        if (entry.message.publishedAtMs >= atMs) return entry.sequence;
      }
      return this.#nextSequence;
    }
    return Math.max(Math.min(stored, this.#nextSequence), this.#firstSequence);
  }

  /**
   * Cuts what the last process left into segments. Where the old ones began is not on disk, so
   * these are of equal length and their bytes an estimate, whose sum is exact. What was too old by
   * now counts as such; the rest is taken to be of today.
   */
  #restoreSegments(): void {
    const limit = this.settings.maxSegmentBytes ?? STREAM_SEGMENT_BYTES_DEFAULT;
    const nowMs = this.host.nowMs();
    const { maxAgeMs } = this.settings;
    const freshFrom = maxAgeMs === undefined ? 0 : this.#sequenceAt(nowMs - maxAgeMs);
    const entries = this.#nextSequence - this.#firstSequence;
    const wanted = Math.ceil(this.#bodyBytes / Math.max(limit, 1));
    const count = Math.max(1, Math.min(wanted, entries, RESTORED_SEGMENTS_MAX));
    const cut = (part: number, whole: number): number => Math.floor((whole * part) / count);
    for (let part = 0; part < count; part += 1) {
      const end = this.#firstSequence + cut(part + 1, entries);
      this.#segments.push({
        first: this.#firstSequence + cut(part, entries),
        end,
        bytes: cut(part + 1, this.#bodyBytes) - cut(part, this.#bodyBytes),
        lastAtMs: end <= freshFrom ? 0 : nowMs,
      });
    }
    this.host.markDirty(this);
  }

  #appendToSegment(message: Message): void {
    const limit = this.settings.maxSegmentBytes ?? STREAM_SEGMENT_BYTES_DEFAULT;
    let segment = this.#segments.at(-1);
    if (segment === undefined || segment.bytes >= limit) {
      segment = { first: this.#nextSequence - 1, end: 0, bytes: 0, lastAtMs: 0 };
      this.#segments.push(segment);
    }
    segment.end = this.#nextSequence;
    segment.bytes += message.bodyBytes;
    segment.lastAtMs = message.publishedAtMs;
  }

  #retain(nowMs: number): void {
    const { maxLengthBytes, maxAgeMs } = this.settings;
    if (maxLengthBytes === undefined && maxAgeMs === undefined) return;
    while (this.#segments.length > 1) {
      const oldest = this.#segments[0]!;
      const isTooLarge = maxLengthBytes !== undefined && this.#bodyBytes > maxLengthBytes;
      const isTooOld = maxAgeMs !== undefined && oldest.lastAtMs + maxAgeMs <= nowMs;
      if (!isTooLarge && !isTooOld) break;
      this.#segments.shift();
      this.#truncate(oldest);
    }
    const oldest = this.#segments[0];
    if (maxAgeMs !== undefined && oldest !== undefined && this.#segments.length > 1) {
      this.wake(oldest.lastAtMs + maxAgeMs);
    }
  }

  #truncate(segment: Segment): void {
    if (this.isDurable) this.host.store.settleRange(this.id, segment.first, segment.end);
    this.#firstSequence = segment.end;
    this.#bodyBytes -= segment.bytes;
    for (;;) {
      const entry = this.#resident.peek();
      if (entry === undefined || entry.sequence >= segment.end) break;
      this.#dropResident();
    }
  }

  /** Keeps the newest window in memory; older entries are read back when a cursor needs them. */
  #evict(): void {
    const store = this.host.store;
    if (!this.isDurable) return;
    if (this.#watermarkTicket <= store.committedTicket) {
      this.#evictableBelow = this.#watermarkSequence;
      this.#watermarkTicket = store.ticket;
      this.#watermarkSequence = this.#nextSequence;
    }
    const { windowBytes } = this.host;
    const isOver = () => this.#residentBytes > windowBytes;
    while (isOver()) {
      const entry = this.#resident.peek()!;
      if (entry.storeState !== STORE_WRITTEN || entry.sequence >= this.#evictableBelow) return;
      this.#dropResident();
    }
  }

  #dropResident(): void {
    const bytes = this.#resident.shift()!.message.bodyBytes + ENTRY_OVERHEAD_BYTES;
    this.#residentBytes -= bytes;
    this.host.addResidentBytes(-bytes);
  }

  #resource(): string {
    return `queue '${this.name}' in vhost '${this.host.vhostName}'`;
  }

  /** RabbitMQ's words, which say `queues queue` for two of the operations. */
  #refusal(operation: string, plural = ''): string {
    return `${operation} not supported by stream ${plural}${this.#resource()}`;
  }
}

function filterValues(filter: FieldValue | undefined): ReadonlySet<string> | undefined {
  if (typeof filter === 'string') return new Set([filter]);
  if (!Array.isArray(filter)) return undefined;
  return new Set(filter.filter((value): value is string => typeof value === 'string'));
}
