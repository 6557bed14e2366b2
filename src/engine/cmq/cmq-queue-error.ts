import { BrokerError, type ErrorCode } from '../../base/errors.ts';

/** What a CMQ queue operation was refused for, beyond rights and a missing queue. */
export type CmqRefusal =
  | 'name' // not a queue name
  | 'exists' // a queue of this name, in whatever case
  | 'quota' // too many queues
  | 'cooling' // the name was deleted a moment ago
  | 'range' // an attribute is out of range
  | 'rewind-above-retention'
  | 'dead-letter' // a binding that is not allowed
  | 'bound' // a dead-letter queue with sources
  | 'busy'; // a redrive is under way

const CODES: Readonly<Record<CmqRefusal, ErrorCode>> = {
  name: 'PRECONDITION_FAILED',
  exists: 'PRECONDITION_FAILED',
  quota: 'RESOURCE_ERROR',
  cooling: 'RESOURCE_LOCKED',
  range: 'PRECONDITION_FAILED',
  'rewind-above-retention': 'PRECONDITION_FAILED',
  'dead-letter': 'PRECONDITION_FAILED',
  bound: 'PRECONDITION_FAILED',
  busy: 'RESOURCE_LOCKED',
};

/** A refused operation on a CMQ queue; `reason` is for the one mapper to CMQ's codes. */
export class CmqQueueError extends BrokerError {
  readonly reason: CmqRefusal;

  constructor(reason: CmqRefusal, text: string) {
    super(CODES[reason], text, 'operation');
    this.name = 'CmqQueueError';
    this.reason = reason;
  }
}
