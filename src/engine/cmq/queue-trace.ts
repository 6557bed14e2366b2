import type { Entry, Message } from '../message.ts';
import type { ClassicQueue } from '../queue/classic-queue.ts';
import type { Consumer } from '../queue/consumer.ts';
import type { DeathReason } from '../queue/queue.ts';
import type { QueueTracer } from '../queue/queue-tracer.ts';
import type { TraceEvent, TraceKind } from './trace-event.ts';

/** Writes an event of a queue, of now and on behalf of whoever acts. */
export type WriteEvent = (kind: TraceKind, details: Omit<TraceEvent, 'kind' | 'atMs'>) => void;

/** What a traced queue tells, whichever protocol causes it, as events. */
export class QueueTrace implements QueueTracer {
  readonly #queue: ClassicQueue;
  readonly #write: WriteEvent;
  readonly #nowMs: () => number;
  readonly #carriedId: (message: Message) => string | undefined;

  constructor(
    queue: ClassicQueue,
    write: WriteEvent,
    nowMs: () => number,
    carriedId: (message: Message) => string | undefined,
  ) {
    this.#queue = queue;
    this.#write = write;
    this.#nowMs = nowMs;
    this.#carriedId = carriedId;
  }

  sent(_message: Message, msgId: string, readyAtMs: number): void {
    if (readyAtMs > this.#nowMs()) this.#write('delayed', { msgId, untilMs: readyAtMs });
    else this.#write('sent', { msgId });
  }

  /** A lease by handle is told by the one who knows for whom it is (`Traces.received`). */
  received(entry: Entry, msgId: string, isByHandle: boolean, consumer: Consumer | undefined): void {
    if (isByHandle) return;
    const { leaseUntilMs } = entry;
    const isTimed = leaseUntilMs !== Infinity;
    this.#write('received', {
      msgId,
      by: nameOf(consumer),
      ...(isTimed && { untilMs: leaseUntilMs }),
    });
  }

  released(_entry: Entry, msgId: string): void {
    this.#write('released', { msgId });
  }

  deleted(_entry: Entry, msgId: string): void {
    this.#write('deleted', { msgId });
  }

  expired(message: Message, msgId: string | undefined): void {
    this.#write('expired', { msgId: msgId ?? this.#carriedId(message) });
  }

  died(_entry: Entry, msgId: string, reason: DeathReason): void {
    const { deadLetterExchange, deadLetterRoutingKey } = this.#queue.settings;
    if (deadLetterExchange === undefined) this.#write('expired', { msgId, reason });
    else this.#write('dead-lettered', { msgId, reason, queue: deadLetterRoutingKey });
  }

  rewound(message: Message): void {
    this.#write('rewound', { msgId: this.#carriedId(message) });
  }
}

/** User and number of the connection, as in the log. */
function nameOf(consumer: Consumer | undefined): string {
  if (consumer === undefined) return 'get';
  const { user, connectionId } = consumer.actor;
  return `${user.name}#${connectionId}`;
}
