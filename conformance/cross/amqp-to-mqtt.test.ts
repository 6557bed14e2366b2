/** What AMQP publishes, as devices see it, and questions and answers both ways. */
import { expect } from 'vitest';
import { useCross } from '../support/cross-test.ts';
import { pause, VERSIONS } from '../support/mqtt-test.ts';
import { PUBACK } from '../support/mqtt-wire.ts';

const { crossTest, peer } = useCross();

for (const version of VERSIONS) {
  crossTest(
    { section: 'topics', rule: `${version}: a publish to amq.topic reaches subscribed devices` },
    async (t) => {
      const own = t.name();
      const exact = await t.subscriber(`${own}/a/b`, 1, { version });
      const wild = await t.subscriber(`${own}/+/b`, 1, { version });
      const other = await t.subscriber(`${own}/c/#`, 1, { version });
      const channel = await t.channel();
      channel.publish('amq.topic', `${own}.a.b`, Buffer.from('hi'), { persistent: true });
      for (const device of [exact, wild]) {
        const message = await device.message();
        expect(message).toMatchObject({ topic: `${own}/a/b`, qos: 1, retain: false, dup: false });
        expect(message.payload.toString()).toBe('hi');
      }
      await other.silent(150);
    },
  );

  crossTest(
    { section: 'delivery-mode', rule: `${version}: transient is QoS 0, persistent QoS 1` },
    async (t) => {
      const topic = t.name();
      const device = await t.subscriber(topic, 1, { version });
      const channel = await t.channel();
      channel.publish('amq.topic', topic, Buffer.from('a'), { persistent: false });
      channel.publish('amq.topic', topic, Buffer.from('b'), { persistent: true });
      expect((await device.messages(2)).map(({ qos }) => qos)).toEqual([0, 1]);
    },
  );
}

crossTest({ section: 'properties', rule: 'AMQP properties are 5.0 properties' }, async (t) => {
  const topic = t.name();
  const device = await t.subscriber(topic, 1);
  const channel = await t.channel();
  channel.publish('amq.topic', topic, Buffer.from('{}'), {
    persistent: true,
    contentType: 'application/json',
    correlationId: 'order-7',
    expiration: '90500',
    headers: { text: 'v', number: 7, fraction: 1.5, yes: true, table: { a: 1 }, list: [1] },
  });
  const { properties } = await device.message();
  expect(properties.contentType).toBe('application/json');
  expect(properties.correlationData?.toString()).toBe('order-7');
  // RabbitMQ tells the expiry of messages of its own MQTT clients only.
  if (peer === undefined) {
    expect(properties.messageExpiry).toBeGreaterThan(80);
    expect(properties.messageExpiry).toBeLessThanOrEqual(91);
  }
  const user = Object.fromEntries(properties.user ?? []);
  expect(user).toMatchObject({ text: 'v', number: '7', yes: 'true' });
  expect(Number(user['fraction'])).toBe(1.5);
  expect(Object.keys(user)).not.toContain('table');
  expect(Object.keys(user)).not.toContain('list');
});

crossTest(
  {
    section: 'properties',
    rule: 'content encoding utf-8 is payload format 1',
    unlike: { rabbitmq: 'not from AMQP 0-9-1' },
  },
  async (t) => {
    const topic = t.name();
    const device = await t.subscriber(topic, 1);
    const options = { contentEncoding: 'utf-8' };
    (await t.channel()).publish('amq.topic', topic, Buffer.from('ü'), options);
    expect((await device.message()).properties.payloadFormat).toBe(1);
  },
);

crossTest({ section: 'sessions', rule: 'an absent device gets it when it is back' }, async (t) => {
  const topic = t.name();
  const keep = { clientId: t.name('c'), cleanStart: false, properties: { sessionExpiry: 60 } };
  await (await t.subscriber(topic, 1, keep)).disconnect();
  const channel = await t.channel();
  for (let index = 0; index < 5; index += 1) {
    channel.publish('amq.topic', topic, Buffer.from(`${index}`), { persistent: true });
  }
  await pause(300);
  const device = await t.connect(keep);
  const got = await device.messages(5);
  expect(got.map(({ payload }) => payload.toString())).toEqual(['0', '1', '2', '3', '4']);
});

crossTest(
  { section: 'confirms', rule: 'a confirm comes for a message that only devices take' },
  async (t) => {
    const topic = t.name();
    const keep = { clientId: t.name('c'), cleanStart: false, properties: { sessionExpiry: 60 } };
    const device = await t.subscriber(topic, 1, { ...keep, manualAck: true });
    const confirms = await t.confirmChannel();
    let returned = 0;
    confirms.on('return', () => {
      returned += 1;
    });
    const options = { persistent: true, mandatory: true };
    confirms.publish('amq.topic', topic, Buffer.from('x'), options);
    await confirms.waitForConfirms();
    expect(returned).toBe(0);
    const message = await device.message();
    device.ack(PUBACK, message.packetId);
    confirms.publish('amq.topic', `${topic}.nobody`, Buffer.from('x'), options);
    await confirms.waitForConfirms();
    expect(returned).toBe(1);
  },
);

