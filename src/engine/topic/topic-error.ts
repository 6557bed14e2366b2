import { BrokerError, type ErrorCode } from '../../base/errors.ts';

/** What an operation on topics was refused for, beyond rights. */
export type TopicRefusal =
  | 'exists' // a topic or exchange of this name, in whatever case
  | 'topic-quota'
  | 'has-subscriptions'
  | 'subscription-exists'
  | 'subscription-quota'
  | 'no-binding-key' // a subscription of a routing-key topic without any
  | 'no-queue'; // its queue, or dead-letter queue, cannot take messages

const CODES: Readonly<Record<TopicRefusal, ErrorCode>> = {
  exists: 'PRECONDITION_FAILED',
  'topic-quota': 'RESOURCE_ERROR',
  'has-subscriptions': 'PRECONDITION_FAILED',
  'subscription-exists': 'PRECONDITION_FAILED',
  'subscription-quota': 'RESOURCE_ERROR',
  'no-binding-key': 'PRECONDITION_FAILED',
  'no-queue': 'NOT_FOUND',
};

/** A refused operation on a topic; `reason` is for the protocol that names it on its wire. */
export class TopicError extends BrokerError {
  readonly reason: TopicRefusal;

  constructor(reason: TopicRefusal, text: string) {
    super(CODES[reason], text, 'operation');
    this.name = 'TopicError';
    this.reason = reason;
  }
}
