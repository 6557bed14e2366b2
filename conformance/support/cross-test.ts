/**
 * Two protocols on one broker: stock AMQP clients beside the scripted MQTT client. Without MQTT_URL
 * every file starts the built server; with it AMQP_URL names the same broker's other listener.
 */
import amqp, {
  type Channel,
  type ChannelModel,
  type ConfirmChannel,
  type ConsumeMessage,
  type Options,
} from 'amqplib';
import { DEFAULT_TIMEOUT_MS, within } from './inbox.ts';
import { type MqttBroker, MqttContext, type MqttRule, skipReason, useMqtt } from './mqtt-test.ts';
import { test } from 'vitest';
import type { ServerOptions } from './server-process.ts';

/** A queue's messages in order, one reader. */
export class QueueReader {
  readonly #waiting: ((message: ConsumeMessage) => void)[] = [];
  readonly #messages: ConsumeMessage[] = [];

  push(message: ConsumeMessage): void {
    const wake = this.#waiting.shift();
    if (wake === undefined) this.#messages.push(message);
    else wake(message);
  }

  async next(timeoutMs = DEFAULT_TIMEOUT_MS): Promise<ConsumeMessage> {
    const found = this.#messages.shift();
    if (found !== undefined) return found;
    const waiting = new Promise<ConsumeMessage>((resolve) => this.#waiting.push(resolve));
    return await within(waiting, timeoutMs, 'waiting for an AMQP message');
  }

  get unread(): number {
    return this.#messages.length;
  }
}

export class CrossContext extends MqttContext {
  readonly #amqpUrl: string;
  readonly #connections: ChannelModel[] = [];

  constructor(mqttUrl: () => string, amqpUrl: string) {
    super(mqttUrl);
    this.#amqpUrl = amqpUrl;
  }

  async channel(): Promise<Channel> {
    return await (await this.#open()).createChannel();
  }

  async confirmChannel(): Promise<ConfirmChannel> {
    return await (await this.#open()).createConfirmChannel();
  }

  async #open(): Promise<ChannelModel> {
    const connection = await amqp.connect(this.#amqpUrl);
    connection.on('error', () => {});
    this.#connections.push(connection);
    return connection;
  }

  /** An exclusive queue bound to `amq.topic`, consumed without acknowledgements. */
  async bound(
    channel: Channel,
    key: string,
    options: Options.AssertQueue = {},
  ): Promise<QueueReader> {
    const { queue } = await channel.assertQueue('', { exclusive: true, ...options });
    await channel.bindQueue(queue, 'amq.topic', key);
    return await this.consume(channel, queue);
  }

  async consume(channel: Channel, queue: string): Promise<QueueReader> {
    const reader = new QueueReader();
    const take = (message: ConsumeMessage | null): void => {
      if (message !== null) reader.push(message);
    };
    await channel.consume(queue, take, { noAck: true });
    return reader;
  }

  override dispose(): void {
    super.dispose();
    for (const connection of this.#connections) void connection.close().catch(() => {});
  }
}

export interface CrossBroker extends Pick<MqttBroker, 'peer' | 'server'> {
  readonly crossTest: (rule: MqttRule, run: (context: CrossContext) => Promise<void>) => void;
}

/** Call once at the top of a test file. */
export function useCross(options: ServerOptions = {}): CrossBroker {
  const { url, peer, server } = useMqtt(options);
  const isExternal = process.env['MQTT_URL'] !== undefined;
  const amqpUrl = (): string => (isExternal ? (process.env['AMQP_URL'] ?? '') : server().url);
  const hasBoth = !isExternal || process.env['AMQP_URL'] !== undefined;
  return {
    peer,
    server,
    crossTest: (rule, run) => {
      const reason = hasBoth ? skipReason(rule, peer) : 'no AMQP_URL';
      const title = `${rule.section}: ${rule.rule}${reason === undefined ? '' : ` [${reason}]`}`;
      test.skipIf(reason !== undefined)(title, async () => {
        const context = new CrossContext(url, amqpUrl());
        try {
          await run(context);
        } finally {
          context.dispose();
        }
      });
    },
  };
}
