/** Clients of each protocol that take what comes and settle it in every way; none is ever closed. */
import { expect } from 'vitest';
import type { TestClient as AmqpClient } from '../../protocols/amqp/amqp-harness.ts';
import type { TestClient as MqttClient } from '../../protocols/mqtt/mqtt-harness.ts';
import type { Bodies } from './bodies.ts';
import type { OddValues } from './odd-values.ts';
import { connectAmqp, connectMqtt, isClosed, StompPeer } from './peers.ts';
import { CMQ_QUEUES, TOPICS } from './topology.ts';
import type { World } from './world.ts';

const MAXIMUM_PACKET_SIZE = 0x27;
/** Bytes: small messages fit, with few properties. */
const SMALL_PACKET = Buffer.from([MAXIMUM_PACKET_SIZE, 0, 0, 0, 250]);

export class Consumers {
  readonly #world: World;
  readonly #odd: OddValues;
  readonly #bodies: Bodies;
  readonly #amqp: AmqpClient;
  readonly #mqtt: readonly MqttClient[];
  readonly #stomp: readonly StompPeer[];
  /** Wants nothing but its own messages. */
  readonly #bystander: MqttClient;

  private constructor(
    world: World,
    odd: OddValues,
    bodies: Bodies,
    amqp: AmqpClient,
    mqtt: readonly MqttClient[],
    stomp: readonly StompPeer[],
    bystander: MqttClient,
  ) {
    this.#world = world;
    this.#odd = odd;
    this.#bodies = bodies;
    this.#amqp = amqp;
    this.#mqtt = mqtt;
    this.#stomp = stomp;
    this.#bystander = bystander;
  }

  static async open(world: World, odd: OddValues, bodies: Bodies): Promise<Consumers> {
    const amqp = await connectAmqp(world);
    amqp.send('basic.qos', 1, [0, 100, false]);
    for (const queue of ['plain', 'dlx', 'quorum', 'prio', 'c2']) await consume(amqp, queue);
    const stomp: StompPeer[] = [];
    for (const version of ['1.0', '1.1', '1.2']) stomp.push(await subscribeStomp(world, version));
    const bystander = await connectMqtt(world, 5, 'bystander');
    await bystander.subscribe('bystander', { qos: 1 });
    const mqtt = await subscribeMqtt(world);
    return new Consumers(world, odd, bodies, amqp, mqtt, stomp, bystander);
  }

