/**
 * The traces of one vhost: which queues have one, and what is written into it.
 *
 * The queue itself tells what happens to its messages, whichever protocol causes it (`tracer`).
 * It does not know who asked: a caller that does runs the operation inside `as`.
 */
import type { Entry, Message } from '../message.ts';
import { ClassicQueue } from '../queue/classic-queue.ts';
import { carriedId } from '../queue/message-id.ts';
import type { Queue } from '../queue/queue.ts';
import type { VHost } from '../vhost.ts';
import type { VHostQueues } from '../vhost-queues.ts';
import { TRACE_PREFIX } from './own-queues.ts';
import type { QueueAttributes } from './queue-attributes.ts';
import { QueueTrace } from './queue-trace.ts';
import type { WriteEvent } from './queue-trace.ts';
import { handleText } from './receipt-handle.ts';
import type { TraceEvent, TraceKind } from './trace-event.ts';
import { TraceLog } from './trace-log.ts';
import type { TraceQueryOptions } from './trace-query.ts';

export class Traces {
  readonly #vhost: VHost;
  readonly #queues: VHostQueues;
  readonly #logs: Map<Queue, TraceLog>;
  /** Who causes what happens in this run. */
  #by: string | undefined;

  constructor(vhost: VHost, queues: VHostQueues) {
    this.#vhost = vhost;
    this.#queues = queues;
    this.#logs = new Map();
    this.#by = undefined;
  }

  /** A queue's record was made or changed, or has gone with the queue (undefined). */
  apply(queue: Queue, attributes: QueueAttributes | undefined): void {
    if (!(queue instanceof ClassicQueue)) return;
    const log = this.#logs.get(queue);
    if (attributes === undefined) {
      // A trace that was switched off later is there still.
      (log ?? this.#log(queue)).drop();
      this.#logs.delete(queue);
    } else if (attributes.trace && log === undefined) {
      this.#logs.set(queue, this.#log(queue));
      const write: WriteEvent = (kind, details) => this.write(queue, kind, details);
      const nowMs = () => this.#queues.nowMs();
      queue.tracer = new QueueTrace(queue, write, nowMs, (message) => this.#carriedId(message));
    } else if (!attributes.trace && log !== undefined) {
      this.#logs.delete(queue);
      queue.tracer = undefined;
    }
  }

  /** Who causes what happens in this run, as far as is known. */
  get by(): string | undefined {
    return this.#by;
  }

  /** Runs an operation on queues on behalf of `by`. */
  as<T>(by: string, run: () => T): T {
    const before = this.#by;
    this.#by = by;
    try {
      return run();
    } finally {
      this.#by = before;
    }
  }

  /** Writes an event that the queue itself does not tell of; nothing when it is not traced. */
  write(queue: Queue, kind: TraceKind, details: Omit<TraceEvent, 'kind' | 'atMs'> = {}): void {
    const log = this.#logs.get(queue);
    if (log === undefined) return;
    const by = this.#by;
    log.write({ kind, atMs: this.#queues.nowMs(), ...(by !== undefined && { by }), ...details });
  }

  /** Leases by handle were given to whoever acts. */
  received(queue: ClassicQueue, entries: readonly Entry[]): void {
    if (!this.#logs.has(queue)) return;
    for (const entry of entries) {
      const handle = handleText(queue.id, queue.handleOf(entry));
      const msgId = queue.messageIdOf(entry);
      this.write(queue, 'received', { msgId, handle, untilMs: entry.leaseUntilMs });
    }
  }

  /** A message went from a dead-letter queue to another. */
  redriven(from: Queue, entry: Entry, to: Queue): void {
    if (!this.#logs.has(from)) return;
    this.write(from, 'redriven', { msgId: this.#carriedId(entry.message), queue: to.name });
  }

  /**
   * Finds events of the last three days, oldest first, also of a trace that was switched off.
   * @returns a call that ends it without an answer
   */
  query(
    queue: Queue,
    options: TraceQueryOptions,
    done: (events: readonly TraceEvent[]) => void,
  ): () => void {
    return (this.#logs.get(queue) ?? this.#log(queue)).query(options, done);
  }

  #carriedId(message: Message): string | undefined {
    if (!message.isNamed) return undefined;
    return carriedId(this.#vhost.publisher.host.formats[message.format]!.headers(message));
  }

  #log(queue: Queue): TraceLog {
    return new TraceLog(TRACE_PREFIX + queue.name, this.#vhost, this.#queues);
  }
}
