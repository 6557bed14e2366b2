/** One topic seen by AMQP and MQTT clients: what is routed, and how they learn what is not. */
import { describe, expect, it } from 'vitest';
import type { SubscriptionOptions } from '../../../src/engine/topic/subscription.ts';
import type { FilterType, Topic } from '../../../src/engine/topic/topic.ts';
import type { EngineFixture } from '../../support/engine-fixture.ts';
import { Harness as AmqpHarness } from '../amqp/amqp-harness.ts';
import { Harness as MqttHarness } from '../mqtt/mqtt-harness.ts';

const NO_MATCHING_SUBSCRIBERS = 0x10;

function makeTopic({ vhost, actor }: EngineFixture, filterType: FilterType): Topic {
  return vhost.topics.create(actor, 'T', {
    filterType,
    maxMsgSize: 65_536,
    msgRetentionSeconds: 86_400,
    trace: false,
    tags: [],
  }).topic;
}

function subscribe(
  engine: EngineFixture,
  topic: Topic,
  filter: Partial<SubscriptionOptions>,
): void {
  engine.queue('q');
  engine.vhost.topics.subscribe(engine.actor, topic, 'S', {
    protocol: 'queue',
    endpoint: 'q',
    strategy: 'EXPONENTIAL_DECAY_RETRY',
    format: 'SIMPLIFIED',
    filterTags: [],
    bindingKeys: [],
    ...filter,
  });
}

describe('AMQP', () => {
  it('publishes to a topic as to any exchange, and gets back what no filter takes', async () => {
    const harness = await AmqpHarness.open();
    const topic = makeTopic(harness.fixture, 1);
    const client = await harness.connect();
    const tagged = (...tags: string[]) => ({
      mandatory: true,
      headers: new Map([['x-msg-tag', tags]]),
    });
    client.publish(1, 'T', '', 'nobody', tagged('a'));
    expect((await client.next('basic.return')).fields).toMatchObject({ replyCode: 312 });
    subscribe(harness.fixture, topic, { filterTags: ['a'] });
    client.publish(1, 'T', '', 'other', tagged('b'));
    expect((await client.next('basic.return')).body!.toString()).toBe('other');
    client.publish(1, 'T', '', 'mine', tagged('b', 'a'));
    const got = await client.call('basic.get', 1, ['q', true], 'basic.getOk');
    expect(got.body!.toString()).toBe('mine');
    expect(got.properties!.headers!.get('x-subscription')).toBe('T/S');
    expect(got.properties!.headers!.get('x-msg-id')).toMatch(/^\d+$/);
  });

  it('is given no routing key that is longer than one can be', async () => {
    const harness = await AmqpHarness.open();
    makeTopic(harness.fixture, 2);
    harness.fixture.queue('all');
    harness.fixture.bind('all', 'amq.topic', '#');
    const client = await harness.connect();
    await client.consume(1, 'all', { noAck: true });
    client.publish(1, 'T', 'k'.repeat(253), 'fits');
    client.publish(1, 'T', 'k'.repeat(254), 'does not');
    const headers = new Map([['CC', ['short']]]);
    client.publish(1, 'T', 'k'.repeat(254), 'goes by its copy', { headers });
    const got = await client.all();
    expect(got.map(({ body }) => body!.toString())).toEqual(['fits', 'goes by its copy']);
    expect(got[1]!.fields['routingKey']).toBe('T.short');
  });
});

describe('MQTT', () => {
  it('publishes to a routing-key topic, and is told 0x10 when no filter takes it', async () => {
    const harness = await MqttHarness.open();
    const { fixture } = harness;
    const topic = makeTopic(fixture, 2);
    const client = await harness.connect('device');
    const publish = async (name: string): Promise<number> => {
      client.publish(name, name, { qos: 1, messageId: 7 });
      return (await client.next('puback')).reasonCode as number;
    };
    expect(await publish('T/a/b')).toBe(NO_MATCHING_SUBSCRIBERS);
    subscribe(fixture, topic, { bindingKeys: ['a.*'] });
    expect(await publish('T/a/b')).toBe(0);
    expect(await publish('T/b')).toBe(NO_MATCHING_SUBSCRIBERS);
    expect(fixture.get('q')!.body).toBe('T/a/b');
    expect(fixture.get('q')).toBeUndefined();
  });

  it('publishes to a tag topic with tags as user property', async () => {
    const harness = await MqttHarness.open();
    const { fixture } = harness;
    subscribe(fixture, makeTopic(fixture, 1), { filterTags: ['red'] });
    const client = await harness.connect('device');
    const userProperties = { 'x-msg-tag': 'red' };
    client.publish('T', 'body', { qos: 1, messageId: 1, properties: { userProperties } });
    expect((await client.next('puback')).reasonCode).toBe(0);
    expect(fixture.get('q')!.body).toBe('body');
  });

  it('is told the tags of a message, from the topic and from a queue', async () => {
    const harness = await MqttHarness.open();
    const { fixture } = harness;
    subscribe(fixture, makeTopic(fixture, 1), { filterTags: ['red'] });
    const client = await harness.connect('device');
    await client.subscribe('T/#', { qos: 1 });
    await client.subscribe('$share/g/$queue/q', { qos: 1 });
    const tagged = (tags: string[]) => ({
      persistent: true,
      headers: new Map([['x-msg-tag', tags]]),
    });
    fixture.publish('T', '', 'x', tagged(['red', 'big', '红']));
    fixture.publish('T', '', 'y', tagged([]));
    const got = await client.publishes();
    const tags = got.map(({ payload, properties: { userProperties } }) => [
      payload.toString(),
      userProperties['x-msg-tag'],
    ]);
    expect(tags.toSorted()).toEqual([
      ['x', 'red,big,红'],
      ['x', 'red,big,红'],
      ['y', undefined],
    ]);
  });

  it('hears what is published to a topic, below its name, once', async () => {
    const harness = await MqttHarness.open();
    const { fixture } = harness;
    makeTopic(fixture, 2);
    const client = await harness.connect('device');
    await client.subscribe('T/#', { qos: 1 });
    await client.subscribe('T/+/b', { qos: 0 });
    fixture.publish('T', 'a.b', 'from-amqp', { persistent: true });
    const [first, ...others] = await client.publishes();
    expect(first).toMatchObject({ topic: 'T/a/b', qos: 1 });
    expect(first.properties.userProperties['x-msg-id']).toMatch(/^\d+$/);
    expect(others).toEqual([]);
    client.publish('T/a/b', 'from-device', { qos: 0 });
    expect(await client.messages()).toHaveLength(1);
  });
});
