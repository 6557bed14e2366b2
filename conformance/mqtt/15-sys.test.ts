import { expect } from 'vitest';
import { useMqtt } from '../support/mqtt-test.ts';

const { specTest, peer } = useMqtt();
const unlike = { rabbitmq: 'has no $SYS' };

specTest({ section: '$SYS', rule: 'the version is there at once', unlike }, async (t) => {
  const reader = await t.subscriber('$SYS/broker/version');
  const message = await reader.message();
  expect(message.retain).toBe(true);
  expect(message.payload.length).toBeGreaterThan(0);
});

specTest({ section: '$SYS', rule: 'what dashboards read', unlike }, async (t) => {
  const reader = await t.subscriber('$SYS/#');
  const names = [
    'version',
    'uptime',
    'clients/total',
    'clients/connected',
    'messages/received',
    'messages/sent',
    'bytes/received',
    'bytes/sent',
    'subscriptions/count',
    'retained messages/count',
  ].map((name) => `$SYS/broker/${name}`);
  const seen = new Map<string, string>();
  const deadline = Date.now() + 60_000;
  while (!names.every((name) => seen.has(name)) && Date.now() < deadline) {
    const message = await reader.message();
    seen.set(message.topic, message.payload.toString());
  }
  expect(names.filter((name) => !seen.has(name))).toEqual([]);
  expect(Number.parseInt(seen.get('$SYS/broker/clients/connected')!, 10)).toBeGreaterThan(0);
});

specTest({ section: 'MQTT-4.7.2-1', rule: '# does not match $SYS' }, async (t) => {
  const reader = await t.connect();
  await reader.subscribe('+/broker/version');
  await reader.silent(500);
});

specTest({ section: '4.7.2', rule: 'clients cannot publish to $SYS', unlike }, async (t) => {
  const watcher = await t.subscriber('$SYS/broker/version');
  const before = (await watcher.message()).payload.toString();
  const writer = await t.connect();
  await writer.publish('$SYS/broker/version', 'forged', { qos: 1, retain: true }).catch(() => {});
  if (peer === undefined) expect(writer.unread.length).toBeLessThan(2);
  const again = await t.subscriber('$SYS/broker/version');
  expect((await again.message()).payload.toString()).toBe(before);
});
