/** Connections of each protocol to a `World`. */
import { expect } from 'vitest';
import type { FieldValue } from '../../../src/base/field-value.ts';
import { PipeTransport } from '../../net/pipe-transport.ts';
import { PROTOCOL_HEADER, TestClient as AmqpClient } from '../../protocols/amqp/amqp-harness.ts';
import { TestClient as MqttClient } from '../../protocols/mqtt/mqtt-harness.ts';
import { field, list, packet } from '../../protocols/mqtt/wire.ts';
import type { World } from './world.ts';

export async function connectAmqp(world: World): Promise<AmqpClient> {
  const transport = new PipeTransport();
  transport.handler = world.amqp.accept(transport);
  const client = new AmqpClient(world, transport);
  client.raw(PROTOCOL_HEADER);
  await client.next('connection.start');
  const names = ['authentication_failure_close', 'consumer_cancel_notify'];
  const capabilities = new Map<string, FieldValue>(names.map((name) => [name, true]));
  client.send('connection.startOk', 0, [
    new Map<string, FieldValue>([['capabilities', capabilities]]),
    'PLAIN',
    Buffer.from('\0guest\0guest'),
    'en_US',
  ]);
  await world.until(() => transport.received.length > 0);
  await client.next('connection.tune');
  client.send('connection.tuneOk', 0, [2047, 131_072, 0]);
  await client.call('connection.open', 0, ['/'], 'connection.openOk');
  await client.call('channel.open', 1, [], 'channel.openOk');
  return client;
}

/** What CONNECT asks for beyond a clean session. */
export interface MqttOptions {
  readonly properties?: readonly Buffer[];
  readonly will?: {
    readonly flags: number;
    readonly properties: readonly Buffer[];
    readonly topic: string;
    readonly payload: Buffer;
  };
}

/** The certificate logs in; version 3, 4 or 5. A client without `connack` was refused. */
export async function connectMqtt(
  world: World,
  version: number,
  clientId: string,
  options: MqttOptions = {},
): Promise<MqttClient> {
  const transport = new PipeTransport({ certificateSubject: 'guest' });
  transport.handler = world.mqtt.accept(transport);
  const client = new MqttClient(world, transport, version);
  const { will } = options;
  const isV5 = version === 5;
  const parts = [
    field(version === 3 ? 'MQIsdp' : 'MQTT'),
    Buffer.from([version, 2 | (will === undefined ? 0 : 4 | will.flags), 0, 0]),
    isV5 ? list(...(options.properties ?? [])) : Buffer.alloc(0),
    field(clientId),
  ];
  if (will !== undefined) {
    if (isV5) parts.push(list(...will.properties));
    parts.push(field(will.topic), field(will.payload));
  }
  client.raw(packet(0x10, ...parts));
  [client.connack] = await client.all();
  return client;
}

/** A frame as it came. */
export interface StompFrame {
  readonly command: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

/** STOMP bytes by its own grammar, and strictly: nothing is left, nothing is guessed. */
export class StompPeer {
  readonly transport: PipeTransport;
  readonly version: string;
  readonly #world: World;

  private constructor(world: World, version: string) {
    this.#world = world;
    this.version = version;
    this.transport = new PipeTransport();
    this.transport.handler = world.stomp.accept(this.transport);
  }

  static async connect(world: World, version: string): Promise<StompPeer> {
    const peer = new StompPeer(world, version);
    peer.send('CONNECT', {
      'accept-version': version,
      login: 'guest',
      passcode: 'guest',
      host: '/',
    });
    await world.until(() => peer.transport.received.length > 0);
    expect((await peer.all()).map(({ command }) => command)).toEqual(['CONNECTED']);
    return peer;
  }

  /** Header values as they stand. */
  send(command: string, headers: Readonly<Record<string, string>>, body?: Buffer): void {
    const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`);
    const head = Buffer.from(`${command}\n${lines.join('')}\n`);
    this.transport.receive(Buffer.concat([head, body ?? Buffer.alloc(0), Buffer.alloc(1)]));
  }

  /** A text as a header may say it. */
  escape(text: string): string {
    if (this.version === '1.0') return text.replaceAll(/[\r\n:]/g, '');
    const escaped = text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll(':', '\\c');
    return escaped.replaceAll('\r', this.version === '1.2' ? '\\r' : '');
  }

  async all(): Promise<StompFrame[]> {
    await this.#world.settle();
    const frames: StompFrame[] = [];
    let rest = this.transport.received;
    while (rest.length > 0) {
      const end = rest.indexOf('\n\n');
      expect(end, rest.toString('latin1', 0, 200)).toBeGreaterThan(0);
      const [command = '', ...lines] = rest.toString('utf8', 0, end).split('\n');
      const headers = new Map<string, string>();
      for (const line of lines) {
        const colon = line.indexOf(':');
        expect(colon, `${command}: ${line}`).toBeGreaterThan(0);
        // 1.0 trims; of names that are repeated the first counts.
        const name = this.version === '1.0' ? line.slice(0, colon).trim() : line.slice(0, colon);
        expect(line, 'a carriage return ends the header').not.toContain('\r');
        if (!headers.has(name)) headers.set(name, line.slice(colon + 1));
      }
      const bodyAt = end + 2;
      const length = headers.get('content-length') ?? `${rest.indexOf(0, bodyAt) - bodyAt}`;
      expect(length, rest.toString('latin1', 0, end)).toMatch(/^\d+$/);
      const bodyEnd = bodyAt + Number(length);
      expect(rest[bodyEnd], rest.toString('latin1', 0, end)).toBe(0);
      frames.push({ command, headers, body: Buffer.from(rest.subarray(bodyAt, bodyEnd)) });
      rest = rest.subarray(bodyEnd + 1);
      while (rest[0] === 10) rest = rest.subarray(1);
    }
    this.transport.received = Buffer.alloc(0);
    return frames;
  }
}

export function isClosed({ isEnded, isDestroyed }: PipeTransport): boolean {
  return isEnded || isDestroyed;
}
