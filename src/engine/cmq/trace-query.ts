import type { FieldTable } from '../../base/field-value.ts';
import type { Actor } from '../actor.ts';
import type { Entry } from '../message.ts';
import type { Consumer } from '../queue/consumer.ts';
import type { Queue } from '../queue/queue.ts';
import { TRACE_EVENTS_MAX } from './cmq-limits.ts';
import { decodeTraceEvent } from './trace-event.ts';
import type { TraceEvent } from './trace-event.ts';

export interface TraceQueryOptions {
  /** Only events of this message; undefined: all. */
  readonly msgId?: string | undefined;
  /** Wall ms, both included. */
  readonly fromMs: number;
  readonly toMs: number;
}

/** Reads a trace from its begin to what was its end when it started, a turn's share at a time. */
export class TraceQuery implements Consumer {
  readonly tag = 'cmq-trace-query';
  readonly noAck = false;
  readonly exclusive = false;
  readonly priority = 0;
  readonly prefetchCount = 1;
  readonly arguments: FieldTable;
  readonly #stream: Queue;
  readonly #options: TraceQueryOptions;
  readonly #needle: Buffer | undefined;
  readonly #done: (events: readonly TraceEvent[]) => void;
  readonly #found: TraceEvent[];
  /** Events the stream had at the start. */
  readonly #total: number;
  /** Sequence of the last of them; known with the first delivery. */
  #lastSequence: number;
  #isOver: boolean;

  constructor(
    stream: Queue,
    options: TraceQueryOptions,
    done: (events: readonly TraceEvent[]) => void,
  ) {
    this.arguments = new Map([['x-stream-offset', 'first']]);
    this.#stream = stream;
    this.#options = options;
    this.#needle = options.msgId === undefined ? undefined : Buffer.from(`"${options.msgId}"`);
    this.#done = done;
    this.#found = [];
    this.#total = stream.readyCount;
    this.#lastSequence = Infinity;
    this.#isOver = false;
  }

  /** Nobody's rights are asked: the gateway reads its own stream. */
  get actor(): Actor {
    throw new Error('a trace query has no actor');
  }

  start(): void {
    if (this.#total === 0) this.#finish();
    else this.#stream.addConsumer(this);
  }

  /** Ends it without an answer. */
  stop(): void {
    this.#isOver = true;
    this.#stream.removeConsumer(this);
  }

  hasCredit(): boolean {
    return !this.#isOver;
  }

  deliver(queue: Queue, entry: Entry): void {
    queue.acknowledge(entry);
    const { sequence } = entry;
    if (this.#lastSequence === Infinity) this.#lastSequence = sequence + this.#total - 1;
    this.#look(entry);
    if (sequence >= this.#lastSequence || this.#found.length === TRACE_EVENTS_MAX) this.#finish();
  }

  /** The stream went away. */
  cancelled(): void {
    this.#finish();
  }

  #look(entry: Entry): void {
    const { bytes, start, headerBytes, bodyBytes } = entry.message;
    const bodyStart = start + headerBytes;
    const body = bytes.subarray(bodyStart, bodyStart + bodyBytes);
    if (this.#needle !== undefined && !body.includes(this.#needle)) return;
    const event = decodeTraceEvent(body);
    if (event === undefined) return;
    const { msgId, fromMs, toMs } = this.#options;
    if (event.atMs < fromMs || event.atMs > toMs) return;
    if (msgId === undefined || event.msgId === msgId) this.#found.push(event);
  }

  #finish(): void {
    if (this.#isOver) return;
    this.stop();
    this.#done(this.#found);
  }
}
