import { TopicError, type TopicRefusal } from '../../src/engine/topic/topic-error.ts';
import type { CmqHandler } from './dispatcher.ts';
import { withRefusals } from './error-mapper.ts';
import type { CmqErrorName } from './spec/errors.ts';

const NAMES: Readonly<Record<TopicRefusal, CmqErrorName>> = {
  exists: 'TOPIC_EXISTS',
  'topic-quota': 'TOPIC_QUOTA',
  'has-subscriptions': 'TOPIC_HAS_SUBSCRIPTIONS',
  'subscription-exists': 'SUBSCRIPTION_EXISTS',
  'subscription-quota': 'SUBSCRIPTION_QUOTA',
  'no-binding-key': 'BINDING_KEY_MISSING',
  'no-queue': 'QUEUE_NOT_FOUND',
};

/** The handlers, with what the engine refuses of topics in CMQ's terms. */
export function topicFailuresOf(
  handlers: Readonly<Record<string, CmqHandler>>,
): [string, CmqHandler][] {
  return withRefusals(handlers, (error) =>
    error instanceof TopicError ? { name: NAMES[error.reason] } : undefined,
  );
}
