/**
 * S7: fifty producers and fifty consumers over AMQP, HTTP and shared subscriptions of MQTT. Nothing
 * is lost, at no instant a message has two live leases (by the trace of the server), and what is
 * handed out twice was given back before: some consumers forget to delete, so that it happens.
 */
import amqp from 'amqplib';
import { expect, test } from 'vitest';
import { eventually, makeQueue, mqttAddress, unique, useCmq } from '../../support/cmq-test.ts';
import { Competition, type Taken } from './competition.ts';
import { LeaseLedger } from './lease-ledger.ts';
import { MESSAGES, tell } from './sizes.ts';

const PRODUCERS = 50;
/** Fifty in all: 13 and 12 on the queue, 20 and 5 on the shared subscription. */
const CONSUMERS = { queue: { amqp: 13, http: 12 }, share: { mqtt: 20, amqp: 5 } };
/** Upper bound; how fast the machine is decides how soon it is over. */
const PATIENCE_MS = 120_000 + MESSAGES * 10;
const VISIBILITY_SECONDS = 5;

const { client, server } = useCmq();

const sum = (taken: Taken): number => [...taken.values()].reduce((all, times) => all + times, 0);

test(
  `an active message has exactly one taker, of ${MESSAGES} between fifty and fifty`,
  async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq, { visibilityTimeout: VISIBILITY_SECONDS, trace: 1 });
    const [topicName, group] = [unique('work'), unique('g')];
    await cmq.ok('CreateTopic', { topicName, filterType: 2 });
    const place = { topicName, subscriptionName: 's', protocol: 'queue', endpoint: queueName };
    await cmq.ok('Subscribe', { ...place, bindingKey: ['#'] });
    // The first event makes the trace.
    await cmq.send(queueName, 'first');
    const observer = await amqp.connect(server().url);
    const ledger = await LeaseLedger.follow(observer, queueName);

    const address = { amqpUrl: server().url, mqttUrl: mqttAddress(server()) };
    const all = new Competition({ ...address, cmq, topicName, queueName, group });
    await all.connect();
    for (let at = 0; at < CONSUMERS.share.mqtt; at += 1) await all.consumeOverMqtt();
    const shared = `mqtt-share-${group}-${topicName}/work`;
    for (let at = 0; at < CONSUMERS.share.amqp; at += 1) {
      await all.consumeOverAmqp(at, shared, all.ofShare);
    }
    for (let at = 0; at < CONSUMERS.queue.amqp; at += 1) {
      await all.consumeOverAmqp(at, queueName, all.ofQueue);
    }
    for (let at = 0; at < CONSUMERS.queue.http; at += 1) all.consumeOverHttp(at);

    const share = Math.ceil(MESSAGES / PRODUCERS);
    const bodies = Array.from({ length: PRODUCERS }, (_, producer) =>
      Array.from({ length: share }, (_one, at) => `${producer}-${at}`),
    );
    const started = performance.now();
    await Promise.all(bodies.map((own, producer) => all.produce(producer, own)));
    const isTaken = async (): Promise<boolean> => {
      if (all.ofShare.size < share * PRODUCERS || all.ofQueue.size <= share * PRODUCERS)
        return false;
      const { active, inactive } = await cmq.counters(queueName);
      return active === 0 && inactive === 0;
    };
    await eventually(isTaken, 'all are taken', PATIENCE_MS);
    const seconds = (performance.now() - started) / 1_000;
    await all.stop();
    // The trace is read to its end: as many deletions as messages.
    const isRead = async (): Promise<boolean> => ledger.deleted === share * PRODUCERS + 1;
    await eventually(isRead, 'the trace is read', PATIENCE_MS);
    await ledger.stop();
    await observer.close();

    tell('S7', {
      messages: share * PRODUCERS,
      seconds: seconds.toFixed(1),
      'lost of the queue': bodies.flat().filter((body) => !all.ofQueue.has(body)).length,
      'lost of the shared subscription': bodies.flat().filter((body) => !all.ofShare.has(body))
        .length,
      'handed out again after a lease': ledger.released,
      'leased twice at once': ledger.faults.length,
    });
    expect(ledger.faults).toEqual([]);
    expect(ledger.leasedCount).toBe(0);
    expect(ledger.released).toBeGreaterThan(0);
    expect(all.ofQueue.size).toBe(share * PRODUCERS + 1);
    // Each receive of the trace is one that a consumer saw, and no more than one per lease.
    expect(sum(all.ofQueue)).toBe(ledger.received);
    expect(ledger.received).toBe(share * PRODUCERS + 1 + ledger.released);
    expect(all.ofShare.size).toBe(share * PRODUCERS);
    expect(sum(all.ofShare)).toBe(share * PRODUCERS);
  },
  3 * PATIENCE_MS,
);
