/**
 * The trace of one queue or topic: an internal stream that keeps three days of events.
 *
 * Being a stream it is as durable as the messages, bounded in bytes and age, costs one append per
 * event and no memory but its window; and an operator can read it over AMQP like any other. An
 * event is committed together with what it tells of.
 */
import type { FieldTable, FieldValue } from '../../base/field-value.ts';
import { FORMAT_AMQP, Message } from '../message.ts';
import type { Queue } from '../queue/queue.ts';
import type { VHost } from '../vhost.ts';
import type { VHostQueues } from '../vhost-queues.ts';
import { TRACE_BYTES_MAX, TRACE_MS_MAX, TRACE_SEGMENT_BYTES } from './cmq-limits.ts';
import { encodeTraceEvent } from './trace-event.ts';
import type { TraceEvent } from './trace-event.ts';
import { TraceQuery, type TraceQueryOptions } from './trace-query.ts';

/** A content header without properties (AMQP 0-9-1, 4.2.6.1): class 60, weight, size, flags. */
const HEADER_BYTES = 14;
const CLASS_BASIC = 60;
const BODY_SIZE_LOW_AT = 8;

export class TraceLog {
  readonly name: string;
  readonly #vhost: VHost;
  readonly #queues: VHostQueues;

  /** @param name of the stream, which is reserved */
  constructor(name: string, vhost: VHost, queues: VHostQueues) {
    this.name = name;
    this.#vhost = vhost;
    this.#queues = queues;
  }

  /** Appends an event; the first one makes the stream. */
  write(event: TraceEvent): void {
    const stream = this.#stream() ?? this.#make();
    stream.publish(toMessage(this.name, encodeTraceEvent(event), event.atMs));
  }

  /**
   * Finds events of the last three days, oldest first.
   * @returns a call that ends it without an answer
   */
  query(options: TraceQueryOptions, done: (events: readonly TraceEvent[]) => void): () => void {
    const stream = this.#stream();
    if (stream === undefined) {
      done([]);
      return () => {};
    }
    const fromMs = Math.max(options.fromMs, this.#queues.nowMs() - TRACE_MS_MAX);
    const query = new TraceQuery(stream, { ...options, fromMs }, done);
    query.start();
    return () => query.stop();
  }

  /** What was traced is gone: so is its trace. */
  drop(): void {
    const stream = this.#stream();
    if (stream !== undefined) this.#queues.remove(stream);
  }

  #stream(): Queue | undefined {
    return this.#vhost.topology.queues.get(this.name);
  }

  #make(): Queue {
    this.#queues.define(this.name, {
      durable: true,
      autoDelete: false,
      arguments: STREAM_ARGUMENTS,
    });
    return this.#stream()!;
  }
}

const STREAM_ARGUMENTS: FieldTable = new Map<string, FieldValue>([
  ['x-queue-type', 'stream'],
  ['x-max-age', `${TRACE_MS_MAX / 1_000}s`],
  ['x-max-length-bytes', TRACE_BYTES_MAX],
  ['x-stream-max-segment-size-bytes', TRACE_SEGMENT_BYTES],
]);

function toMessage(queueName: string, body: Buffer, atMs: number): Message {
  const bytes = Buffer.alloc(HEADER_BYTES + body.length);
  bytes.writeUInt16BE(CLASS_BASIC, 0);
  bytes.writeUInt32BE(body.length, BODY_SIZE_LOW_AT);
  body.copy(bytes, HEADER_BYTES);
  const { length } = body;
  return new Message(
    '',
    queueName,
    FORMAT_AMQP,
    bytes,
    0,
    HEADER_BYTES,
    length,
    true,
    -1,
    -1,
    atMs,
  );
}
