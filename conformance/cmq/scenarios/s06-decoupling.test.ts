/**
 * S6, system decoupling: a producer, a process of its own that knows the name of a topic, is left
 * alone while its receivers come, change their protocol and go. It sees nothing but confirms on the
 * one connection it has, and each receiver gets everything from its first to its last moment.
 */
import { text } from 'node:stream/consumers';
import amqp from 'amqplib';
import { connectAsync } from 'mqtt';
import { expect, test } from 'vitest';
import {
  eventually,
  makeQueue,
  mqttAddress,
  pause,
  unique,
  useCmq,
} from '../../support/cmq-test.ts';
import { startProgram } from '../../support/site-process.ts';
import { PRODUCER_SECONDS, tell } from './sizes.ts';

const EVERY_MS = 5;
const PATIENCE_MS = 60_000;
/** Everything changes within so many steps of the run. */
const STEPS = 6;

const { client, server } = useCmq();

interface Told {
  readonly sent: number;
  readonly confirmed: number;
  readonly refused: number;
  readonly returned: number;
  readonly errors: string[];
}

/** Bodies are numbers; these are all from the first to the last of them, each once, in order. */
function expectUnbroken(bodies: readonly string[]): void {
  const first = Number(bodies[0]);
  expect(bodies).toEqual(bodies.map((_, at) => String(first + at)));
}

test(
  `S6: for ${PRODUCER_SECONDS} s a producer sees only confirms while its receivers change`,
  async () => {
    const cmq = client();
    const topicName = unique('t');
    await cmq.ok('CreateTopic', { topicName, filterType: 2 });
    const subscribe = async (subscriptionName: string, bindingKey: string): Promise<string> => {
      const endpoint = await makeQueue(cmq);
      const place = { topicName, subscriptionName, protocol: 'queue', endpoint };
      await cmq.ok('Subscribe', { ...place, bindingKey: [bindingKey] });
      return endpoint;
    };
    const moved = await subscribe('moved', '#');
    const gone = await subscribe('gone', '#');
    const started = performance.now();
    const producer = startProgram('producer.mjs', {
      ...{ AMQP_URL: server().url, TOPIC: topicName, ROUTING_KEY: 'a.b', EVERY_MS: `${EVERY_MS}` },
    });
    const told = text(producer.stdout!);
    try {
      const step = () => pause((PRODUCER_SECONDS * 1_000) / STEPS);
      const waiting = async (queueName: string): Promise<number> =>
        (await cmq.counters(queueName)).active;
      await eventually(async () => (await waiting(moved)) > 5, 'it has begun', PATIENCE_MS);

      // One consumer begins over HTTP and goes on over AMQP.
      const taken: string[] = [];
      for (let at = 0; at < 5; at += 1) {
        const got = await cmq.receive(moved, 30);
        taken.push(got.msgBody);
        await cmq.remove(moved, got);
      }
      await step();
      const connection = await amqp.connect(server().url);
      const channel = await connection.createChannel();
      await channel.consume(moved, (message) => {
        if (message === null) return;
        taken.push(message.content.toString());
        channel.ack(message);
      });
      await step();
      // Three more queues, one of them bound over AMQP, and a device.
      const more = [await subscribe('second', 'a.*'), await subscribe('third', '#.b')];
      const { queue } = await channel.assertQueue(unique(), { durable: true });
      await channel.bindQueue(queue, topicName, 'a.b');
      more.push(queue);
      const device = await connectAsync(mqttAddress(server()), { reconnectPeriod: 0 });
      const heard: string[] = [];
      device.on('message', (_topic, payload) => heard.push(payload.toString()));
      await device.subscribeAsync(`${topicName}/#`, { qos: 1 });
      await step();
      await cmq.ok('Unsubscribe', { topicName, subscriptionName: 'gone' });
      const kept = await waiting(gone);
      await pause(Math.max(0, PRODUCER_SECONDS * 1_000 - (performance.now() - started)));
      await eventually(async () => heard.length > 5, 'the device hears', PATIENCE_MS);

      producer.stdin!.end();
      const result = JSON.parse(await told) as Told;
      const { sent } = result;
      expect(result).toMatchObject({ confirmed: sent, refused: 0, returned: 0, errors: [] });
      await eventually(async () => taken.length === sent, 'the moved one has all', PATIENCE_MS);
      expectUnbroken(taken);
      expect(taken[0]).toBe('0');
      expect(await waiting(gone)).toBe(kept);
      for (const queueName of more) {
        const bodies = await cmq.drain(queueName);
        expectUnbroken(bodies);
        expect(bodies.at(-1)).toBe(String(sent - 1));
      }
      await eventually(
        async () => heard.at(-1) === String(sent - 1),
        'heard to the end',
        PATIENCE_MS,
      );
      expectUnbroken(heard);
      tell('S6', { seconds: PRODUCER_SECONDS, sent, confirmed: result.confirmed, refused: 0 });
      await device.endAsync();
      await connection.close();
    } finally {
      producer.kill('SIGKILL');
    }
  },
  PRODUCER_SECONDS * 1_000 + 6 * PATIENCE_MS,
);
