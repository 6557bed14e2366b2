/**
 * PublishMessage and BatchPublishMessage (reference 2.4): answered once every copy is on disk. A
 * batch is checked as a whole before any of it is published.
 *
 * Every copy carries the id that the reply tells, and the tags. What reaches nobody fails with
 * 6030, but for one case: tags that no filter wants are dropped without a word, as the vendor's
 * documents say, unless `failsUnmatched` is set.
 */
import { EMPTY_TABLE } from '../../src/base/field-value.ts';
import { FORMAT_AMQP, FORMAT_NAMED, Message } from '../../src/engine/message.ts';
import { PUBLISH_REJECTED, PUBLISH_ROUTED } from '../../src/engine/publish.ts';
import { MESSAGE_ID_HEADER } from '../../src/engine/queue/message-id.ts';
import { MESSAGE_TAGS } from '../../src/engine/exchange/tags-exchange.ts';
import type { Topic } from '../../src/engine/topic/topic.ts';
import type { CmqCall, CmqDeps } from './dispatcher.ts';
import { CmqFailure } from './error-mapper.ts';
import { bodyFrom, checkSizes, messageTo } from './message-body.ts';
import { whoCalls } from './queue-description.ts';
import { topicOf } from './topic-description.ts';

/** Header of a message without properties; the body is not in it. */
const BLANK = messageTo('', Buffer.alloc(0), 0);
/** Offset of the low half of the body size in a header. */
const BODY_SIZE_AT = 8;

export function publishOne(call: CmqCall, deps: CmqDeps): void {
  const { topic, ids, byteCount } = publish(call, deps, [call.parameters.text('msgBody')]);
  topic.counters.publishRequests += 1;
  topic.counters.publishedMessages += 1;
  topic.counters.publishedBytes += byteCount;
  const [msgId] = ids;
  deps.broker.hold(deps.broker.ticket, () => call.reply({ msgId }));
}

export function publishBatch(call: CmqCall, deps: CmqDeps): void {
  const { topic, ids, byteCount } = publish(call, deps, call.parameters.list('msgBody'));
  topic.counters.batchPublishRequests += 1;
  topic.counters.batchPublishedMessages += ids.length;
  topic.counters.batchPublishedBytes += byteCount;
  const msgList = ids.map((msgId) => ({ msgId }));
  deps.broker.hold(deps.broker.ticket, () => call.reply({ msgList }));
}

/** What was accepted: ids in order, and the bytes of all bodies. */
interface Published {
  readonly topic: Topic;
  readonly ids: readonly string[];
  readonly byteCount: number;
}

/** @throws CmqFailure, BrokerError */
function publish(call: CmqCall, deps: CmqDeps, texts: readonly string[]): Published {
  const { parameters, vhost } = call;
  const topic = topicOf(call);
  const routingKey = parameters.optionalText('routingKey') ?? '';
  if (topic.record.filterType === 2 && routingKey === '') {
    throw new CmqFailure('ROUTING_KEY_MISSING');
  }
  const encoding = parameters.optionalText('bodyEncoding');
  const bodies = texts.map((text) => bodyFrom(text, encoding));
  const byteCount = checkSizes(bodies, topic.record.maxMsgSize);
  if (deps.broker.alarms.size > 0) {
    throw new CmqFailure('SEND_FAILED', 'the server is short of memory or disk space');
  }
  const tags = parameters.list('msgTag');
  const ids = bodies.map(() => vhost.topics.nextMessageId());
  let isRejected = false;
  let isUnrouted = false;
  vhost.cmq.traces.as(whoCalls(call), () => {
    for (const [at, body] of bodies.entries()) {
      const route = vhost.resolveRoute(call.actor, topic.name, routingKey);
      topic.trace.write('published', { msgId: ids[at]! });
      const message = makeMessage(deps, topic, routingKey, body, ids[at]!, tags);
      const result = vhost.publish(route, message);
      if ((result & PUBLISH_REJECTED) !== 0) isRejected = true;
      if ((result & PUBLISH_ROUTED) === 0) isUnrouted = true;
    }
  });
  if (isRejected) throw new CmqFailure('QUEUE_FULL');
  if (isUnrouted) checkUnrouted(topic, deps);
  return { topic, ids, byteCount };
}

/** @throws CmqFailure unless the message may be dropped without a word */
function checkUnrouted(topic: Topic, { settings }: CmqDeps): void {
  if (!topic.hasSubscribers) throw new CmqFailure('NO_SUBSCRIPTION');
  if (topic.record.filterType === 2 || settings.failsUnmatched) throw new CmqFailure('NO_MATCH');
}

function makeMessage(
  { broker, clock }: CmqDeps,
  topic: Topic,
  routingKey: string,
  body: Buffer,
  msgId: string,
  tags: readonly string[],
): Message {
  const set = new Map(EMPTY_TABLE).set(MESSAGE_ID_HEADER, msgId);
  if (tags.length > 0) set.set(MESSAGE_TAGS, [...tags]);
  const header = broker.formats[FORMAT_AMQP]!.edit(BLANK, { set });
  header.writeUInt32BE(body.length, BODY_SIZE_AT);
  const bytes = Buffer.concat([header, body]);
  return new Message(
    topic.exchange.name,
    routingKey,
    FORMAT_AMQP | FORMAT_NAMED,
    bytes,
    0,
    header.length,
    body.length,
    true,
    -1,
    -1,
    clock.wallMs(),
  );
}
