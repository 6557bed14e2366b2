/**
 * What a call wants of a subscription, checked where the table cannot: what goes with which
 * protocol and which kind of topic.
 */
import type {
  SubscriptionChanges,
  SubscriptionOptions,
  SubscriptionProtocol,
} from '../../src/engine/topic/subscription.ts';
import type { PushFormat, PushStrategy } from '../../src/engine/topic/push-transport.ts';
import { endpointProblem, isLocalFunction } from '../../src/engine/topic/push-endpoint.ts';
import type { Topic } from '../../src/engine/topic/topic.ts';
import { CmqFailure } from './error-mapper.ts';
import type { Parameters } from './request-parameters.ts';

/** @throws CmqFailure */
export function subscriptionOptions(topic: Topic, parameters: Parameters): SubscriptionOptions {
  const protocol = protocolOf(parameters.text('protocol'));
  const endpoint = parameters.text('endpoint');
  checkEndpoint(protocol, endpoint);
  return {
    protocol,
    endpoint,
    strategy: 'EXPONENTIAL_DECAY_RETRY',
    format: protocol === 'queue' ? 'SIMPLIFIED' : 'JSON',
    filterTags: [],
    bindingKeys: [],
    ...subscriptionChanges(topic, { protocol, endpoint }, parameters),
  };
}

/** Where a subscription leads. */
type Target = Pick<SubscriptionOptions, 'protocol' | 'endpoint'>;

/** Protocol and endpoint are those of the subscription. @throws CmqFailure */
export function checkUnchanged({ protocol, endpoint }: Target, parameters: Parameters): void {
  const wantedProtocol = parameters.optionalText('protocol') ?? protocol;
  const wantedEndpoint = parameters.optionalText('endpoint') ?? endpoint;
  const isSameEndpoint =
    protocol === 'queue'
      ? wantedEndpoint.toLowerCase() === endpoint.toLowerCase()
      : wantedEndpoint === endpoint;
  if (protocolOf(wantedProtocol) !== protocol || !isSameEndpoint) {
    throw new CmqFailure('PARAMETERS_WRONG', 'protocol and endpoint of a subscription stay');
  }
}

/** What a call says about attributes that may change. @throws CmqFailure */
export function subscriptionChanges(
  topic: Topic,
  target: Target,
  parameters: Parameters,
): SubscriptionChanges {
  const strategy = parameters.optionalText('notifyStrategy') as PushStrategy | undefined;
  const format = parameters.optionalText('notifyContentFormat') as PushFormat | undefined;
  checkFormat(target, format);
  const filterTags = parameters.list('filterTag');
  const bindingKeys = parameters.list('bindingKey');
  checkFilters(topic, filterTags, bindingKeys);
  const secret = parameters.optionalText('secret');
  if (secret !== undefined && secret !== '') checkSignable(target);
  const deadLetterQueue = parameters.optionalText('deadLetterQueueName');
  return {
    ...(strategy !== undefined && { strategy }),
    ...(format !== undefined && { format }),
    ...(parameters.has('filterTag') && { filterTags: [...new Set(filterTags)] }),
    ...(parameters.has('bindingKey') && { bindingKeys: [...new Set(bindingKeys)] }),
    // Empty texts end what they name.
    ...(secret !== undefined && { secret: secret === '' ? undefined : secret }),
    ...(deadLetterQueue !== undefined && {
      deadLetterQueue: deadLetterQueue === '' ? undefined : deadLetterQueue,
    }),
  };
}

/** `https` is `http` with another kind of address. */
function protocolOf(text: string): SubscriptionProtocol {
  return text === 'https' ? 'http' : (text as SubscriptionProtocol);
}

function checkFormat({ protocol }: Target, format: PushFormat | undefined): void {
  if (protocol === 'queue' && format === 'JSON') throw new CmqFailure('QUEUE_CONTENT_FORMAT');
  if (protocol === 'function' && format === 'SIMPLIFIED') {
    throw new CmqFailure('PARAMETERS_WRONG', 'a function gets its event, which is JSON');
  }
}

/** Only what goes over HTTP has a header for a signature. */
function checkSignable({ protocol, endpoint }: Target): void {
  if (protocol === 'queue' || isLocalFunction(endpoint)) {
    throw new CmqFailure('PARAMETERS_WRONG', 'secret is for pushes over HTTP');
  }
}

const ENDPOINT_ERRORS = {
  blanks: 'ENDPOINT_BLANKS',
  format: 'ENDPOINT_FORMAT',
  illegal: 'ENDPOINT_ILLEGAL',
} as const;

function checkEndpoint(protocol: SubscriptionProtocol, endpoint: string): void {
  const problem = endpointProblem(protocol, endpoint);
  if (problem !== undefined) throw new CmqFailure(ENDPOINT_ERRORS[problem]);
}

/** A filter of the other kind would never be asked: better said at once. */
function checkFilters(
  topic: Topic,
  filterTags: readonly string[],
  bindingKeys: readonly string[],
): void {
  const { filterType } = topic.record;
  if (filterType === 1 && bindingKeys.length > 0) {
    throw new CmqFailure('PARAMETERS_WRONG', 'bindingKey is for topics of filterType 2');
  }
  if (filterType === 2 && filterTags.length > 0) {
    throw new CmqFailure('PARAMETERS_WRONG', 'filterTag is for topics of filterType 1');
  }
}
