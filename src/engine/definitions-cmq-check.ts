/**
 * Whether the CMQ rows of a definitions document fit what there is and will be: what each refers
 * to, what can never change, and the rules of dead-letter bindings (docs/CMQ.md, "Dead letters").
 */
import type { Broker } from './broker.ts';
import { isInternal, isUsable, SOURCES_MAX } from './cmq/cmq-queues.ts';
import type { WantedAttributes } from './cmq/queue-attributes.ts';
import {
  cmqText,
  type CmqQueueRecord,
  type CmqSubscriptionRecord,
  type CmqTopicRecord,
  subscriptionText,
} from './definitions-cmq.ts';
import type { DefinitionsDocument } from './definitions-document.ts';
import type { Destination, Exchange } from './exchange/exchange.ts';
import type { Topic } from './topic/topic.ts';
import { filtersOf } from './topic/topics.ts';

/** What the check of the rest of the document knows. */
export interface CheckHost {
  /** Notes a problem unless the vhost exists or will. */
  knows(text: string, vhost: string): void;
  /** Notes each text that is there twice. */
  unique(texts: readonly string[]): void;
  /** Notes what is thrown. @param text names the entry */
  try(text: string, action: () => unknown): void;
  /** A copy of an exchange that exists or will, for trying bindings on. */
  exchange(vhost: string, name: string): Exchange | undefined;
}

type Binding = NonNullable<WantedAttributes['deadLetter']>;

export class CmqDefinitionsCheck {
  readonly #broker: Broker;
  readonly #document: DefinitionsDocument;
  readonly #host: CheckHost;
  /** Bindings as they will be, by vhost and source. */
  readonly #bindings: Map<string, Map<string, Pick<Binding, 'queueName'>>>;

  constructor(broker: Broker, document: DefinitionsDocument, host: CheckHost) {
    this.#broker = broker;
    this.#document = document;
    this.#host = host;
    this.#bindings = new Map();
  }

