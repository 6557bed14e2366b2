/**
 * A queue of the broker consumed over MQTT (`$share/GROUP/$queue/NAME`), by the stock client, beside
 * consumers of AMQP. An extension: no other broker is asked.
 */
import { randomBytes } from 'node:crypto';
import amqp, { type ChannelModel, type ConfirmChannel } from 'amqplib';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import { afterEach, expect } from 'vitest';
import { mqttUrl, texts, useMqtt, VERSIONS } from '../support/mqtt-test.ts';
import { PUBCOMP, PUBREC, PUBREL } from '../support/mqtt-wire.ts';

const { specTest, server } = useMqtt();
const devices: MqttClient[] = [];
const connections: ChannelModel[] = [];

afterEach(async () => {
  for (const device of devices.splice(0)) await device.endAsync(true);
  for (const connection of connections.splice(0)) await connection.close();
});

const rule = (text: string) => ({ section: '4.8.2', rule: text, needsServer: true });

/** A durable queue, with the channel that made it. */
async function newQueue(): Promise<{ queue: string; channel: ConfirmChannel }> {
  const connection = await amqp.connect(server().url);
  connections.push(connection);
  const channel = await connection.createConfirmChannel();
  const queue = `q${randomBytes(5).toString('hex')}`;
  await channel.assertQueue(queue, { durable: true });
  return { queue, channel };
}

interface Device {
  readonly device: MqttClient;
  /** Payloads it got. */
  readonly got: string[];
}

/** A device and what it gets; resolved once it is connected. */
async function dial(options: IClientOptions): Promise<Device> {
  const device = mqtt.connect(mqttUrl(server()), {
    protocolVersion: 5,
    reconnectPeriod: 0,
    ...options,
  });
  devices.push(device);
  const got: string[] = [];
  device.on('message', (_topic, payload) => got.push(payload.toString()));
  await new Promise((resolve, reject) => {
    device.once('connect', resolve);
    device.once('error', reject);
  });
  return { device, got };
}

/** A device that consumes a queue. */
async function worker(queue: string, options: IClientOptions = {}): Promise<Device> {
  const connected = await dial(options);
  const granted = await connected.device.subscribeAsync(`$share/g/$queue/${queue}`, { qos: 1 });
  expect(granted.map(({ qos }) => qos)).toEqual([1]);
  return connected;
}

async function send(channel: ConfirmChannel, queue: string, count: number): Promise<string[]> {
  const bodies = Array.from({ length: count }, (_, at) => `${at}`);
  for (const body of bodies) channel.sendToQueue(queue, Buffer.from(body), { persistent: true });
  await channel.waitForConfirms();
  return bodies;
}

/** Ready messages of a queue, and its consumers. */
async function stateOf(channel: ConfirmChannel, queue: string): Promise<[number, number]> {
  const { messageCount, consumerCount } = await channel.checkQueue(queue);
  return [messageCount, consumerCount];
}

for (const protocolVersion of VERSIONS) {
  const of = (text: string) => rule(`${protocolVersion}: ${text}`);

  specTest(of('devices and AMQP consumers share a queue, each message to one'), async () => {
    const { queue, channel } = await newQueue();
    const { got: one } = await worker(queue, { protocolVersion });
    const { got: two } = await worker(queue, { protocolVersion });
    const three: string[] = [];
    const { consumerTag } = await channel.consume(queue, (message) => {
      if (message === null) return;
      three.push(message.content.toString());
      channel.ack(message);
    });
    const bodies = await send(channel, queue, 90);
    const all = (): string[] => [...one, ...two, ...three];
    await expect.poll(() => all().length).toBeGreaterThanOrEqual(90);
    expect(all().toSorted()).toEqual(bodies.toSorted());
    expect(Math.min(one.length, two.length, three.length)).toBeGreaterThan(0);
    await channel.cancel(consumerTag);
    for (const device of devices.splice(0)) await device.endAsync();
    // The queue outlives its consumers, and nothing was left in it.
    await expect.poll(async () => await stateOf(channel, queue)).toEqual([0, 0]);
  });

  specTest(of('what a device did not acknowledge comes back when it goes'), async () => {
    const { queue, channel } = await newQueue();
    const { device: stuck } = await dial({ protocolVersion });
    let seen = 0;
    // Without its callback the client sends no PUBACK.
    stuck.handleMessage = () => {
      seen += 1;
    };
    await stuck.subscribeAsync(`$share/g/$queue/${queue}`, { qos: 1 });
    const bodies = await send(channel, queue, 3);
    await expect.poll(() => seen).toBeGreaterThan(0);
    await expect.poll(async () => await stateOf(channel, queue)).toEqual([0, 1]);
    await stuck.endAsync(true);
    await expect.poll(async () => await stateOf(channel, queue)).toEqual([3, 0]);
    const { got } = await worker(queue, { protocolVersion });
    await expect.poll(() => got).toEqual(bodies);
  });

  specTest(of('no such queue, or its name without a share: refused'), async () => {
    const { device } = await dial({ protocolVersion });
    const reason = protocolVersion === 5 ? /Topic Filter invalid/ : /Unspecified error/;
    for (const filter of ['$share/g/$queue/nobody-made-it', '$queue/nobody-made-it']) {
      await expect(device.subscribeAsync(filter, { qos: 1 })).rejects.toThrow(reason);
    }
  });
}

