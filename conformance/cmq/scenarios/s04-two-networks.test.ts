/**
 * S4, cross-user data exchange: two services that cannot reach each other and know nothing of each
 * other but the name of a queue. Both only dial out to the gateway; rights are per user and queue.
 * Where the machine allows it, each runs in a network namespace of its own with no route between.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CmqKey } from '../../support/cmq-sign.ts';
import { KEYS, startCmq, unique } from '../../support/cmq-test.ts';
import type { ServerProcess } from '../../support/server-process.ts';
import { makeNetworks, type Networks, Site } from '../../support/site-process.ts';

let networks: Networks;
let server: ServerProcess;
let siteA: Site;
let siteB: Site;
let work: string | undefined;

interface Reply {
  readonly code: number;
  readonly message: string;
  readonly msgBody: string;
}

/** A key of `stranger`, who is of another account, for this one. */
const GRANTED: CmqKey = { id: 'AKIDgranted', secret: 'secret-of-granted' };

/**
 * The definitions of all suites; `limited` may have MQTT sessions of its own, and `stranger` may read
 * some queues of an account that is not its own.
 */
function withGrants(): object {
  const file = path.resolve(import.meta.dirname, '../../support/cmq-definitions.json');
  const all = JSON.parse(readFileSync(file, 'utf8')) as {
    permissions: { user: string }[];
    access_keys: object[];
  };
  const session = '^mqtt-subscription-';
  const permissions = all.permissions.map((permission) =>
    permission.user === 'limited'
      ? { ...permission, configure: session, read: `^read-|${session}` }
      : permission,
  );
  const granted = { user: 'stranger', vhost: '/', configure: '^$', write: '^$', read: '^shared-' };
  const key = { ...GRANTED, user: 'stranger', vhost: '/' };
  return {
    ...all,
    permissions: [...permissions, granted],
    access_keys: [...all.access_keys, key],
  };
}

/** What a site knows: the gateway as it sees it, and its own address. */
const gateway = (host: string, own: string) => ({
  GATEWAY_HOST: host,
  LOCAL_ADDRESS: own,
  AMQP_PORT: String(server.port('amqp')),
  MQTT_PORT: String(server.port('mqtt')),
  HTTP_PORT: String(server.port('http')),
  CMQ_URL: `http://${host}:${server.port('http')}`,
});

const gatewayOfB = () => gateway(networks.gatewayOfB, networks.addressOfB);

beforeAll(async () => {
  networks = makeNetworks();
  work = mkdtempSync(path.join(tmpdir(), 'two-networks-'));
  const definitions = path.join(work, 'definitions.json');
  writeFileSync(definitions, JSON.stringify(withGrants()));
  const host = networks.isApart ? ['--host', '0.0.0.0'] : [];
  const args = [...host, '--load-definitions', definitions];
  server = await startCmq({ args, prefix: networks.inGateway });
  // A may write `write-*` and read `read-*`, B may do everything.
  const { limited, owner } = KEYS;
  const a = { LOGIN: 'limited', CMQ_ID: limited.id, CMQ_SECRET: limited.secret };
  const b = { LOGIN: 'owner', CMQ_ID: owner.id, CMQ_SECRET: owner.secret };
  siteA = new Site({ ...gateway(networks.gatewayOfA, networks.addressOfA), ...a }, networks.inA);
  siteB = new Site({ ...gatewayOfB(), ...b }, networks.inB);
});

afterAll(async () => {
  siteA?.stop();
  siteB?.stop();
  await server?.dispose();
  networks?.remove();
  if (work !== undefined) rmSync(work, { recursive: true });
});

const call = (site: Site, action: string, parameters: object): Promise<Reply> =>
  site.run<Reply>('cmq', { action, parameters });

/** A call that must succeed. */
async function cmq(site: Site, action: string, parameters: object): Promise<Reply> {
  const reply = await call(site, action, parameters);
  expect(reply.code, reply.message).toBe(0);
  return reply;
}

