/**
 * Receipt handles as text: `queue-level-sequence-receiveCount`, each in base 36. Opaque to clients,
 * within what the strictest SDK lets through (`[A-Za-z0-9%#:_-]{0,256}`), and of one queue only:
 * one that was deleted and made again knows none of the old ones.
 */
import type { QueueId } from '../ports.ts';
import type { LeaseHandle } from '../queue/leases.ts';

const PATTERN = /^([0-9a-z]{1,11})-([0-9a-z]{1,2})-([0-9a-z]{1,10})-([0-9a-z]{1,10})$/;
const RADIX = 36;

export function handleText(queueId: QueueId, handle: LeaseHandle): string {
  const { level, sequence, receiveCount } = handle;
  return [queueId, level, sequence, receiveCount].map((part) => part.toString(RADIX)).join('-');
}

/** The lease a text names: undefined when it is no handle, 'foreign' when it is another queue's. */
export function parseHandle(queueId: QueueId, text: string): LeaseHandle | 'foreign' | undefined {
  const match = PATTERN.exec(text);
  if (match === null) return undefined;
  const [id, level, sequence, receiveCount] = match.slice(1).map((part) => parseInt(part, RADIX));
  if (id !== queueId) return 'foreign';
  return { level: level!, sequence: sequence!, receiveCount: receiveCount! };
}
