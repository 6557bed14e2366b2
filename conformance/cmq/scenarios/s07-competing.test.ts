/**
 * S7: fifty producers and fifty consumers over AMQP, HTTP and MQTT, on one queue. Nothing is lost, at
 * no instant a message has two live leases (by the trace of the server), and what is handed out twice
 * was given back before: some consumers forget to delete, so that it happens. And one message, from
 * one kind of consumer to the next.
 */
import amqp from 'amqplib';
import { connectAsync, type IPublishPacket } from 'mqtt';
import { expect, test } from 'vitest';
import { eventually, makeQueue, mqttAddress, unique, useCmq } from '../../support/cmq-test.ts';
import { Competition } from './competition.ts';
import { LeaseLedger } from './lease-ledger.ts';
import { MESSAGES, tell } from './sizes.ts';

const PRODUCERS = 50;
/** Fifty in all, of the one queue. */
const CONSUMERS = { amqp: 18, http: 12, mqtt: 20 };
/** Upper bound; how fast the machine is decides how soon it is over. */
const PATIENCE_MS = 120_000 + MESSAGES * 10;
const VISIBILITY_SECONDS = 5;

const { client, server } = useCmq();

test(
  `an active message has exactly one taker, of ${MESSAGES} between fifty and fifty`,
  async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq, { visibilityTimeout: VISIBILITY_SECONDS, trace: 1 });
    const topicName = unique('work');
    await cmq.ok('CreateTopic', { topicName, filterType: 2 });
    const place = { topicName, subscriptionName: 's', protocol: 'queue', endpoint: queueName };
    await cmq.ok('Subscribe', { ...place, bindingKey: ['#'] });
    // The first event makes the trace.
    await cmq.send(queueName, 'first');
    const observer = await amqp.connect(server().url);
    const ledger = await LeaseLedger.follow(observer, queueName);

    const address = { amqpUrl: server().url, mqttUrl: mqttAddress(server()) };
    const all = new Competition({ ...address, cmq, topicName, queueName });
    await all.connect();
    for (let at = 0; at < CONSUMERS.mqtt; at += 1) await all.consumeOverMqtt(at);
    for (let at = 0; at < CONSUMERS.amqp; at += 1) await all.consumeOverAmqp(at);
    for (let at = 0; at < CONSUMERS.http; at += 1) all.consumeOverHttp(at);

    const share = Math.ceil(MESSAGES / PRODUCERS);
    const bodies = Array.from({ length: PRODUCERS }, (_, producer) =>
      Array.from({ length: share }, (_one, at) => `${producer}-${at}`),
    );
    const started = performance.now();
    await Promise.all(bodies.map((own, producer) => all.produce(producer, own)));
    const isTaken = async (): Promise<boolean> => {
      if (all.taken.size <= share * PRODUCERS) return false;
      const { active, inactive } = await cmq.counters(queueName);
      return active === 0 && inactive === 0;
    };
    await eventually(isTaken, 'all are taken', PATIENCE_MS);
    const seconds = (performance.now() - started) / 1_000;
    // The trace is read to its end: as many deletions as messages.
    const isRead = async (): Promise<boolean> => ledger.deleted === share * PRODUCERS + 1;
    await eventually(isRead, 'the trace is read', PATIENCE_MS);
    // Each receive of the trace is one that a consumer saw, and no more than one per lease.
    const isSeen = async (): Promise<boolean> => all.takenCount >= ledger.received;
    await eventually(isSeen, 'what was handed out arrives', PATIENCE_MS);
    await all.stop();
    await ledger.stop();
    await observer.close();

    tell('S7', {
      messages: share * PRODUCERS,
      seconds: seconds.toFixed(1),
      lost: bodies.flat().filter((body) => !all.taken.has(body)).length,
      ...all.takenBy,
      'handed out again after a lease': ledger.released,
      'leased twice at once': ledger.faults.length,
    });
    expect(ledger.faults).toEqual([]);
    expect(ledger.leasedCount).toBe(0);
    expect(ledger.released).toBeGreaterThan(0);
    expect(all.taken.size).toBe(share * PRODUCERS + 1);
    expect(all.takenCount).toBe(ledger.received);
    expect(ledger.received).toBe(share * PRODUCERS + 1 + ledger.released);
    expect(Math.min(...Object.values(all.takenBy))).toBeGreaterThan(0);
  },
  3 * PATIENCE_MS,
);

test('one lease after the other: a device, HTTP, AMQP', async () => {
  const cmq = client();
  const queueName = await makeQueue(cmq, { visibilityTimeout: 1 });
  const connection = await amqp.connect(server().url);
  const channel = await connection.createChannel();
  const device = await connectAsync(mqttAddress(server()), {
    protocolVersion: 5,
    reconnectPeriod: 0,
    properties: { receiveMaximum: 1 },
  });
  let acknowledge = (): void => {};
  const handed = new Promise<IPublishPacket>((resolve) => {
    device.handleMessage = (packet, done) => {
      acknowledge = done;
      resolve(packet);
    };
  });
  const filter = `$share/g/$queue/${queueName}`;
  await device.subscribeAsync(filter, { qos: 1 });
  const msgId = await cmq.send(queueName, 'one');
  const { properties } = await handed;
  expect(properties?.userProperties).toMatchObject({ 'x-msg-id': msgId, 'x-receive-count': '1' });

  // Its lease ends; those that follow do not.
  await cmq.ok('SetQueueAttributes', { queueName, visibilityTimeout: 43_200 });
  const leased = await cmq.receive(queueName, 30);
  expect(leased).toMatchObject({ msgId, msgBody: 'one', dequeueCount: 2 });
  acknowledge();
  await device.unsubscribeAsync(filter);
  expect(await cmq.counters(queueName)).toMatchObject({ active: 0, inactive: 1 });

  const { receiptHandle } = leased;
  await cmq.ok('ChangeMessageVisibility', { queueName, receiptHandle, visibilityTimeout: 0 });
  const got = await channel.get(queueName);
  if (got === false) throw new Error('AMQP found nothing');
  expect(got.properties.headers).toMatchObject({ 'x-msg-id': msgId, 'x-receive-count': 3 });
  channel.ack(got);
  await eventually(async () => (await cmq.counters(queueName)).inactive === 0, 'it is deleted');
  await device.endAsync();
  await connection.close();
});