specTest(rule('QoS 2 is granted as QoS 1 to a session that ends with its connection'), async () => {
  const { queue, channel } = await newQueue();
  const { device, got } = await dial({});
  const granted = await device.subscribeAsync(`$share/g/$queue/${queue}`, { qos: 2 });
  expect(granted.map(({ qos }) => qos)).toEqual([1]);
  await device.publishAsync(`$queue/${queue}`, 'x', { qos: 2 });
  await expect.poll(() => got).toEqual(['x']);
  await expect.poll(async () => await stateOf(channel, queue)).toEqual([0, 1]);
});

for (const version of VERSIONS) {
  specTest(rule(`${version}: QoS 2 goes on where it stopped, with its session`), async (t) => {
    const { queue, channel } = await newQueue();
    const session = {
      version,
      clientId: t.name('c'),
      cleanStart: false,
      manualAck: true,
      properties: { sessionExpiry: 60 },
    };
    const first = await t.connect(session);
    expect((await first.subscribe(`$share/g/$queue/${queue}`, 2)).codes).toEqual([2]);
    const bodies = await send(channel, queue, 3);
    const began = await first.messages(3);
    expect(texts(began)).toEqual(bodies);
    expect(began.map(({ qos, dup }) => [qos, dup])).toEqual(bodies.map(() => [2, false]));
    first.ack(PUBREC, began[1]!.packetId);
    await first.next(PUBREL);
    await first.drop();
    // Nobody else may have them.
    await expect.poll(async () => await stateOf(channel, queue)).toEqual([0, 0]);
    const second = await t.connect(session);
    expect((await second.next(PUBREL)).packetId).toBe(began[1]!.packetId);
    second.ack(PUBCOMP, began[1]!.packetId);
    const again = await second.messages(2);
    expect(again.map(({ packetId, dup }) => [packetId, dup])).toEqual([
      [began[0]!.packetId, true],
      [began[2]!.packetId, true],
    ]);
    for (const { packetId } of again) {
      second.ack(PUBREC, packetId);
      await second.next(PUBREL);
      second.ack(PUBCOMP, packetId);
    }
    await send(channel, queue, 1);
    expect((await second.message()).payload.toString()).toBe('0');
  });
}

specTest(rule('no more than Receive Maximum is taken from the queue'), async () => {
  const { queue, channel } = await newQueue();
  await worker(queue, { properties: { receiveMaximum: 2 }, customHandleAcks: () => {} });
  await send(channel, queue, 5);
  await expect.poll(async () => await stateOf(channel, queue)).toEqual([3, 1]);
});

specTest(
  rule('a session takes nothing while it is away, and consumes when it is back'),
  async () => {
    const { queue, channel } = await newQueue();
    const session: IClientOptions = {
      clientId: `c${randomBytes(5).toString('hex')}`,
      clean: false,
      properties: { sessionExpiryInterval: 60 },
    };
    const { device } = await worker(queue, session);
    await device.endAsync();
    await expect.poll(async () => await stateOf(channel, queue)).toEqual([0, 0]);
    const bodies = await send(channel, queue, 3);
    expect(await stateOf(channel, queue)).toEqual([3, 0]);
    const { got } = await dial(session);
    await expect.poll(() => got).toEqual(bodies);
  },
);

specTest(rule('DISCONNECT 0x98 tells that the queue was deleted'), async () => {
  const { queue, channel } = await newQueue();
  const { device } = await worker(queue);
  const told = new Promise<number | undefined>((resolve) => {
    device.on('disconnect', ({ reasonCode }) => resolve(reasonCode));
  });
  await channel.deleteQueue(queue);
  expect(await told).toBe(0x98);
});