/** A topic of B that A may publish to, and a queue of B that gets all of it. */
async function makeTopic(filterType: 1 | 2) {
  const [topicName, queueName] = [unique('write'), unique('orders')];
  await cmq(siteB, 'CreateQueue', { queueName });
  await cmq(siteB, 'CreateTopic', { topicName, filterType });
  const bindingKey = filterType === 2 ? { bindingKey: ['#'] } : {};
  const place = { topicName, subscriptionName: 's', protocol: 'queue', endpoint: queueName };
  await cmq(siteB, 'Subscribe', { ...place, ...bindingKey });
  return { topicName, queueName };
}

/** What a site was given names no address of another. */
function expectNoAddress(delivered: unknown): void {
  const text = JSON.stringify(delivered);
  for (const address of [networks.addressOfA, networks.addressOfB]) {
    expect(text).not.toContain(address);
  }
}

test('the sites have no way to each other', async (context) => {
  if (!networks.isApart) context.skip('no network namespaces here');
  for (const [from, to, address] of [
    [siteA, siteB, networks.addressOfB],
    [siteB, siteA, networks.addressOfA],
  ] as const) {
    const port = await to.run<number>('listen', { address });
    const outcome = await from.run<string>('reach', { address, port });
    expect(outcome).not.toBe('connected');
    expect(await to.run<string>('reach', { address, port })).toBe('connected');
  }
});

test('A publishes over AMQP, B receives over HTTP, knowing only the name', async () => {
  const { topicName, queueName } = await makeTopic(1);
  const bodies = Array.from({ length: 5 }, (_, at) => `order ${at}`);
  for (const body of bodies) {
    const headers = { kind: 'order' };
    await siteA.run('amqpPublish', { exchange: topicName, key: '', body, headers });
  }
  for (const body of bodies) {
    const got = await cmq(siteB, 'ReceiveMessage', { queueName, pollingWaitSeconds: 10 });
    expect(got.msgBody).toBe(body);
    expectNoAddress(got);
  }
});

test('A sends over HTTP, B consumes over AMQP', async () => {
  const queue = unique('write');
  await cmq(siteB, 'CreateQueue', { queueName: queue });
  await cmq(siteA, 'SendMessage', { queueName: queue, msgBody: 'by name' });
  const consumed = await siteB.run<{ body: string }[]>('amqpConsume', { queue, count: 1 });
  expect(consumed.map(({ body }) => body)).toEqual(['by name']);
  expectNoAddress(consumed);
});

test('B answers over HTTP, A receives in a browser and over AMQP', async () => {
  const queue = unique('read');
  await cmq(siteB, 'CreateQueue', { queueName: queue });
  await cmq(siteB, 'BatchSendMessage', { queueName: queue, msgBody: ['one', 'two'] });
  const browser = await siteA.run<{ body: string }[]>('browserConsume', { queue, count: 2 });
  expect(browser.map(({ body }) => body)).toEqual(['one', 'two']);
  expectNoAddress(browser);
  await cmq(siteB, 'SendMessage', { queueName: queue, msgBody: 'three' });
  const consumed = await siteA.run<{ body: string }[]>('amqpConsume', { queue, count: 1 });
  expect(consumed.map(({ body }) => body)).toEqual(['three']);
  expectNoAddress(consumed);
});

test('a device of B is heard by A over HTTP, and hears itself', async () => {
  const { topicName } = await makeTopic(2);
  const queueName = unique('read');
  await cmq(siteB, 'CreateQueue', { queueName });
  const place = { topicName, subscriptionName: 'of-a', protocol: 'queue', endpoint: queueName };
  await cmq(siteB, 'Subscribe', { ...place, bindingKey: ['#'] });
  await siteB.run('mqttSubscribe', { filter: `${topicName}/#` });
  await siteB.run('mqttPublish', { topic: `${topicName}/room/1`, body: 'warm' });
  const got = await cmq(siteA, 'ReceiveMessage', { queueName, pollingWaitSeconds: 10 });
  expect(got.msgBody).toBe('warm');
  expectNoAddress(got);
  expectNoAddress(await siteB.run('mqttHeard', { count: 1 }));
});

