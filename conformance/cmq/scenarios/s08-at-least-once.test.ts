/**
 * S8, at least once: what was not confirmed is sent again and may be there twice; what was not
 * acknowledged comes again. The answers and the deletions really get lost, on the way.
 */
import amqp from 'amqplib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CmqClient } from '../../support/cmq-client.ts';
import { eventually, KEYS, makeQueue, useCmq } from '../../support/cmq-test.ts';
import { LossyLink } from './lossy-link.ts';

const PATIENCE_MS = 60_000;

const { client, server } = useCmq();
let http: LossyLink;
let wire: LossyLink;

beforeAll(async () => {
  http = await LossyLink.to(server().port('http'));
  wire = await LossyLink.to(server().port());
});

afterAll(() => {
  http?.stop();
  wire?.stop();
});

const overLink = (): CmqClient => new CmqClient(`http://127.0.0.1:${http.port}`, KEYS.guest);

const active = async (queueName: string): Promise<number> =>
  (await client().counters(queueName)).active;

test('HTTP: a send whose answer was lost and is sent again is two messages of one body', async () => {
  const cmq = client();
  const queueName = await makeQueue(cmq);
  const linked = overLink();
  http.swallow('replies');
  const lost = linked.call('SendMessage', { queueName, msgBody: 'pay' });
  const failed = expect(lost).rejects.toThrow();
  await eventually(async () => http.swallowed > 0, 'it was answered', PATIENCE_MS);
  http.cut();
  await failed;
  await linked.send(queueName, 'pay');
  linked.close();
  const [one, two] = [await cmq.receive(queueName), await cmq.receive(queueName)];
  expect([one.msgBody, two.msgBody]).toEqual(['pay', 'pay']);
  expect(one.msgId).not.toBe(two.msgId);
});

test('HTTP: a message whose deletion was lost comes again', async () => {
  const cmq = client();
  const queueName = await makeQueue(cmq, { visibilityTimeout: 2 });
  const msgId = await cmq.send(queueName, 'x');
  const linked = overLink();
  const got = await linked.receive(queueName);
  http.swallow('requests');
  const failed = expect(linked.remove(queueName, got)).rejects.toThrow();
  await eventually(async () => http.swallowed > 0, 'it is on its way', PATIENCE_MS);
  http.cut();
  await failed;
  linked.close();
  expect(await cmq.receive(queueName, 30)).toMatchObject({ msgId, dequeueCount: 2 });
});

test('AMQP: a publish whose confirm was lost and is sent again is two messages', async () => {
  const queueName = await makeQueue(client());
  const linked = await amqp.connect(`amqp://guest:guest@127.0.0.1:${wire.port}`);
  linked.on('error', () => {});
  const channel = await linked.createConfirmChannel();
  channel.on('error', () => {});
  wire.swallow('replies');
  let isConfirmed = false;
  channel.sendToQueue(queueName, Buffer.from('pay'), { persistent: true }, (error) => {
    isConfirmed = error === null;
  });
  await eventually(async () => (await active(queueName)) === 1, 'it was taken', PATIENCE_MS);
  await eventually(async () => wire.swallowed > 0, 'it was confirmed', PATIENCE_MS);
  expect(isConfirmed).toBe(false);
  wire.cut();
  const again = await amqp.connect(`amqp://guest:guest@127.0.0.1:${wire.port}`);
  const repeated = await again.createConfirmChannel();
  repeated.sendToQueue(queueName, Buffer.from('pay'), { persistent: true });
  await repeated.waitForConfirms();
  await again.close();
  expect(await client().drain(queueName)).toEqual(['pay', 'pay']);
});

test('AMQP: a message whose acknowledgement was lost comes again, marked so', async () => {
  const cmq = client();
  const queueName = await makeQueue(cmq);
  const msgId = await cmq.send(queueName, 'x');
  const linked = await amqp.connect(`amqp://guest:guest@127.0.0.1:${wire.port}`);
  linked.on('error', () => {});
  const channel = await linked.createChannel();
  channel.on('error', () => {});
  const got = await channel.get(queueName);
  if (got === false) throw new Error('nothing there');
  wire.swallow('requests');
  channel.ack(got);
  await eventually(async () => wire.swallowed > 0, 'it is on its way', PATIENCE_MS);
  wire.cut();
  expect(await cmq.receive(queueName, 30)).toMatchObject({ msgId, dequeueCount: 2 });
});

test('reject: a message that is given back is there at once', async () => {
  const cmq = client();
  const queueName = await makeQueue(cmq, { visibilityTimeout: 43_200 });
  await cmq.send(queueName, 'x');
  const connection = await amqp.connect(server().url);
  const channel = await connection.createChannel();
  const got = await channel.get(queueName);
  if (got === false) throw new Error('nothing there');
  channel.nack(got, false, true);
  expect(await cmq.receive(queueName, 30)).toMatchObject({ msgBody: 'x', dequeueCount: 2 });
  await connection.close();
});
