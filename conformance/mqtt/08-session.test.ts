import { expect } from 'vitest';
import { pause, texts, useMqtt, VERSIONS } from '../support/mqtt-test.ts';
import { PUBACK, PUBCOMP, publishPacket, PUBREC, PUBREL } from '../support/mqtt-wire.ts';

const { specTest, server } = useMqtt();

for (const version of VERSIONS) {
  const keep = { version, cleanStart: false, properties: { sessionExpiry: 300 } } as const;

  specTest(
    { section: '3.1.2.4', rule: `${version}: subscriptions and messages wait for the client` },
    async (t) => {
      const topic = t.name();
      const clientId = t.name('c');
      const first = await t.connect({ ...keep, clientId });
      expect(first.connack.sessionPresent).toBe(false);
      await first.subscribe(topic, 1);
      await first.disconnect();
      const writer = await t.connect({ version });
      await writer.publish(topic, 'one', { qos: 1 });
      const second = await t.connect({ ...keep, clientId });
      expect(second.connack.sessionPresent).toBe(true);
      expect(texts(await second.messages(1))).toEqual(['one']);
      await writer.publish(topic, 'two', { qos: 1 });
      expect(texts(await second.messages(1))).toEqual(['two']);
    },
  );

  specTest(
    { section: 'MQTT-3.1.2-4', rule: `${version}: clean start discards what there was` },
    async (t) => {
      const topic = t.name();
      const clientId = t.name('c');
      await (await t.subscriber(topic, 1, { ...keep, clientId })).disconnect();
      const writer = await t.connect({ version });
      await writer.publish(topic, 'one', { qos: 1 });
      const second = await t.connect({ ...keep, cleanStart: true, clientId });
      expect(second.connack.sessionPresent).toBe(false);
      await writer.publish(topic, 'two', { qos: 1 });
      await second.silent();
      await second.disconnect();
    },
  );

  specTest({ section: '3.1.2.4', rule: `${version}: a clean session is not kept` }, async (t) => {
    const clientId = t.name('c');
    await (await t.subscriber(t.name(), 1, { version, clientId })).disconnect();
    const second = await t.connect({ ...keep, clientId });
    expect(second.connack.sessionPresent).toBe(false);
  });

  specTest({ section: '3.1.4', rule: `${version}: a takeover resumes the session` }, async (t) => {
    const topic = t.name();
    const clientId = t.name('c');
    const first = await t.subscriber(topic, 1, { ...keep, clientId, manualAck: true });
    const writer = await t.connect({ version });
    await writer.publish(topic, 'one', { qos: 1 });
    await first.message();
    const second = await t.connect({ ...keep, clientId });
    expect(second.connack.sessionPresent).toBe(true);
    expect((await second.message()).dup).toBe(true);
    await writer.publish(topic, 'two', { qos: 1 });
    expect(texts(await second.messages(1))).toEqual(['two']);
    await first.closed();
  });

  specTest(
    { section: '4.1', rule: `${version}: an unsubscribed filter stays away after a resume` },
    async (t) => {
      const own = t.name();
      const clientId = t.name('c');
      const first = await t.connect({ ...keep, clientId });
      await first.subscribe([
        { filter: `${own}/a`, qos: 1 },
        { filter: `${own}/b`, qos: 1 },
      ]);
      await first.unsubscribe([`${own}/a`]);
      await first.disconnect();
      const writer = await t.connect({ version });
      await writer.publish(`${own}/a`, 'a', { qos: 1 });
      await writer.publish(`${own}/b`, 'b', { qos: 1 });
      const second = await t.connect({ ...keep, clientId });
      expect(texts(await second.messages(1))).toEqual(['b']);
      await second.silent();
    },
  );

  specTest(
    { section: '4.1', rule: `${version}: everything survives kill -9`, needsServer: true },
    async (t) => {
      const topic = t.name();
      const own = { ...keep, clientId: t.name('c'), manualAck: true };
      const first = await t.subscriber(topic, 2, own);
      const publisherId = t.name('p');
      const writer = await t.connect({ ...keep, clientId: publisherId });
      await writer.publish(topic, 'released', { qos: 2 });
      await writer.publish(topic, 'sent', { qos: 1 });
      const [released, sent] = await first.messages(2);
      first.ack(PUBREC, released!.packetId);
      await first.next(PUBREL);
      await first.drop();
      await writer.publish(topic, 'queued', { qos: 1 });
      const open = { version, topic, payload: 'open', qos: 2, packetId: 4000 };
      writer.write(publishPacket(open));
      await writer.next(PUBREC);
      await server().kill();
      await server().restart();
      const back = await t.connect(own);
      expect(back.connack.sessionPresent).toBe(true);
      const repeat = await back.reply(PUBREL, released!.packetId);
      back.ack(PUBCOMP, repeat.packetId);
      const again = await back.message();
      expect(again).toMatchObject({ packetId: sent!.packetId, dup: true });
      back.ack(PUBACK, again.packetId);
      const queued = await back.message();
      expect(queued.payload.toString()).toBe('queued');
      back.ack(PUBACK, queued.packetId);
      const publisher = await t.connect({ ...keep, clientId: publisherId });
      expect(publisher.connack.sessionPresent).toBe(true);
      publisher.write(publishPacket({ ...open, dup: true }));
      await publisher.next(PUBREC);
      publisher.ack(PUBREL, 4000);
      await publisher.next(PUBCOMP);
      const last = await back.message();
      expect(last.payload.toString()).toBe('open');
      await back.silent();
    },
  );
}

