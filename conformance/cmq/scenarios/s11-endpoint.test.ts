/**
 * S11, S17 and the topic model of 1b: an endpoint that is away gets everything, in order, when it is
 * back, and others notice nothing; one topic serves a queue, an endpoint, a function and a device,
 * each with its own acknowledgement.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { connectAsync } from 'mqtt';
import { afterAll, expect, test } from 'vitest';
import type { CmqClient, CmqParameters } from '../../support/cmq-client.ts';
import {
  eventually,
  makeQueue,
  mqttAddress,
  pause,
  unique,
  useCmq,
} from '../../support/cmq-test.ts';
import { AWAY_SECONDS, tell } from './sizes.ts';

const HOST = '127.0.0.4';
const PATIENCE_MS = 60_000;
const functionsDir = mkdtempSync(path.join(tmpdir(), 'functions-'));
const { client, server } = useCmq({
  args: ['--push-allow', HOST, '--functions-dir', functionsDir],
});
const endpoints = new Set<http.Server>();

afterAll(() => {
  for (const endpoint of endpoints) {
    endpoint.closeAllConnections();
    endpoint.close();
  }
  rmSync(functionsDir, { recursive: true, force: true });
});

/** Listens and keeps what comes. A port of 0 is any. */
async function listen(port: number, bodies: string[]): Promise<number> {
  const endpoint = http.createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      bodies.push(body);
      response.writeHead(204).end();
    });
  });
  await new Promise<void>((resolve) => endpoint.listen(port, HOST, resolve));
  endpoints.add(endpoint);
  return (endpoint.address() as AddressInfo).port;
}

function stopAll(): void {
  for (const endpoint of endpoints) {
    endpoint.closeAllConnections();
    endpoint.close();
  }
  endpoints.clear();
}

async function subscribe(
  cmq: CmqClient,
  topicName: string,
  protocol: string,
  endpoint: string,
  more: CmqParameters = {},
): Promise<string> {
  const subscriptionName = unique(protocol);
  await cmq.ok('Subscribe', {
    ...{ topicName, subscriptionName, protocol, endpoint },
    notifyContentFormat: protocol === 'function' ? 'JSON' : 'SIMPLIFIED',
    ...more,
  });
  return subscriptionName;
}

test(
  'S11: an endpoint that was away gets all of it, in order; others do not wait',
  async () => {
    const cmq = client();
    const topicName = unique('t');
    await cmq.ok('CreateTopic', { topicName });
    const bodies: string[] = [];
    const port = await listen(0, bodies);
    const queue = await makeQueue(cmq);
    const subscriptionName = await subscribe(cmq, topicName, 'http', `http://${HOST}:${port}/`);
    await subscribe(cmq, topicName, 'queue', queue);
    const sent = Array.from({ length: 30 }, (_, at) => `message ${at}`);
    const publish = async (from: number, to: number): Promise<void> => {
      for (let at = from; at < to; at += 10) {
        const msgBody = sent.slice(at, Math.min(at + 10, to));
        await cmq.ok('BatchPublishMessage', { topicName, msgBody });
      }
    };
    await publish(0, 10);
    await eventually(async () => bodies.length === 10, 'pushes while it is there');
    stopAll();
    await publish(10, 30);
    // The queue has everything at once; the endpoint has everything pending.
    expect(await cmq.drain(queue)).toEqual(sent);
    const place = { topicName, subscriptionName };
    const attributes = await cmq.ok('GetSubscriptionAttributes', place);
    expect(attributes['msgCount']).toBe(20);
    await pause(AWAY_SECONDS * 1_000);
    await listen(port, bodies);
    // Pauses double, so that the next attempt is no further away than the absence was long.
    const patienceMs = AWAY_SECONDS * 2_000 + PATIENCE_MS;
    await eventually(async () => bodies.length === 30, 'all of it', patienceMs);
    tell('S11', { 'away in s': AWAY_SECONDS, sent: sent.length, arrived: bodies.length });
    expect(bodies).toEqual(sent);
    await eventually(
      async () => (await cmq.ok('GetSubscriptionAttributes', place))['msgCount'] === 0,
      'nothing is pending',
    );
  },
  AWAY_SECONDS * 3_000 + 3 * PATIENCE_MS,
);

test('1b: a queue, an endpoint, a function and a device each get one', async () => {
  const cmq = client();
  const topicName = unique('t');
  await cmq.ok('CreateTopic', { topicName });
  const name = unique('keep');
  const file = path.join(functionsDir, `${name}.json`);
  writeFileSync(
    path.join(functionsDir, `${name}.mjs`),
    `import { renameSync, writeFileSync } from 'node:fs';
     export const main_handler = async (event) => {
       writeFileSync(${JSON.stringify(`${file}.new`)}, JSON.stringify(event));
       renameSync(${JSON.stringify(`${file}.new`)}, ${JSON.stringify(file)});
     };\n`,
  );
  const bodies: string[] = [];
  const port = await listen(0, bodies);
  const queueName = await makeQueue(cmq);
  const names = [
    await subscribe(cmq, topicName, 'http', `http://${HOST}:${port}/`),
    await subscribe(cmq, topicName, 'function', `local:${name}`, { filterTag: ['order'] }),
  ];
  await subscribe(cmq, topicName, 'queue', queueName, { filterTag: ['order'] });
  const device = await connectAsync(mqttAddress(server()), { reconnectPeriod: 0 });
  const heard: string[] = [];
  device.on('message', (_topic, payload) => heard.push(payload.toString()));
  await device.subscribeAsync(topicName, { qos: 1 });

  const { msgId } = await cmq.ok('PublishMessage', {
    ...{ topicName, msgBody: 'order 1', msgTag: ['order', 'new'] },
  });
  await eventually(async () => bodies.length === 1 && heard.length === 1, 'endpoint and device');
  const event = await eventually(async () => {
    try {
      return JSON.parse(readFileSync(file, 'utf8')) as { Records: { CMQ: object }[] };
    } catch {
      return undefined;
    }
  }, 'the function');
  expect(bodies).toEqual(['order 1']);
  expect(heard).toEqual(['order 1']);
  expect(event).toMatchObject({
    Records: [{ CMQ: { topicName, msgId, msgBody: 'order 1', msgTag: 'order,new' } }],
  });
  // Who has acknowledged has nothing pending, and the queue's copy is still there.
  for (const subscriptionName of names) {
    await eventually(async () => {
      const place = { topicName, subscriptionName };
      return (await cmq.ok('GetSubscriptionAttributes', place))['msgCount'] === 0;
    }, 'nothing is pending');
  }
  expect(await cmq.counters(queueName)).toMatchObject({ active: 1 });
  await cmq.remove(queueName, await cmq.receive(queueName));
  await device.endAsync();
});
