import { expect } from 'vitest';
import { texts, useMqtt, VERSIONS } from '../support/mqtt-test.ts';
import { publishPacket } from '../support/mqtt-wire.ts';

const { specTest } = useMqtt();

for (const version of VERSIONS) {
  specTest({ section: '4.3.1', rule: `${version}: reaches a subscriber once` }, async (t) => {
    const topic = t.name();
    const reader = await t.subscriber(topic, 0, { version });
    const writer = await t.connect({ version });
    await writer.publish(topic, 'hello');
    const message = await reader.message();
    expect(message).toMatchObject({ topic, qos: 0, retain: false, dup: false });
    expect(message.payload.toString()).toBe('hello');
    await reader.silent(100);
  });

  specTest({ section: '4.6', rule: `${version}: keeps the order of 1000 messages` }, async (t) => {
    const topic = t.name();
    const reader = await t.subscriber(topic, 0, { version });
    const writer = await t.connect({ version });
    const sent = Array.from({ length: 1000 }, (_, index) => `${index}`);
    writer.write(Buffer.concat(sent.map((payload) => publishPacket({ version, topic, payload }))));
    expect(texts(await reader.messages(1000))).toEqual(sent);
  });

  specTest({ section: '3.3.3', rule: `${version}: an empty payload is a message` }, async (t) => {
    const topic = t.name();
    const reader = await t.subscriber(topic, 0, { version });
    await (await t.connect({ version })).publish(topic, '');
    expect((await reader.message()).payload.length).toBe(0);
  });

  specTest({ section: '3.3.3', rule: `${version}: 1 MiB arrives byte for byte` }, async (t) => {
    const topic = t.name();
    const reader = await t.subscriber(topic, 0, { version });
    const payload = Buffer.alloc(1024 * 1024);
    for (let index = 0; index < payload.length; index += 1) payload[index] = (index * 31) & 255;
    await (await t.connect({ version })).publish(topic, payload);
    expect((await reader.message()).payload.equals(payload)).toBe(true);
  });

  specTest(
    { section: '3.1.2.4', rule: `${version}: a publisher receives its own message` },
    async (t) => {
      const topic = t.name();
      const client = await t.subscriber(topic, 0, { version });
      await client.publish(topic, 'own');
      expect((await client.message()).payload.toString()).toBe('own');
    },
  );

  specTest({ section: '4.7.3', rule: `${version}: topics are exact to the byte` }, async (t) => {
    const base = t.name();
    const topics = [
      '',
      '/',
      '//',
      '/a',
      '/a/',
      '/A',
      '/a b',
      '/a.b',
      '/ä',
      '/漢字/😀',
      '/*',
      '/\ufeffx',
    ];
    const writer = await t.connect({ version });
    for (const suffix of topics) {
      const reader = await t.subscriber(`${base}${suffix}`, 0, { version });
      for (const other of topics) await writer.publish(`${base}${other}`, other);
      expect((await reader.message()).topic).toBe(`${base}${suffix}`);
      await writer.publish(`${base}${suffix}`, 'last');
      expect((await reader.message()).payload.toString()).toBe('last');
      reader.destroy();
    }
  });

  specTest(
    {
      section: '4.7.3',
      rule: `${version}: a topic of 65,535 bytes`,
      unlike: { rabbitmq: 'routing keys end at 255 bytes', mosquitto: 'at most 200 levels' },
    },
    async (t) => {
      const topic = t.name().padEnd(65_535, 'x');
      const reader = await t.subscriber(topic, 0, { version });
      await (await t.connect({ version })).publish(topic, 'long');
      expect((await reader.message()).topic).toBe(topic);
    },
  );
}

specTest({ section: '4.3', rule: 'between versions' }, async (t) => {
  const topic = t.name();
  const old = await t.subscriber(topic, 0, { version: 3, clientId: t.name('c').slice(0, 20) });
  const middle = await t.subscriber(topic, 0, { version: 4 });
  const young = await t.subscriber(topic, 0, { version: 5 });
  for (const writer of [old, middle, young]) await writer.publish(topic, 'x');
  for (const reader of [old, middle, young]) await reader.messages(3);
});

specTest({ section: '4.3', rule: '200 subscribers of one topic each receive it' }, async (t) => {
  const topic = t.name();
  const readers = await Promise.all(
    Array.from({ length: 200 }, async () => await t.subscriber(topic)),
  );
  await (await t.connect()).publish(topic, 'all');
  for (const reader of readers) expect((await reader.message()).payload.toString()).toBe('all');
});
