/** Clients of each protocol that publish what theirs allows, and are connected anew when closed. */
import type { TestClient as AmqpClient } from '../../protocols/amqp/amqp-harness.ts';
import { frame, publishFrames } from '../../protocols/amqp/wire.ts';
import type { TestClient as MqttClient } from '../../protocols/mqtt/mqtt-harness.ts';
import { field, list, packet, u16, userProperty } from '../../protocols/mqtt/wire.ts';
import type { Bodies } from './bodies.ts';
import type { OddValues } from './odd-values.ts';
import { connectAmqp, connectMqtt, isClosed, StompPeer } from './peers.ts';
import { CMQ_QUEUES, EXCHANGES, QUEUES, TOPICS } from './topology.ts';
import type { World } from './world.ts';

const PLACES = ['', 'amq.topic', 'amq.fanout', 'amq.headers', ...Object.keys(EXCHANGES), ...TOPICS];
const QUEUE_NAMES = [...Object.keys(QUEUES), ...CMQ_QUEUES, 'cdead'];

export class Publishers {
  readonly #world: World;
  readonly #odd: OddValues;
  readonly #bodies: Bodies;
  #amqp: AmqpClient | undefined;
  readonly #mqtt: Map<number, MqttClient>;
  readonly #stomp: Map<string, StompPeer>;
  #clientCount: number;

  constructor(world: World, odd: OddValues, bodies: Bodies) {
    this.#world = world;
    this.#odd = odd;
    this.#bodies = bodies;
    this.#amqp = undefined;
    this.#mqtt = new Map();
    this.#stomp = new Map();
    this.#clientCount = 0;
  }

