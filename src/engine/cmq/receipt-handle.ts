/**
 * Receipt handles as text: `queue-level-sequence-receiveCount-epoch`, each in base 36; without the
 * epoch that of a lease which was given before leases had one. Opaque to clients, within what the
 * strictest SDK lets through (`[A-Za-z0-9%#:_-]{0,256}`), and of one queue only: one that was
 * deleted and made again knows none of the old ones.
 */
import type { QueueId } from '../ports.ts';
import { UNKNOWN_EPOCH } from '../queue/lease-record.ts';
import type { LeaseHandle } from '../queue/leases.ts';

const PATTERN =
  /^([0-9a-z]{1,11})-([0-9a-z]{1,2})-([0-9a-z]{1,10})-([0-9a-z]{1,10})(?:-([0-9a-z]{1,2}))?$/;
const RADIX = 36;

export function handleText(queueId: QueueId, handle: LeaseHandle): string {
  const { level, sequence, receiveCount, epoch } = handle;
  const parts = [queueId, level, sequence, receiveCount];
  if (epoch !== UNKNOWN_EPOCH) parts.push(epoch);
  return parts.map((part) => part.toString(RADIX)).join('-');
}

/** The lease a text names: undefined when it is no handle, 'foreign' when it is another queue's. */
export function parseHandle(queueId: QueueId, text: string): LeaseHandle | 'foreign' | undefined {
  const match = PATTERN.exec(text);
  if (match === null) return undefined;
  const [id, level, sequence, receiveCount] = match
    .slice(1, 5)
    .map((part) => parseInt(part, RADIX));
  if (id !== queueId) return 'foreign';
  const epoch = match[5] === undefined ? UNKNOWN_EPOCH : parseInt(match[5], RADIX);
  return { level: level!, sequence: sequence!, receiveCount: receiveCount!, epoch };
}