  run(): void {
    const { cmqQueues, cmqTopics, cmqSubscriptions } = this.#document;
    this.#host.unique(cmqQueues.map((row) => cmqText('queue', row)));
    // Names of topics and subscriptions do not regard case.
    this.#host.unique(
      cmqTopics.map((row) => cmqText('topic', { ...row, name: row.name.toLowerCase() })),
    );
    this.#host.unique(
      cmqSubscriptions.map((row) => subscriptionText({ ...row, name: row.name.toLowerCase() })),
    );
    for (const row of cmqQueues) this.#checkQueue(row);
    for (const row of cmqQueues) this.#checkBinding(row);
    for (const row of cmqTopics) this.#checkTopic(row);
    for (const row of cmqSubscriptions) this.#checkSubscription(row);
  }

  #checkQueue(row: CmqQueueRecord): void {
    const text = cmqText('queue', row);
    this.#host.knows(text, row.vhost);
    this.#mustBeUsable(text, row.vhost, row.name);
    const bindings = this.#bindingsOf(row.vhost);
    const { deadLetter } = row.attributes;
    if (deadLetter === undefined) bindings.delete(row.name);
    else bindings.set(row.name, deadLetter);
  }

  #checkBinding(row: CmqQueueRecord): void {
    const { vhost, name, attributes } = row;
    if (attributes.deadLetter === undefined) return;
    const { queueName } = attributes.deadLetter;
    const text = `${cmqText('queue', row)}: deadLetterPolicy`;
    this.#mustBeUsable(text, vhost, queueName);
    const bindings = this.#bindingsOf(vhost);
    const targets = [...bindings.values()].map((binding) => binding.queueName);
    if (queueName === name) {
      this.#fail(text, 'a queue cannot take its own dead letters');
    } else if (bindings.has(queueName)) {
      this.#fail(text, `queue '${queueName}' has a dead-letter queue itself`);
    } else if (targets.includes(name)) {
      this.#fail(text, 'the queue takes dead letters itself');
    } else if (targets.filter((target) => target === queueName).length > SOURCES_MAX) {
      this.#fail(text, `queue '${queueName}' takes the dead letters of more than ${SOURCES_MAX}`);
    }
  }

  #checkTopic(row: CmqTopicRecord): void {
    const { vhost, name, options } = row;
    const text = cmqText('topic', row);
    this.#host.knows(text, vhost);
    const existing = this.#topic(vhost, name);
    if (existing !== undefined && existing.name !== name) {
      this.#fail(text, `there is a topic '${existing.name}'`);
    } else if (existing !== undefined && existing.record.filterType !== options.filterType) {
      this.#fail(text, `filterType is ${existing.record.filterType} and cannot change`);
    }
    const type = options.filterType === 1 ? 'x-tags' : 'topic';
    const exchange = this.#host.exchange(vhost, name);
    if (exchange?.type !== type || !exchange.isDurable) {
      this.#fail(text, `there is no durable exchange of its name and of type ${type}`);
    }
  }

  #checkSubscription(row: CmqSubscriptionRecord): void {
    const { vhost, options } = row;
    const text = subscriptionText(row);
    this.#host.knows(text, vhost);
    const topic = this.#document.cmqTopics.find(
      (each) => each.vhost === vhost && each.name === row.topic,
    );
    const existing = this.#topic(vhost, row.topic);
    const filterType = topic?.options.filterType ?? existing?.record.filterType;
    if (filterType === undefined || (topic === undefined && existing?.name !== row.topic)) {
      this.#fail(text, 'there is no such topic');
      return;
    }
    this.#checkStays(row, existing);
    const wrong = filterType === 1 ? options.bindingKeys : options.filterTags;
    if (wrong.length > 0) this.#fail(text, 'its filter is for the other filterType');
    if (filterType === 2 && options.bindingKeys.length === 0) {
      this.#fail(text, 'a topic of filterType 2 needs bindingKeys');
    }
    this.#host.try(text, () => this.#tryFilters(row, filterType));
    const { protocol, endpoint, deadLetterQueue } = options;
    const queues = protocol === 'queue' ? [endpoint, deadLetterQueue] : [deadLetterQueue];
    for (const queue of queues) {
      if (queue === undefined || this.#isUsable(vhost, queue)) continue;
      this.#document.warnings.push(`${text}: there is no queue '${queue}' for its messages`);
    }
  }

  /** What Subscribe alone decides. */
  #checkStays(row: CmqSubscriptionRecord, topic: Topic | undefined): void {
    const existing = topic?.subscription(row.name);
    if (existing === undefined) return;
    const { protocol, endpoint } = existing.record;
    const { options } = row;
    if (existing.subscriptionName !== row.name) {
      this.#fail(subscriptionText(row), `there is a subscription '${existing.subscriptionName}'`);
    } else if (protocol !== options.protocol || endpoint !== options.endpoint) {
      const text = `protocol and endpoint are ${protocol} '${endpoint}' and cannot change`;
      this.#fail(subscriptionText(row), text);
    }
  }

  #tryFilters({ vhost, topic, options }: CmqSubscriptionRecord, filterType: 1 | 2): void {
    const exchange = this.#host.exchange(vhost, topic);
    const probe: Destination = { name: '', isExchange: false };
    for (const { key, args } of filtersOf({ record: { filterType } }, options)) {
      exchange?.bind(probe, key, args);
      exchange?.unbind(probe, key, args);
    }
  }

  #topic(vhost: string, name: string): Topic | undefined {
    return this.#broker.vhost(vhost)?.topics.find(name);
  }

  #mustBeUsable(text: string, vhost: string, name: string): void {
    if (this.#isUsable(vhost, name)) return;
    this.#fail(text, `there is no queue '${name}' that CMQ can use`);
  }

  /** Exists, or will, and is durable and no stream. */
  #isUsable(vhost: string, name: string): boolean {
    const existing = this.#broker.vhost(vhost)?.topology.queues.get(name);
    if (existing !== undefined) return isUsable(existing);
    const row = this.#document.queues.find((each) => each.vhost === vhost && each.name === name);
    if (row === undefined || !row.durable || isInternal(name)) return false;
    return row.arguments.get('x-queue-type') !== 'stream';
  }

  #bindingsOf(vhost: string): Map<string, Pick<Binding, 'queueName'>> {
    let bindings = this.#bindings.get(vhost);
    if (bindings === undefined) {
      bindings = new Map();
      this.#bindings.set(vhost, bindings);
      for (const [queue, { deadLetter }] of this.#broker.vhost(vhost)?.cmq.queues.records() ?? []) {
        if (deadLetter !== undefined) bindings.set(queue.name, deadLetter);
      }
    }
    return bindings;
  }

  #fail(text: string, problem: string): void {
    this.#document.problems.push(`${text}: ${problem}`);
  }
}
