/**
 * The limits of what a queue may hold: ready messages and their body bytes (AMQP: unacked ones do
 * not count), or messages in all states (CMQ's heap).
 */
import type { QueueSettings } from './settings.ts';

/** True when any length limit is set. */
export function hasLengthLimit(settings: QueueSettings): boolean {
  return settings.maxLength !== undefined || settings.maxLengthBytes !== undefined;
}

/** True when `count` messages of together `bytes` are more than allowed. */
export function isOverLimit(settings: QueueSettings, count: number, bytes: number): boolean {
  const { maxLength, maxLengthBytes } = settings;
  if (maxLength !== undefined && count > maxLength) return true;
  return maxLengthBytes !== undefined && bytes > maxLengthBytes;
}
