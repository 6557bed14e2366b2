/**
 * CMQ's figures for Prometheus: calls by action and code, and what CMQ's monitoring shows
 * (reference 2.8) of each queue that calls were made for, each topic and each subscription.
 * `SendMsgNum` is `tributary_cmq_send_msg_num_total`.
 */
import type { CmqAcceptor } from '../../protocols/cmq/listener.ts';
import type { Broker } from '../engine/broker.ts';
import type { QueueCounters } from '../engine/cmq/queue-counters.ts';
import type { Queue } from '../engine/queue/queue.ts';
import type { Topic } from '../engine/topic/topic.ts';
import type { SubscriptionCounters, TopicCounters } from '../engine/topic/topic-counters.ts';
import type { LabelledSample } from './metrics.ts';

/** Name without prefix, what it tells, and the counter it comes from. */
type Figure<T> = readonly [name: string, help: string, key: keyof T];

const QUEUE_FIGURES: readonly Figure<QueueCounters>[] = [
  ['send_msg_req_count', 'Calls that sent messages', 'sendRequests'],
  ['send_msg_num', 'Messages sent', 'sentMessages'],
  ['recv_msg_req_count', 'Calls that asked for messages', 'receiveRequests'],
  ['recv_msg_num', 'Messages received', 'receivedMessages'],
  ['recv_null_msg_num', 'ReceiveMessage calls that had none', 'emptyReceives'],
  ['batch_recv_null_msg_num', 'BatchReceiveMessage calls that had none', 'emptyBatchReceives'],
  ['del_msg_req_count', 'Calls that deleted messages', 'deleteRequests'],
  ['del_msg_num', 'Messages deleted', 'deletedMessages'],
];

const TOPIC_FIGURES: readonly Figure<TopicCounters>[] = [
  ['num_of_msg_published', 'Messages of PublishMessage', 'publishedMessages'],
  ['num_of_msg_batch_published', 'Messages of BatchPublishMessage', 'batchPublishedMessages'],
  ['count_of_msg_published', 'PublishMessage calls', 'publishRequests'],
  ['count_of_msg_batch_published', 'BatchPublishMessage calls', 'batchPublishRequests'],
  ['publish_size', 'Bytes of PublishMessage', 'publishedBytes'],
  ['batch_publish_size', 'Bytes of BatchPublishMessage', 'batchPublishedBytes'],
];

const SUBSCRIPTION_FIGURES: readonly Figure<SubscriptionCounters>[] = [
  ['num_of_match', 'Messages that matched a subscription', 'matchedMessages'],
  ['num_of_notify', 'Attempts to deliver', 'attempts'],
  ['num_of_succ_notify', 'Messages that arrived', 'deliveredMessages'],
  ['num_of_abandoned', 'Messages given up', 'abandonedMessages'],
];

/** What has counters, with its labels. */
interface Counted<T> {
  readonly labels: Readonly<Record<string, string>>;
  readonly counters: T;
}

/** The samples of one scrape, those of one name together. */
export function cmqSamples(broker: Broker, acceptor: CmqAcceptor): readonly LabelledSample[] {
  const queues: (Counted<QueueCounters> & { readonly queue: Queue })[] = [];
  const topics: (Counted<TopicCounters> & { readonly topic: Topic })[] = [];
  const subscriptions: Counted<SubscriptionCounters>[] = [];
  for (const vhost of broker.vhosts()) {
    for (const queue of vhost.topology.queues.values()) {
      const counters = vhost.cmq.queues.countersOf(queue);
      if (!isUsed(counters)) continue;
      queues.push({ labels: { vhost: vhost.name, queue: queue.name }, counters, queue });
    }
    for (const topic of vhost.topics.list()) {
      const labels = { vhost: vhost.name, topic: topic.name };
      topics.push({ labels, counters: topic.counters, topic });
      for (const { subscriptionName, counters: own } of topic.subscriptions.values()) {
        const subscription = subscriptionName;
        subscriptions.push({ labels: { ...labels, subscription }, counters: own });
      }
    }
  }
  return [
    ...callSamples(acceptor),
    ...gauges('visible_msg_num', 'Messages ready', queues, ({ queue }) => queue.readyCount),
    ...gauges('invisible_msg_num', 'Messages leased', queues, ({ queue }) => queue.unackedCount),
    ...counters(QUEUE_FIGURES, queues),
    ...gauges('msg_heap_num', 'Messages to be delivered', topics, (t) => t.topic.pendingCount),
    ...counters(TOPIC_FIGURES, topics),
    ...counters(SUBSCRIPTION_FIGURES, subscriptions),
  ];
}

function callSamples(acceptor: CmqAcceptor): LabelledSample[] {
  return acceptor.callCounts().map(({ action, code, count }) => ({
    name: 'tributary_cmq_requests_total',
    help: 'Requests by action and code',
    type: 'counter',
    labels: { action, code: String(code) },
    value: count,
  }));
}

function gauges<T extends Pick<Counted<unknown>, 'labels'>>(
  name: string,
  help: string,
  owners: readonly T[],
  valueOf: (owner: T) => number,
): LabelledSample[] {
  const full = `tributary_cmq_${name}`;
  return owners.map((owner) => {
    return { name: full, help, type: 'gauge', labels: owner.labels, value: valueOf(owner) };
  });
}

function counters<T extends object>(
  figures: readonly Figure<T>[],
  owners: readonly Counted<T>[],
): LabelledSample[] {
  return figures.flatMap(([name, help, key]) =>
    owners.map(({ labels, counters: own }) => ({
      name: `tributary_cmq_${name}_total`,
      help,
      type: 'counter' as const,
      labels,
      value: own[key] as number,
    })),
  );
}

function isUsed(counts: object): boolean {
  return Object.values(counts).some((count) => count !== 0);
}
