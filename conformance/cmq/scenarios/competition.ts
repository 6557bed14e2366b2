/**
 * Producers and consumers of three protocols: what the producers publish to a topic comes to one
 * queue, and every message there is for one of its consumers, whether it waits in `basic.consume`, in
 * a long poll, or in a shared subscription to the queue.
 */
import amqp, { type ChannelModel } from 'amqplib';
import { connectAsync, type MqttClient } from 'mqtt';
import type { CmqClient } from '../../support/cmq-client.ts';

const BATCH = 16;
const KEY = 'work';
/** Connections that AMQP producers and consumers share. */
const CONNECTIONS = 5;
/** Groups that the devices are members of. */
const GROUPS = 3;
/** The first of so many batches of a poller is never deleted: its messages come again. */
const FORGETS_EVERY = 50;

export interface Place {
  readonly amqpUrl: string;
  readonly mqttUrl: string;
  readonly cmq: CmqClient;
  readonly topicName: string;
  readonly queueName: string;
}

export type Wire = 'amqp' | 'http' | 'mqtt';

export class Competition {
  /** How often each body was taken. */
  readonly taken: Map<string, number>;
  /** How many each kind of consumer took. */
  readonly takenBy: Record<Wire, number>;
  readonly #place: Place;
  readonly #connections: ChannelModel[];
  readonly #devices: MqttClient[];
  readonly #pollers: Promise<void>[];
  #isDone: boolean;

  constructor(place: Place) {
    this.taken = new Map();
    this.takenBy = { amqp: 0, http: 0, mqtt: 0 };
    this.#place = place;
    this.#connections = [];
    this.#devices = [];
    this.#pollers = [];
    this.#isDone = false;
  }

  async connect(): Promise<void> {
    for (let at = 0; at < CONNECTIONS; at += 1) {
      this.#connections.push(await amqp.connect(this.#place.amqpUrl));
    }
  }

  /** Messages that were handed to anybody. */
  get takenCount(): number {
    const { amqp: overAmqp, http, mqtt } = this.takenBy;
    return overAmqp + http + mqtt;
  }

  #take(wire: Wire, body: string): void {
    this.takenBy[wire] += 1;
    this.taken.set(body, (this.taken.get(body) ?? 0) + 1);
  }

  #connection(at: number): ChannelModel {
    return this.#connections[at % CONNECTIONS]!;
  }

  async #device(): Promise<MqttClient> {
    const device = await connectAsync(this.#place.mqttUrl, {
      protocolVersion: 5,
      reconnectPeriod: 0,
      properties: { receiveMaximum: 20 },
    });
    this.#devices.push(device);
    return device;
  }

  async consumeOverAmqp(at: number): Promise<void> {
    const channel = await this.#connection(at).createChannel();
    await channel.prefetch(1 + at);
    await channel.consume(this.#place.queueName, (message) => {
      if (message === null) return;
      this.#take('amqp', message.content.toString());
      setImmediate(() => channel.ack(message));
    });
  }

  /** Member of a share of the queue; acknowledges as its library does. */
  async consumeOverMqtt(at: number): Promise<void> {
    const device = await this.#device();
    device.on('message', (_topic, payload) => this.#take('mqtt', payload.toString()));
    // Groups say nothing about a queue: all of them compete.
    const filter = `$share/g${at % GROUPS}/$queue/${this.#place.queueName}`;
    await device.subscribeAsync(filter, { qos: 1 });
  }

  consumeOverHttp(at: number): void {
    this.#pollers.push(this.#poll(1 + (at % BATCH)));
  }

  async #poll(numOfMsg: number): Promise<void> {
    const { cmq, queueName } = this.#place;
    let batches = 0;
    while (!this.#isDone) {
      const wait = { queueName, numOfMsg, pollingWaitSeconds: 1 };
      const reply = await cmq.call('BatchReceiveMessage', wait);
      if (reply.code === 7000) continue;
      if (reply.code !== 0) throw new Error(`${reply.code} ${reply.message}`);
      for (const { msgBody } of reply.msgInfoList) this.#take('http', msgBody);
      batches += 1;
      if (batches % FORGETS_EVERY === 1) continue;
      const receiptHandle = reply.msgInfoList.map((message) => message.receiptHandle);
      const { code, message } = await cmq.call('BatchDeleteMessage', { queueName, receiptHandle });
      // A lease may be over before a slow client deletes.
      if (![0, 6010, 6020].includes(code)) throw new Error(`${code} ${message}`);
    }
  }

  /** Publishes all of `bodies` and has it confirmed. */
  async produce(at: number, bodies: readonly string[]): Promise<void> {
    const { cmq, topicName } = this.#place;
    if (at % 3 === 0) {
      const channel = await this.#connection(at).createConfirmChannel();
      for (const [index, body] of bodies.entries()) {
        channel.publish(topicName, KEY, Buffer.from(body), { persistent: true });
        if (index % 100 === 99) await channel.waitForConfirms();
      }
      await channel.waitForConfirms();
      await channel.close();
    } else if (at % 3 === 1) {
      for (let from = 0; from < bodies.length; from += BATCH) {
        const msgBody = bodies.slice(from, from + BATCH);
        await cmq.ok('BatchPublishMessage', { topicName, msgBody, routingKey: KEY });
      }
    } else {
      const device = await this.#device();
      for (let from = 0; from < bodies.length; from += BATCH) {
        const batch = bodies.slice(from, from + BATCH);
        await Promise.all(
          batch.map((body) => device.publishAsync(`${topicName}/${KEY}`, body, { qos: 1 })),
        );
      }
    }
  }

  async stop(): Promise<void> {
    this.#isDone = true;
    await Promise.all(this.#pollers);
    for (const device of this.#devices) await device.endAsync();
    for (const connection of this.#connections) await connection.close();
  }
}
