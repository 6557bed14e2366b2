/**
 * Hostile endpoints (issue 4, acceptance 7): slow, redirecting, endless, resetting, talking
 * nonsense, private. Every kind at once, several of each: the process keeps its memory and answers,
 * a subscription beside them gets everything, in order and at once, and none of them is reached
 * that must not be.
 */
import { readdirSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { CmqClient } from '../support/cmq-client.ts';
import { eventually, makeQueue, timed, unique, useCmq } from '../support/cmq-test.ts';
import { GROWTH_MAX_BYTES } from '../support/server-process.ts';
import {
  type Endpoint,
  GOOD_HOST,
  HARMS,
  HostileEndpoint,
  KEEPERS,
  Receiver,
} from './push-endpoints.ts';

const PUSH_TIMEOUT_MS = 2_000;
/** Upper bound of waits that are over when it has happened. */
const PATIENCE_MS = 60_000;
const { client, server } = useCmq({
  args: ['--push-allow', GOOD_HOST, '--push-timeout', `${PUSH_TIMEOUT_MS}ms`],
});

const open: Endpoint[] = [];
afterEach(async () => {
  for (const endpoint of open.splice(0)) await endpoint.close();
});

async function track<T extends Endpoint>(opening: Promise<T>): Promise<T> {
  const endpoint = await opening;
  open.push(endpoint);
  return endpoint;
}

async function subscribe(cmq: CmqClient, topicName: string, endpoint: string): Promise<string> {
  const subscriptionName = unique('s');
  const format = { notifyContentFormat: 'SIMPLIFIED' };
  await cmq.ok('Subscribe', { topicName, subscriptionName, protocol: 'http', endpoint, ...format });
  return subscriptionName;
}

async function makeTopic(cmq: CmqClient): Promise<string> {
  const topicName = unique('t');
  await cmq.ok('CreateTopic', { topicName });
  return topicName;
}

/** What the last failed attempt of a subscription said. */
async function failureOf(cmq: CmqClient, topicName: string, subscriptionName: string) {
  return await eventually(async () => {
    const names = { topicName, subscriptionName };
    const { lastFailure } = await cmq.ok('GetSubscriptionAttributes', names);
    return typeof lastFailure === 'string' ? lastFailure : undefined;
  }, 'a failed attempt');
}

/** Files and sockets the server has open: an endpoint that does not read sees no end. */
function descriptorCount(): number {
  return readdirSync(`/proc/${server().pid}/fd`).length;
}

describe('hostile endpoints', () => {
  const COPIES = 4;
  /** Default of push-endpoint-concurrency. */
  const ENDPOINT_CONCURRENCY = 8;
  const MESSAGES = 200;

  test('harm neither the process nor other subscriptions', {
    timeout: 4 * PATIENCE_MS,
  }, async () => {
    const cmq = client();
    const topicName = await makeTopic(cmq);
    const good = await track(Receiver.open());
    await subscribe(cmq, topicName, good.url);
    const queueName = await makeQueue(cmq);
    await cmq.ok('Subscribe', {
      topicName,
      subscriptionName: unique('s'),
      protocol: 'queue',
      endpoint: queueName,
      notifyContentFormat: 'SIMPLIFIED',
    });
    const hostile: { what: string; endpoint: HostileEndpoint; subscriptionName: string }[] = [];
    for (const [what, harm] of [...Object.entries(HARMS), ...Object.entries(KEEPERS)]) {
      const endpoint = await track(HostileEndpoint.open(harm));
      for (let copy = 0; copy < COPIES; copy += 1) {
        const subscriptionName = await subscribe(cmq, topicName, `${endpoint.url}${copy}`);
        hostile.push({ what, endpoint, subscriptionName });
      }
    }
    const bodies = Array.from({ length: MESSAGES }, (_, at) => `${at} ${'x'.repeat(1_000)}`);
    const descriptors = descriptorCount();
    for (const msgBody of bodies) await cmq.ok('PublishMessage', { topicName, msgBody });
    await eventually(async () => good.pushes.length === MESSAGES, 'all pushes', PATIENCE_MS);
    expect(good.bodies).toEqual(bodies);
    expect(await cmq.drain(queueName)).toEqual(bodies);
    // Long enough for each to have had its time limit, and the next attempts theirs.
    const look = async (): Promise<number> => {
      const until = Date.now() + 3 * PUSH_TIMEOUT_MS;
      const waits: number[] = [];
      while (Date.now() < until) {
        const { ms } = await timed(() => cmq.ok('GetTopicAttributes', { topicName }));
        waits.push(ms);
      }
      return waits.toSorted((a, b) => a - b)[Math.floor(waits.length * 0.95)]!;
    };
    // Something else may keep the machine busy; the endpoints would do so each time.
    await eventually(async () => (await look()) < 1_000, 'answers in time', PATIENCE_MS);
    expect(server().grownBytes).toBeLessThan(GROWTH_MAX_BYTES);
    for (const { what, endpoint, subscriptionName } of hostile) {
      const names = { topicName, subscriptionName };
      const attributes = await cmq.ok('GetSubscriptionAttributes', names);
      const isKeeper = Object.hasOwn(KEEPERS, what);
      expect(Number(attributes['notifyCount']), what).toBeGreaterThan(0);
      expect(Number(attributes['succNotifyCount']) > 0, what).toBe(isKeeper);
      expect(typeof attributes['lastFailure'], what).toBe(isKeeper ? 'undefined' : 'string');
      expect(endpoint.openCount, what).toBeLessThanOrEqual(COPIES * ENDPOINT_CONCURRENCY);
      await cmq.ok('Unsubscribe', names);
    }
    await eventually(
      async () => descriptorCount() <= descriptors + 2,
      'every connection closed',
      PATIENCE_MS,
    );
  });

  test('hundreds of them leave room for others', { timeout: 4 * PATIENCE_MS }, async () => {
    const SLOW = 300;
    const cmq = client();
    const topicName = await makeTopic(cmq);
    const slow = await track(HostileEndpoint.open(() => undefined));
    for (let at = 0; at < SLOW; at += 1) await subscribe(cmq, topicName, `${slow.url}${at}`);
    await cmq.ok('PublishMessage', { topicName, msgBody: 'x' });
    // The first two attempts of each are made in good faith.
    await eventually(
      async () => slow.connectionCount > 2 * SLOW,
      'the third attempts',
      PATIENCE_MS,
    );
    const good = await track(Receiver.open());
    await subscribe(cmq, topicName, good.url);
    const { ms } = await timed(async () => {
      for (let at = 0; at < 50; at += 1) {
        await cmq.ok('PublishMessage', { topicName, msgBody: String(at) });
      }
      await eventually(async () => good.pushes.length === 50, 'all pushes', PATIENCE_MS);
    });
    expect(good.bodies).toEqual(Array.from({ length: 50 }, (_, at) => String(at)));
    // One that waits for the slow ones would wait for all their time limits.
    expect(ms).toBeLessThan(SLOW * PUSH_TIMEOUT_MS * 0.1);
  });

  test('a large message that nobody reads is held once', { timeout: 4 * PATIENCE_MS }, async () => {
    const cmq = client();
    const topicName = await makeTopic(cmq);
    const deaf = await track(HostileEndpoint.open((socket) => socket.pause()));
    for (let count = 0; count < 30; count += 1) {
      await subscribe(cmq, topicName, `${deaf.url}${count}`);
    }
    const descriptors = descriptorCount();
    await cmq.ok('PublishMessage', { topicName, msgBody: 'x'.repeat(1_000_000) });
    await eventually(async () => deaf.openCount === 30, '30 connections', PATIENCE_MS);
    expect(server().grownBytes).toBeLessThan(GROWTH_MAX_BYTES);
    await eventually(
      async () => descriptorCount() <= descriptors + 2,
      'every attempt ended',
      PATIENCE_MS,
    );
  });
});

describe('addresses that must not be reached', () => {
  /** Listens where private services do. */
  let secret: Receiver;
  beforeAll(async () => {
    secret = await Receiver.open([], '127.0.0.1');
  });
  afterAll(async () => {
    await secret.close();
  });

  test.each([
    ['loopback', (port: number) => `http://127.0.0.1:${port}/`],
    ['a decimal address', (port: number) => `http://2130706433:${port}/`],
    ['an octal address', (port: number) => `http://0177.0.0.1:${port}/`],
    ['a hexadecimal address', (port: number) => `http://0x7f000001:${port}/`],
    ['a short address', (port: number) => `http://127.1:${port}/`],
    ['an address in full-width digits', (port: number) => `http://１２７.0.0.1:${port}/`],
    ['a mapped address', (port: number) => `http://[::ffff:127.0.0.1]:${port}/`],
    ['any address', (port: number) => `http://0.0.0.0:${port}/`],
    ['a name that leads to loopback', (port: number) => `http://localhost:${port}/`],
    ['a name below it', (port: number) => `http://hooks.localhost:${port}/`],
    ['an allowed address as user name', (port: number) => `http://${GOOD_HOST}@127.0.0.1:${port}/`],
    ['link-local metadata', () => 'http://169.254.169.254/latest/meta-data/'],
    ['a private network', () => 'http://10.0.0.1/'],
  ])('%s', async (_what, url) => {
    const cmq = client();
    const topicName = await makeTopic(cmq);
    const subscriptionName = await subscribe(cmq, topicName, url(secret.port));
    await cmq.ok('PublishMessage', { topicName, msgBody: 'x' });
    expect(await failureOf(cmq, topicName, subscriptionName)).toMatch(/^address not allowed \(/);
    await cmq.ok('Unsubscribe', { topicName, subscriptionName });
    expect(secret.connectionCount).toBe(0);
  });

  test('a redirect to one is not followed', async () => {
    const cmq = client();
    const redirecting = await track(
      Receiver.open([
        (response) => response.writeHead(302, { location: secret.url }).end(),
        (response) => response.writeHead(307, { location: secret.url }).end(),
      ]),
    );
    const topicName = await makeTopic(cmq);
    const subscriptionName = await subscribe(cmq, topicName, redirecting.url);
    await cmq.ok('PublishMessage', { topicName, msgBody: 'x' });
    await eventually(async () => redirecting.pushes.length === 3, 'three attempts');
    expect(await failureOf(cmq, topicName, subscriptionName)).toBe('status 307');
    expect(secret.connectionCount).toBe(0);
  });
});