  /** Publishes one message of any protocol. */
  async one(): Promise<void> {
    const kind = this.#odd.below(10);
    if (kind < 4) await this.#overAmqp();
    else if (kind < 7) await this.#overMqtt();
    else if (kind < 8) await this.#overStomp();
    else if (kind < 9) await this.#overCmq();
    else if (this.#odd.once(2)) await this.#will();
    else await this.#define();
  }

  /** Reads what publishers were told, so that the next batch knows who is closed. */
  async drain(): Promise<void> {
    const told = (await this.#amqp?.all()) ?? [];
    const isRefused = told.some(
      ({ name }) => name === 'channel.close' || name === 'connection.close',
    );
    if (isRefused || (this.#amqp && isClosed(this.#amqp.transport))) this.#amqp = undefined;
    for (const [version, client] of this.#mqtt) {
      await client.all();
      if (client.isClosed) this.#mqtt.delete(version);
    }
    for (const [version, peer] of this.#stomp) {
      await peer.all();
      if (isClosed(peer.transport)) this.#stomp.delete(version);
    }
  }

  async #overAmqp(): Promise<void> {
    const odd = this.#odd;
    this.#amqp ??= await connectAmqp(this.#world);
    const exchange = odd.pick(PLACES);
    const key = exchange === '' ? odd.pick(QUEUE_NAMES) : this.#key();
    const { flags, bytes } = odd.properties();
    // A header frame has one frame's size at most.
    if (bytes.length > 131_000) return;
    const frames = publishFrames(1, exchange, '', this.#bodies.make(), flags, bytes);
    this.#amqp.raw(withKey(frames, exchange, key));
  }

  /** Binds, declares or consumes with arguments of any type; most are kept, some refused. */
  async #define(): Promise<void> {
    const odd = this.#odd;
    this.#amqp ??= await connectAmqp(this.#world);
    const name = odd.shortText(Buffer.from(odd.pick(Object.keys(QUEUES))));
    const fresh = odd.shortText(Buffer.from(`fresh${odd.below(1_000_000)}`));
    const headers = odd.shortText(Buffer.from(odd.pick(['headers', 'amq.headers', 'tags'])));
    const type = odd.shortText(Buffer.from(odd.pick(['topic', 'headers', 'x-consistent-hash'])));
    const [reserved, none, off] = [Buffer.alloc(2), Buffer.alloc(1), Buffer.alloc(1)];
    const key = odd.shortText();
    const [id, ...fields] = odd.pick([
      [0x0032_0014, reserved, name, headers, key, off],
      [0x0032_0014, reserved, name, odd.shortText(Buffer.from('topic')), key, off],
      // Durable.
      [0x0032_000a, reserved, fresh, Buffer.of(2)],
      [0x0028_000a, reserved, fresh, type, Buffer.of(2)],
      [0x003c_0014, reserved, name, none, Buffer.of(2)],
    ] as const);
    const payload = Buffer.concat([Buffer.alloc(4), ...fields, odd.table()]);
    payload.writeUInt32BE(id);
    if (payload.length < 131_000) this.#amqp.raw(frame(1, 1, payload));
  }

  #key(): string | Buffer {
    const odd = this.#odd;
    if (odd.once(12)) return Buffer.alloc(255, odd.pick([0xff, 0xc3, 0x2e]));
    if (odd.once(4)) return odd.pick(['T1', 'T1.a.b', 'T2', 'T2.a', `T2.${'k'.repeat(252)}`]);
    return odd.text();
  }

  #topic(): string {
    const odd = this.#odd;
    if (odd.once(4)) return `$queue/${odd.pick(QUEUE_NAMES)}`;
    if (odd.once(4)) return odd.pick(['T1', 'T1/a', 'T2/a.b/c', `T2/${'l'.repeat(300)}`, 'T2//']);
    if (odd.once(10)) return odd.pick(['x', 'é', 'a/', '.']).repeat(32_000);
    const text = odd.text().replaceAll(/[+#\0]/g, '_');
    return text === '' || text.startsWith('$SYS') ? 't' : text;
  }

  /** PUBLISH properties; `isWill` leaves out the topic alias. */
  #properties(): Buffer[] {
    const odd = this.#odd;
    const text = (): Buffer =>
      field((odd.once(8) ? odd.pick(['z', 'é']).repeat(32_767) : odd.text()).replaceAll('\0', ''));
    const found: Buffer[] = [];
    const maybe = (id: number, make: () => Buffer): void => {
      if (odd.once(3)) found.push(Buffer.concat([Buffer.from([id]), make()]));
    };
    maybe(0x01, () => Buffer.from([odd.below(2)]));
    maybe(0x02, () =>
      odd.pick([Buffer.alloc(4), Buffer.alloc(4, 0xff), Buffer.from([0, 0, 0, 9])]),
    );
    maybe(0x03, text);
    maybe(0x08, () =>
      field(odd.pick(['r', '$queue/plain', 'a.b/c', '$SYS/x', 'é'.repeat(32_767)])),
    );
    maybe(0x09, () => field(odd.bytes(odd.pick([0, 3, 255, 256, 65_535]))));
    for (let count = odd.below(5); count > 0; count -= 1) {
      const name = odd.headerName().replaceAll('\0', '');
      found.push(Buffer.concat([Buffer.from([0x26]), field(name), text()]));
    }
    if (odd.once(40)) {
      for (let n = 0; n < 300; n += 1) found.push(userProperty(`${n}`, 'v'.repeat(1_000)));
    }
    return found;
  }

  async #overMqtt(): Promise<void> {
    const odd = this.#odd;
    const version = odd.pick([3, 4, 5, 5, 5]);
    let client = this.#mqtt.get(version);
    if (client === undefined) {
      client = await connectMqtt(this.#world, version, `pub${version}-${this.#clientCount++}`);
      this.#mqtt.set(version, client);
    }
    const qos = odd.below(3);
    const id = 1 + odd.below(65_535);
    client.raw(
      packet(
        0x30 | (qos << 1) | odd.below(2),
        field(this.#topic()),
        qos === 0 ? Buffer.alloc(0) : u16(id),
        version === 5 ? list(...this.#properties()) : Buffer.alloc(0),
        this.#bodies.make(),
      ),
    );
    if (qos === 2) client.raw(packet(0x62, u16(id)));
  }

  async #will(): Promise<void> {
    const odd = this.#odd;
    const version = odd.pick([3, 4, 5]);
    const client = await connectMqtt(this.#world, version, `will${this.#clientCount++}`, {
      will: {
        flags: (odd.below(3) << 3) | (odd.below(2) << 5),
        properties: this.#properties(),
        topic: this.#topic(),
        payload: this.#bodies.makeText(),
      },
    });
    await client.lose();
  }

  async #overStomp(): Promise<void> {
    const odd = this.#odd;
    const version = odd.pick(['1.0', '1.1', '1.2']);
    let peer = this.#stomp.get(version);
    if (peer === undefined) {
      peer = await StompPeer.connect(this.#world, version);
      this.#stomp.set(version, peer);
    }
    const headers: Record<string, string> = {};
    for (let count = odd.below(6); count > 0; count -= 1) {
      const name = peer.escape(odd.headerName().replaceAll('\0', ''));
      if (name !== '' && !name.includes('content-length')) headers[name] = peer.escape(odd.text());
    }
    const names = [
      'correlation-id',
      'type',
      'reply-to',
      'amqp-message-id',
      'content-type',
      'app-id',
    ];
    for (const name of names) if (odd.once(4)) headers[name] = peer.escape(odd.text());
    if (odd.once(4)) headers['expiration'] = odd.pick(['0', '1', '4294967295']);
    if (odd.once(4)) headers['timestamp'] = odd.pick(['0', '9007199254740991']);
    if (odd.once(4)) headers['priority'] = odd.pick(['0', '9', '255']);
    headers['persistent'] = odd.pick(['true', 'false']);
    const key = peer.escape(odd.text().replaceAll('/', '%2F'));
    headers['destination'] = odd.pick([
      `/amq/queue/${odd.pick(QUEUE_NAMES)}`,
      `/topic/${key === '' ? 'k' : key}`,
      `/exchange/${odd.pick(PLACES.slice(1))}/${key}`,
    ]);
    const body = this.#bodies.make();
    headers['content-length'] = `${body.length}`;
    peer.send('SEND', headers, body);
  }

  async #overCmq(): Promise<void> {
    const odd = this.#odd;
    const isBinary = odd.once(2);
    const body = isBinary ? this.#bodies.make() : this.#bodies.makeText();
    const message = {
      msgBody: body.toString(isBinary ? 'base64' : 'utf8'),
      bodyEncoding: isBinary ? 'base64' : 'text',
    };
    if (odd.once(2)) {
      const delay = odd.once(3) ? { delaySeconds: odd.below(20) } : {};
      await this.#world.call('SendMessage', {
        queueName: odd.pick(QUEUE_NAMES),
        ...message,
        ...delay,
      });
      return;
    }
    const tags = [odd.text(), 'a', 'T1'].filter((tag) => tag !== '').slice(0, odd.below(4));
    const routing = odd.once(2) ? { routingKey: odd.text() } : {};
    await this.#world.call('PublishMessage', {
      topicName: odd.pick(TOPICS),
      ...message,
      ...(tags.length > 0 && { msgTag: tags }),
      ...routing,
    });
  }
}

/** The frames of a publish with an empty key, with `key` in its place. */
function withKey(frames: Buffer, exchange: string, key: string | Buffer): Buffer {
  const bytes = Buffer.from(key);
  // Head of the frame, class and method, reserved, exchange.
  const at = 7 + 4 + 2 + 1 + exchange.length;
  const changed = Buffer.concat([
    frames.subarray(0, at),
    Buffer.from([bytes.length]),
    bytes,
    frames.subarray(at + 1),
  ]);
  changed.writeUInt32BE(frames.readUInt32BE(3) + bytes.length, 3);
  return changed;
}
