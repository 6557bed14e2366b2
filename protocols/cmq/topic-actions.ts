/**
 * What owners do with topics over CMQ: create, list, look at, change, delete, and publish
 * (reference 2.4). Everything that changes something is answered once it is on disk.
 */
import { type TopicChanges, TOPIC_RETENTION_RANGE } from '../../src/engine/topic/topic.ts';
import type { CmqCall, CmqDeps, CmqHandlers } from './dispatcher.ts';
import { CmqFailure } from './error-mapper.ts';
import { answerTrace } from './inspect-actions.ts';
import { pageOf } from './queue-description.ts';
import type { Parameters } from './request-parameters.ts';
import { resourceFilter, resourceTagsOf } from './resource-tags.ts';
import { describeTopic, topicEntry, topicOf } from './topic-description.ts';
import { topicFailuresOf } from './topic-failures.ts';
import { publishBatch, publishOne } from './topic-publish.ts';
import { REQUEST_BYTES_MAX } from './spec/queue-actions.ts';

/** Handlers of all actions on topics. */
export function topicHandlers(deps: CmqDeps): CmqHandlers {
  return new Map(
    topicFailuresOf({
      CreateTopic: (call) => create(call, deps),
      SetTopicAttributes: (call) => setAttributes(call, deps),
      ListTopic: (call) => list(call),
      GetTopicAttributes: (call) => call.reply(describeTopic(topicOf(call))),
      DeleteTopic: (call) => remove(call, deps),
      QueryTopicTrace: (call) => queryTrace(call, deps),
      PublishMessage: (call) => publishOne(call, deps),
      BatchPublishMessage: (call) => publishBatch(call, deps),
    }),
  );
}

function create(call: CmqCall, { broker, settings }: CmqDeps): void {
  const { parameters, vhost } = call;
  const { topic, ticket } = vhost.topics.create(
    call.actor,
    parameters.text('topicName'),
    {
      filterType: parameters.optionalInteger('filterType') === 2 ? 2 : 1,
      maxMsgSize: REQUEST_BYTES_MAX,
      msgRetentionSeconds: TOPIC_RETENTION_RANGE.max,
      trace: false,
      tags: [],
      ...changesOf(parameters),
    },
    settings.topicsMax,
  );
  broker.hold(ticket, () => call.reply({ topicId: topic.record.id }));
}

function setAttributes(call: CmqCall, { broker }: CmqDeps): void {
  const topic = topicOf(call);
  const filterType = call.parameters.optionalInteger('filterType') ?? topic.record.filterType;
  if (filterType !== topic.record.filterType) {
    throw new CmqFailure('PARAMETERS_WRONG', 'filterType of a topic cannot change');
  }
  const ticket = call.vhost.topics.change(call.actor, topic, changesOf(call.parameters));
  broker.hold(ticket, () => call.reply({}));
}

/** What a call says about attributes that may change. */
function changesOf(parameters: Parameters): TopicChanges {
  const maxMsgSize = parameters.optionalInteger('maxMsgSize');
  const msgRetentionSeconds = parameters.optionalInteger('msgRetentionSeconds');
  const trace = parameters.optionalFlag('trace');
  const tags = resourceTagsOf(parameters);
  return {
    ...(maxMsgSize !== undefined && { maxMsgSize }),
    ...(msgRetentionSeconds !== undefined && { msgRetentionSeconds }),
    ...(trace !== undefined && { trace }),
    ...(tags !== undefined && { tags }),
  };
}

/** Topics the caller has some right on, by name. API 3.0 gets every attribute of each. */
function list(call: CmqCall): void {
  const { parameters, vhost } = call;
  const isWanted = resourceFilter(parameters, 'topicNameList', 'TopicName');
  const found = vhost.topics
    .visibleTo(call.actor)
    .filter(({ name, record: { tags } }) => isWanted({ name, tags }));
  const page = pageOf(parameters, found);
  call.reply({
    totalCount: found.length,
    topicList: page.map(call.api === 2 ? topicEntry : describeTopic),
  });
}

function remove(call: CmqCall, { broker }: CmqDeps): void {
  const ticket = call.vhost.topics.delete(call.actor, topicOf(call));
  broker.hold(ticket, () => call.reply({}));
}

/** What became of the topic's messages, up to their delivery to each subscription. */
function queryTrace(call: CmqCall, { clock }: CmqDeps): void {
  const { trace } = topicOf(call);
  answerTrace(call, clock, (options, done) => trace.query(options, done));
}