crossTest(
  { section: 'request', rule: 'a device asks, an AMQP service answers to its response topic' },
  async (t) => {
    const own = t.name();
    const channel = await t.channel();
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, 'amq.topic', `${own}.requests`);
    await channel.consume(
      queue,
      (message) => {
        if (message === null) return;
        const { headers, correlationId } = message.properties;
        channel.publish(
          'amq.topic',
          String(headers?.['x-reply-to-topic']),
          Buffer.from(`re: ${message.content.toString()}`),
          { correlationId: String(correlationId) },
        );
      },
      { noAck: true },
    );
    const device = await t.subscriber(`${own}/answers/1`, 1);
    await device.publish(`${own}/requests`, 'hi', {
      qos: 1,
      properties: { responseTopic: `${own}/answers/1`, correlationData: Buffer.from('77') },
    });
    const answer = await device.message();
    expect(answer.payload.toString()).toBe('re: hi');
    expect(answer.properties.correlationData?.toString()).toBe('77');
  },
);

for (const kind of ['a queue', 'direct reply-to'] as const) {
  crossTest(
    {
      section: 'request',
      rule: `an AMQP client asks with ${kind}, a device answers`,
      unlike: { rabbitmq: 'a reply-to is not shown to devices' },
    },
    async (t) => {
      const own = t.name();
      const device = await t.subscriber(`${own}/commands`, 1);
      const channel = await t.channel();
      const queue =
        kind === 'a queue'
          ? (await channel.assertQueue('', { exclusive: true })).queue
          : 'amq.rabbitmq.reply-to';
      const answers = await t.consume(channel, queue);
      channel.publish('amq.topic', `${own}.commands`, Buffer.from('open'), {
        replyTo: queue,
        correlationId: 'c-1',
        persistent: true,
      });
      const { properties } = await device.message();
      expect(properties.responseTopic).toBeDefined();
      const { correlationData } = properties;
      await device.publish(properties.responseTopic!, 'done', {
        qos: 1,
        properties: correlationData === undefined ? {} : { correlationData },
      });
      const answer = await answers.next();
      expect(answer.content.toString()).toBe('done');
      expect(answer.properties.correlationId as string).toBe('c-1');
    },
  );
}

crossTest(
  { section: 'shared', rule: 'AMQP publishes go to one member', unlike: { rabbitmq: 'has none' } },
  async (t) => {
    const topic = t.name();
    const filter = `$share/${t.name('g')}/${topic}`;
    const members = [await t.subscriber(filter, 1), await t.subscriber(filter, 1)];
    const alone = await t.subscriber(topic, 1);
    const channel = await t.channel();
    for (let index = 0; index < 20; index += 1) {
      channel.publish('amq.topic', topic, Buffer.from(`${index}`), { persistent: true });
    }
    await alone.messages(20);
    const total = (): number => members.reduce((sum, { unread }) => sum + unread.length, 0);
    await expect.poll(total).toBeGreaterThanOrEqual(20);
    // Copies that should not be would come late.
    await pause(150);
    expect(total()).toBe(20);
  },
);

crossTest(
  { section: 'dead letters', rule: 'a dead-letter exchange amq.topic tells devices' },
  async (t) => {
    const own = t.name();
    const device = await t.subscriber(`${own}/dead`, 1);
    const channel = await t.channel();
    const { queue } = await channel.assertQueue('', {
      exclusive: true,
      arguments: {
        'x-dead-letter-exchange': 'amq.topic',
        'x-dead-letter-routing-key': `${own}.dead`,
        'x-message-ttl': 50,
      },
    });
    channel.sendToQueue(queue, Buffer.from('late'), { persistent: true });
    const message = await device.message();
    expect(message.topic).toBe(`${own}/dead`);
    expect(message.payload.toString()).toBe('late');
  },
);

crossTest(
  { section: 'limits', rule: 'a message above the device’s maximum packet size is not sent' },
  async (t) => {
    const topic = t.name();
    const device = await t.subscriber(topic, 1, { properties: { maximumPacketSize: 300 } });
    const channel = await t.channel();
    channel.publish('amq.topic', topic, Buffer.alloc(1000), { persistent: true });
    channel.publish('amq.topic', topic, Buffer.from('small'), { persistent: true });
    expect((await device.message()).payload.toString()).toBe('small');
  },
);

crossTest({ section: 'bodies', rule: '1 MiB and nothing at all, byte for byte' }, async (t) => {
  const topic = t.name();
  const device = await t.subscriber(topic, 1);
  const channel = await t.channel();
  const large = Buffer.alloc(1024 * 1024, 'abcde');
  channel.publish('amq.topic', topic, large, { persistent: true });
  channel.publish('amq.topic', topic, Buffer.alloc(0), { persistent: true });
  const [first, second] = await device.messages(2);
  expect(first!.payload.equals(large)).toBe(true);
  expect(second!.payload.length).toBe(0);
  if (peer === undefined) expect(first!.properties).toEqual({});
});
