import { BrokerError } from '../../base/errors.ts';
import { resourceText } from '../equivalence.ts';
import type { Queue } from '../queue/queue.ts';

/**
 * The queue that a subscription names, to be consumed beside whoever else does. Streams are read,
 * not shared, and what a session's queue holds is that session's.
 *
 * @param queue      the one of that name, if there is one
 * @param isSession  it is the queue of a session
 * @throws BrokerError NOT_FOUND, RESOURCE_LOCKED, PRECONDITION_FAILED
 */
export function expectShareable(
  queue: Queue | undefined,
  isSession: boolean,
  name: string,
  vhost: string,
): void {
  const resource = resourceText('queue', name, vhost);
  if (queue === undefined) throw new BrokerError('NOT_FOUND', `no ${resource}`);
  if (queue.isExclusive) throw new BrokerError('RESOURCE_LOCKED', `${resource} is exclusive`);
  if (queue.settings.queueType === 'stream' || isSession) {
    throw new BrokerError('PRECONDITION_FAILED', `${resource} is not one to share`);
  }
}