test('over AMQP, WebSocket and MQTT, in either direction', async () => {
  const { topicName, queueName } = await makeTopic(2);
  // A's AMQP to B's browser.
  await siteA.run('amqpPublish', { exchange: topicName, key: 'a.b', body: 'of amqp' });
  const inBrowser = await siteB.run<{ body: string }[]>('browserConsume', {
    ...{ queue: queueName, count: 1 },
  });
  expect(inBrowser.map(({ body }) => body)).toEqual(['of amqp']);
  expectNoAddress(inBrowser);
  // A's browser to B's device.
  await siteB.run('mqttSubscribe', { filter: `${topicName}/browser` });
  await siteA.run('browserPublish', { exchange: topicName, key: 'browser', body: 'of browser' });
  const heard = await siteB.run<{ body: string }[]>('mqttHeard', { count: 1 });
  expect(heard.map(({ body }) => body)).toEqual(['of browser']);
  expectNoAddress(heard);
  // B's device to A's AMQP and A's browser, each on a queue of its own.
  for (const consume of ['amqpConsume', 'browserConsume']) {
    const queue = unique('read');
    await cmq(siteB, 'CreateQueue', { queueName: queue });
    const place = { topicName, subscriptionName: unique('s'), protocol: 'queue', endpoint: queue };
    await cmq(siteB, 'Subscribe', { ...place, bindingKey: [consume] });
    await siteB.run('mqttPublish', { topic: `${topicName}/${consume}`, body: 'of a device' });
    const consumed = await siteA.run<{ body: string }[]>(consume, { queue, count: 1 });
    expect(consumed.map(({ body }) => body)).toEqual(['of a device']);
    expectNoAddress(consumed);
  }
});

test('A may write only: each protocol refuses to let it read, in its own words', async () => {
  const queue = unique('write');
  await cmq(siteB, 'CreateQueue', { queueName: queue });
  const receive = await call(siteA, 'ReceiveMessage', { queueName: queue });
  expect(receive.code).toBe(4000);
  expect(receive.message).toMatch(/^\(10461\)/);
  await expect(siteA.run('amqpConsume', { queue, count: 1 })).rejects.toThrow(/403.*ACCESS/);
  const filter = 'anything';
  expect(await siteA.run('mqttSuback', { filter, protocolVersion: 5 })).toEqual([0x87]);
  expect(await siteA.run('mqttSuback', { filter, protocolVersion: 4 })).toEqual([0x80]);
  await cmq(siteA, 'SendMessage', { queueName: queue, msgBody: 'allowed' });
});

test('a queue is granted to a user of another account, who sees nothing else of this one', async () => {
  const [shared, own] = [unique('shared'), unique('own')];
  for (const queueName of [shared, own]) {
    await cmq(siteB, 'CreateQueue', { queueName });
    await cmq(siteB, 'SendMessage', { queueName, msgBody: `in ${queueName}` });
  }
  // Asked from B's network, with a key of the other account's user.
  const as = { CMQ_ID: GRANTED.id, CMQ_SECRET: GRANTED.secret };
  const stranger = new Site({ ...gatewayOfB(), ...as }, networks.inB);
  try {
    const got = await cmq(stranger, 'ReceiveMessage', {
      queueName: shared,
      pollingWaitSeconds: 10,
    });
    expect(got.msgBody).toBe(`in ${shared}`);
    for (const [action, parameters] of [
      ['ReceiveMessage', { queueName: own }],
      ['SendMessage', { queueName: shared, msgBody: 'x' }],
      ['DeleteQueue', { queueName: shared }],
    ] as const) {
      expect((await call(stranger, action, parameters)).message).toMatch(/^\((10440|10461)\)/);
    }
  } finally {
    stranger.stop();
  }
});