  /** Takes and settles what is there. */
  async read(): Promise<void> {
    await this.#readAmqp();
    for (const client of this.#mqtt) await this.#readMqtt(client);
    for (const peer of this.#stomp) await this.#readStomp(peer);
    for (const queueName of [...CMQ_QUEUES, 'cdead']) await this.#readCmq(queueName);
    await this.#roundTrip();
  }

  async #readAmqp(): Promise<void> {
    const got = await this.#amqp
      .call('basic.get', 1, ['dead', true], 'basic.getOk')
      .catch(() => undefined);
    if (got !== undefined) this.#bodies.check(got.body!);
    for (const { name, fields, body, properties } of await this.#amqp.all()) {
      expect(name, JSON.stringify(fields)).not.toMatch(/close$/);
      if (name !== 'basic.deliver') continue;
      expect(properties).toBeDefined();
      this.#bodies.check(body!);
      const tag = Number(fields['deliveryTag']);
      const kind = this.#odd.below(6);
      if (kind < 4) this.#amqp.send('basic.ack', 1, [tag, false]);
      else
        this.#amqp.send('basic.nack', 1, [
          tag,
          false,
          kind === 5 && fields['redelivered'] !== true,
        ]);
    }
    expect(isClosed(this.#amqp.transport)).toBe(false);
  }

  async #readMqtt(client: MqttClient): Promise<void> {
    for (const packet of await client.all()) {
      const { cmd, messageId, qos, payload } = packet;
      expect(cmd).not.toBe('disconnect');
      if (cmd === 'pubrel') client.send({ cmd: 'pubcomp', messageId });
      if (cmd !== 'publish') continue;
      this.#bodies.check(Buffer.from(payload));
      // A topic without wildcards, or an alias that stands for one.
      expect(packet.topic).not.toMatch(/[+#\0]/);
      // 0x83 rejects: to the dead letters, from a queue by name.
      const reason = client.version === 5 && this.#odd.once(5) ? { reasonCode: 0x83 } : {};
      if (qos === 1) client.send({ cmd: 'puback', messageId, ...reason });
      if (qos === 2) client.send({ cmd: 'pubrec', messageId, ...reason });
    }
    expect(client.isClosed).toBe(false);
  }

  async #readStomp(peer: StompPeer): Promise<void> {
    for (const { command, headers, body } of await peer.all()) {
      expect(command, `${[...headers].join(' ')} ${body.toString()}`).toBe('MESSAGE');
      expect(headers.has('destination')).toBe(true);
      this.#bodies.check(body);
      const subscription = headers.get('subscription')!;
      if (subscription !== 'q') continue;
      const id: Record<string, string> =
        peer.version === '1.2'
          ? { id: headers.get('ack')! }
          : { 'message-id': headers.get('message-id')!, subscription };
      const isNack = peer.version !== '1.0' && this.#odd.once(4);
      if (isNack) id['requeue'] = this.#odd.pick(['false', 'false', 'true']);
      peer.send(isNack ? 'NACK' : 'ACK', id);
    }
    expect(isClosed(peer.transport)).toBe(false);
  }

  async #readCmq(queueName: string): Promise<void> {
    const world = this.#world;
    const many = { queueName, numOfMsg: 16 };
    await world.call('PeekMessage', many);
    await world.call('ListScheduledMessages', { queueName });
    await world.call('GetQueueAttributes', { queueName });
    if (this.#odd.once(2)) await world.call('QueryTrace', { queueName });
    const reply = await world.call('BatchReceiveMessage', { ...many, pollingWaitSeconds: 0 });
    const received = (reply['msgInfoList'] ?? []) as readonly Record<string, string>[];
    for (const { msgBody, bodyEncoding, msgId, receiptHandle } of received) {
      this.#bodies.check(Buffer.from(msgBody!, bodyEncoding === 'base64' ? 'base64' : 'utf8'));
      if (this.#odd.once(4)) await world.call('DescribeMessage', { queueName, msgId: msgId! });
      const handle = { queueName, receiptHandle: receiptHandle! };
      if (this.#odd.once(2)) await world.call('DeleteMessage', handle);
      else
        await world.call('ChangeMessageVisibility', {
          ...handle,
          visibilityTimeout: this.#odd.below(3),
        });
    }
    const kind = this.#odd.below(8);
    const startConsumeTime = Math.floor(world.fixture.clock.wallMs() / 1_000) - 300;
    if (kind === 0) await world.call('RewindQueue', { queueName, startConsumeTime });
    if (kind === 1 && queueName === 'cdead') await world.call('StartRedrive', { queueName });
    if (kind === 2 && queueName === 'cdead') {
      await world.call('StartRedrive', { queueName, targetQueueName: 'plain' });
    }
    if (kind === 3) await world.call('QueryTopicTrace', { topicName: this.#odd.pick(TOPICS) });
  }

  async #roundTrip(): Promise<void> {
    const body = this.#bodies.makeText();
    this.#bystander.publish('bystander', body.toString(), { qos: 1, messageId: 1 });
    const packets = await this.#bystander.publishes();
    expect(packets.map(({ payload }) => payload.toString())).toEqual([body.toString()]);
  }
}

async function consume(client: AmqpClient, queue: string): Promise<void> {
  client.send('basic.consume', 1, [queue, queue, false, false, false, false, new Map()]);
  expect((await client.all()).map(({ name }) => name)).toContain('basic.consumeOk');
}

async function subscribeMqtt(world: World): Promise<MqttClient[]> {
  const clients = [
    await connectMqtt(world, 3, 'sub3'),
    await connectMqtt(world, 4, 'sub4'),
    await connectMqtt(world, 5, 'sub5'),
    await connectMqtt(world, 5, 'small', { properties: [SMALL_PACKET] }),
    await connectMqtt(world, 5, 'aliases', { properties: [Buffer.from([0x22, 0, 4])] }),
  ];
  for (const client of clients) {
    expect(client.connack).toMatchObject(
      client.version === 5 ? { reasonCode: 0 } : { returnCode: 0 },
    );
    const identified = client.version === 5 ? { subscriptionIdentifier: 268_435_455 } : undefined;
    await client.subscribe('#', { qos: 2 }, identified);
    if (client.version === 3) continue;
    const shares = ['$share/w/$queue/mqtt', '$share/s/#', '$share/w/$queue/ttl'];
    for (const filter of shares) await client.subscribe(filter, { qos: 1 }, identified);
  }
  return clients;
}

async function subscribeStomp(world: World, version: string): Promise<StompPeer> {
  const peer = await StompPeer.connect(world, version);
  const individual = version === '1.0' ? 'client' : 'client-individual';
  peer.send('SUBSCRIBE', { id: 'q', destination: '/amq/queue/stomp', ack: individual });
  peer.send('SUBSCRIBE', { id: 't', destination: '/topic/#', ack: 'auto' });
  peer.send('SUBSCRIBE', { id: 'e', destination: '/exchange/topic/#', ack: 'auto' });
  return peer;
}
