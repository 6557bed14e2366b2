/**
 * What can happen to a message in a traced queue or topic, and its form in the trace: one line of
 * JSON.
 */

/** CMQ's trace names producer, deliveries, consumer and deletion; these name every transition. */
export type TraceKind =
  | 'sent'
  | 'delayed'
  | 'rescheduled'
  | 'cancelled'
  | 'received'
  | 'extended'
  | 'released'
  | 'deleted'
  | 'expired'
  | 'dead-lettered'
  | 'rewound'
  | 'redriven'
  | 'cleared'
  | TopicTraceKind;

/** In the trace of a topic; `dead-lettered` as well. */
export type TopicTraceKind = 'published' | 'matched' | 'delivered' | 'failed' | 'abandoned';

export interface TraceEvent {
  readonly kind: TraceKind;
  /** Wall ms. */
  readonly atMs: number;
  /** Undefined when it concerns the whole queue. */
  readonly msgId?: string | undefined;
  /** Receipt handle of the lease. */
  readonly handle?: string | undefined;
  /** Who did it: `user@address`, or a protocol's consumer. */
  readonly by?: string | undefined;
  /** End of a lease or delay, wall ms. */
  readonly untilMs?: number | undefined;
  /** Messages concerned, when it concerns the whole queue. */
  readonly count?: number | undefined;
  /** Queue it was moved to. */
  readonly queue?: string | undefined;
  /** Subscription of the topic whose copy it is. */
  readonly subscription?: string | undefined;
  /** Attempt to deliver the copy, from 1 on. */
  readonly attempt?: number | undefined;
  /** Why it died, or an attempt failed. */
  readonly reason?: string | undefined;
}

/** Members in the order of the interface; absent ones left out. */
export function encodeTraceEvent(event: TraceEvent): Buffer {
  return Buffer.from(JSON.stringify(event));
}

/** The reverse; undefined for what we did not write. */
export function decodeTraceEvent(bytes: Buffer): TraceEvent | undefined {
  try {
    const event = JSON.parse(bytes.toString('utf8')) as TraceEvent;
    return typeof event?.kind === 'string' && typeof event.atMs === 'number' ? event : undefined;
  } catch {
    return undefined;
  }
}
