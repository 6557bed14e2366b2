/** Hard limits of what CMQ adds to the engine: value, unit, why. */

/** Ms a trace is kept: CMQ's console shows three days. */
export const TRACE_MS_MAX = 3 * 86_400_000;

/** Bytes of one queue's trace; some 200,000 events. Above it the oldest go early. */
export const TRACE_BYTES_MAX = 32 * 1024 * 1024;

/** Bytes of a segment of a trace: what goes at once. */
export const TRACE_SEGMENT_BYTES = 512 * 1024;

/** Events one query returns. */
export const TRACE_EVENTS_MAX = 10_000;

/** Messages a redrive moves in one go: a fraction of a turn. */
export const REDRIVE_BATCH_MAX = 256;

/** Messages per second a redrive moves unless told otherwise. */
export const REDRIVE_RATE_DEFAULT = 500;

/** Messages without a way home that a redrive holds on to; at more it gives up. */
export const REDRIVE_HELD_MAX = 10_000;

/** Ms for which a redrive holds on to them: longer than any redrive. */
export const REDRIVE_LEASE_MS = 365 * 86_400_000;

/** Ms a redrive waits after its destination refused a message. */
export const REDRIVE_RETRY_MS = 1_000;
