/**
 * The header by which a publisher asks for a delay, as RabbitMQ's plugin knows it: at an
 * `x-delayed-message` exchange, or of a queue that counts receives. A delay that was kept is
 * negative from then on, so that nobody keeps it twice.
 */
import { DELAY_MS_MAX } from '../base/limits.ts';
import type { FieldTable } from '../base/field-value.ts';
import type { Message } from './message.ts';

export const DELAY_HEADER = 'x-delay';

const DELAY_BYTES = Buffer.from(DELAY_HEADER);
/** Bytes of a content header before its properties. */
const FIXED_BYTES = 14;

/** False when the message surely has no such header; cheap. */
export function mayAskForDelay({ bytes, start, headerBytes }: Message): boolean {
  if (headerBytes < FIXED_BYTES + DELAY_BYTES.length) return false;
  return bytes.subarray(start, start + headerBytes).includes(DELAY_BYTES);
}

/** The delay asked for in ms; 0 when it is absent, negative or not a number. */
export function delayFrom(headers: FieldTable | undefined): number {
  const value = headers?.get(DELAY_HEADER);
  const delayMs = typeof value === 'string' ? Number(value) : Number(value ?? 0);
  if (!Number.isFinite(delayMs) || delayMs <= 0) return 0;
  return Math.min(Math.floor(delayMs), DELAY_MS_MAX);
}
