import { type CmqRefusal, CmqQueueError } from '../../src/engine/cmq/cmq-queue-error.ts';
import type { CmqHandler } from './dispatcher.ts';
import { withRefusals } from './error-mapper.ts';
import type { CmqErrorName } from './spec/errors.ts';

const NAMES: Readonly<Record<CmqRefusal, CmqErrorName>> = {
  name: 'QUEUE_NAME',
  exists: 'QUEUE_EXISTS',
  quota: 'QUEUE_QUOTA',
  cooling: 'NAME_COOLING_DOWN',
  range: 'PARAMETER_RANGE',
  'rewind-above-retention': 'REWIND_RETENTION',
  'dead-letter': 'PARAMETERS_WRONG',
  bound: 'QUEUE_IN_USE',
  busy: 'QUEUE_IN_USE',
};

/** The handlers, with what the engine refuses of queues in CMQ's terms. */
export function queueFailuresOf(
  handlers: Readonly<Record<string, CmqHandler>>,
): [string, CmqHandler][] {
  return withRefusals(handlers, (error) =>
    error instanceof CmqQueueError ? { name: NAMES[error.reason], text: error.message } : undefined,
  );
}
