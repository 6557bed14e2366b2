/**
 * Receipt handles as text: `queue-level-sequence-receiveCount-epoch`, each in base 36; without the
 * epoch that of a lease which was given before leases had one. Opaque to clients, within what the
 * strictest SDK lets through (`[A-Za-z0-9%#:_-]{0,256}`), and of one queue only: one that was
 * deleted and made again knows none of the old ones.
 */
import type { QueueId } from '../ports.ts';
import { UNKNOWN_EPOCH } from '../queue/lease-record.ts';
import type { LeaseHandle } from '../queue/leases.ts';

const RADIX = 36;
const DASH = 0x2d;
const DIGITS = '0123456789abcdefghijklmnopqrstuvwxyz';
/** Digits of each part at most: queue, level, sequence, receive count, epoch. */
const PART_DIGITS_MAX = [11, 2, 10, 10, 2] as const;
/** Parts without the epoch. */
const PARTS_MIN = 4;

export function handleText(queueId: QueueId, handle: LeaseHandle): string {
  const { level, sequence, receiveCount, epoch } = handle;
  if (queueId !== lastQueueId) [lastQueueId, lastQueueDigits] = [queueId, digitsOf(queueId)];
  const place = `${lastQueueDigits}-${digitsOf(level)}-${digitsOf(sequence)}`;
  const lease = `${place}-${digitsOf(receiveCount)}`;
  return epoch === UNKNOWN_EPOCH ? lease : `${lease}-${digitsOf(epoch)}`;
}

/** The lease a text names: undefined when it is no handle, 'foreign' when it is another queue's. */
export function parseHandle(queueId: QueueId, text: string): LeaseHandle | 'foreign' | undefined {
  const parts = partsOf(text);
  if (parts === undefined) return undefined;
  const [id, level, sequence, receiveCount, epoch = UNKNOWN_EPOCH] = parts;
  if (id !== queueId) return 'foreign';
  return { level: level!, sequence: sequence!, receiveCount: receiveCount!, epoch };
}

/** Of the last handle: a batch is of one queue. */
let lastQueueId = 0;
let lastQueueDigits = '0';

/** `toString(36)` takes four times as long, and each message that is received has a handle made. */
function digitsOf(value: number): string {
  let text = '';
  let rest = value;
  do {
    text = DIGITS[rest % RADIX]! + text;
    rest = Math.floor(rest / RADIX);
  } while (rest > 0);
  return text;
}

/** The numbers between the dashes; undefined when the text is no handle. */
function partsOf(text: string): number[] | undefined {
  const parts: number[] = [];
  let value = 0;
  let digitCount = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === DASH) {
      if (digitCount === 0) return undefined;
      parts.push(value);
      value = 0;
      digitCount = 0;
      continue;
    }
    const digit = digitOf(code);
    digitCount += 1;
    // Beyond the last part there is no maximum to be within.
    if (digit < 0 || !(digitCount <= PART_DIGITS_MAX[parts.length]!)) return undefined;
    value = value * RADIX + digit;
  }
  if (digitCount === 0 || parts.length + 1 < PARTS_MIN) return undefined;
  parts.push(value);
  return parts;
}

/** Value of a digit in base 36; -1 of anything else. */
function digitOf(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  return code >= 0x61 && code <= 0x7a ? code - 0x61 + 10 : -1;
}