specTest(
  { section: '3.1.2.11.2', rule: 'the session ends when its expiry has passed' },
  async (t) => {
    const clientId = t.name('c');
    const properties = { sessionExpiry: 1 };
    await (await t.subscriber(t.name(), 1, { clientId, properties })).disconnect();
    await pause(3_000);
    const back = await t.connect({ clientId, cleanStart: false });
    expect(back.connack.sessionPresent).toBe(false);
  },
);

specTest({ section: '3.14.2.2.2', rule: 'DISCONNECT may change the expiry' }, async (t) => {
  const clientId = t.name('c');
  const first = await t.connect({ clientId, properties: { sessionExpiry: 300 } });
  await first.disconnect(0, { sessionExpiry: 0 });
  const second = await t.connect({ clientId, cleanStart: false, properties: { sessionExpiry: 1 } });
  expect(second.connack.sessionPresent).toBe(false);
  await second.disconnect(0, { sessionExpiry: 300 });
  await pause(2_000);
  const third = await t.connect({ clientId, cleanStart: false });
  expect(third.connack.sessionPresent).toBe(true);
});

specTest({ section: '3.14.2.2.2', rule: 'DISCONNECT may not raise an expiry of 0' }, async (t) => {
  const clientId = t.name('c');
  const first = await t.connect({ clientId });
  await first.disconnect(0, { sessionExpiry: 300 });
  const second = await t.connect({ clientId, cleanStart: false });
  expect(second.connack.sessionPresent).toBe(false);
});

specTest({ section: '4.1', rule: 'a 5.0 client resumes a 3.1.1 session and back' }, async (t) => {
  const topic = t.name();
  const clientId = t.name('c');
  await (await t.subscriber(topic, 1, { version: 4, cleanStart: false, clientId })).disconnect();
  const writer = await t.connect();
  await writer.publish(topic, 'one', { qos: 1 });
  const properties = { sessionExpiry: 300 };
  const young = await t.connect({ clientId, cleanStart: false, properties });
  expect(young.connack.sessionPresent).toBe(true);
  expect(texts(await young.messages(1))).toEqual(['one']);
  await young.disconnect();
  await writer.publish(topic, 'two', { qos: 1 });
  const old = await t.connect({ version: 4, clientId, cleanStart: false });
  expect(old.connack.sessionPresent).toBe(true);
  expect(texts(await old.messages(1))).toEqual(['two']);
});

specTest(
  { section: 'MQTT-3.3.2-5', rule: 'a queued message expires, and tells the time left' },
  async (t) => {
    const topic = t.name();
    const keep = { clientId: t.name('c'), cleanStart: false, properties: { sessionExpiry: 300 } };
    await (await t.subscriber(topic, 1, keep)).disconnect();
    const writer = await t.connect();
    await writer.publish(topic, 'short', { qos: 1, properties: { messageExpiry: 1 } });
    await writer.publish(topic, 'long', { qos: 1, properties: { messageExpiry: 60 } });
    await writer.publish(topic, 'plain', { qos: 1 });
    await pause(2_100);
    const [long, plain] = await (await t.connect(keep)).messages(2);
    expect(texts([long!, plain!])).toEqual(['long', 'plain']);
    expect(long!.properties.messageExpiry).toBeGreaterThan(50);
    expect(long!.properties.messageExpiry).toBeLessThan(60);
    expect(plain!.properties.messageExpiry).toBeUndefined();
  },
);

specTest({ section: '4.1', rule: 'two sessions of one topic keep their own place' }, async (t) => {
  const topic = t.name();
  const options = ['a', 'b'].map((name) => ({
    clientId: t.name(name),
    cleanStart: false,
    properties: { sessionExpiry: 300 },
  }));
  for (const one of options) await (await t.subscriber(topic, 1, one)).disconnect();
  const writer = await t.connect();
  for (let index = 0; index < 50; index += 1) await writer.publish(topic, `${index}`, { qos: 1 });
  for (const one of options) {
    const client = await t.connect(one);
    expect((await client.messages(50)).length).toBe(50);
    await client.disconnect();
  }
});
