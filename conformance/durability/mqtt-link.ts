/**
 * A bare MQTT connection for the kill test: no queue, no retry, no session of its own. What a
 * client must keep over a crash is kept by its owner (mqtt-sender.ts, mqtt-receiver.ts).
 */
import net from 'node:net';

export const PUBLISH = 3;
export const PUBACK = 4;
export const PUBREC = 5;
export const PUBREL = 6;
export const PUBCOMP = 7;

const CONNACK = 2;
const SUBACK = 9;
const DISCONNECT = 14;
const REPLY_TIMEOUT_MS = 45_000;

export interface MqttLinkOptions {
  /** mqtt://user:password@host:port */
  readonly url: string;
  readonly clientId: string;
  /** 4 is MQTT 3.1.1. */
  readonly version: 4 | 5;
  readonly isClean: boolean;
  /** MQTT 5; a 3.1.1 session that is not clean stays. */
  readonly sessionExpirySeconds: number;
  /** MQTT 5: unacknowledged messages the server may send; 0 leaves it out. */
  readonly receiveMaximum: number;
}

/** `body` is what follows the fixed header, valid until the call returns. */
export type OnMqttPacket = (type: number, flags: number, body: Buffer) => void;

export class MqttLink {
  /** Session present, from CONNACK. */
  isPresent = false;
  /** How many QoS 1 and 2 publishes the server takes at a time. */
  serverReceiveMaximum = 65_535;
  readonly version: 4 | 5;
  readonly ended: Promise<void>;
  readonly #socket: net.Socket;
  #rest: Buffer = Buffer.alloc(0);
  #isEnded = false;
  #reason = 'connection closed';
  #awaited: { type: number; settle: (body: Buffer | undefined) => void } | undefined;
  #onPacket: OnMqttPacket | undefined;
  #onChunkEnd: (() => void) | undefined;
  /** What came before `start`: deliveries may stand right behind CONNACK. */
  #early: { type: number; flags: number; body: Buffer }[] = [];
  #isDetached = false;

  private constructor(socket: net.Socket, version: 4 | 5) {
    this.#socket = socket;
    this.version = version;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#onChunk(chunk));
    socket.on('error', () => undefined);
    this.ended = new Promise((resolve) => {
      socket.once('close', () => {
        this.#isEnded = true;
        this.#awaited?.settle(undefined);
        resolve();
      });
    });
  }

  /** Connects and waits for CONNACK; rejects when refused or cut. */
  static async open(options: MqttLinkOptions): Promise<MqttLink> {
    const url = new URL(options.url);
    const socket = net.connect(Number(url.port || 1883), url.hostname);
    const link = new MqttLink(socket, options.version);
    const connack = await link.#call(connectPacket(options, url), CONNACK);
    if (connack[1] !== 0) {
      link.destroy();
      throw new Error(`${options.clientId}: CONNACK ${connack[1]}`);
    }
    link.isPresent = connack[0] === 1;
    if (options.version === 5) {
      link.serverReceiveMaximum = receiveMaximumOf(connack.subarray(2)) ?? 65_535;
    }
    return link;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Why it ended, as far as the server said. */
  get reason(): string {
    return this.#reason;
  }

  /** From here on packets go to `onPacket`, first those that came already. */
  start(onPacket: OnMqttPacket, onChunkEnd?: () => void): void {
    this.#onPacket = onPacket;
    this.#onChunkEnd = onChunkEnd;
    for (const { type, flags, body } of this.#early.splice(0)) onPacket(type, flags, body);
    onChunkEnd?.();
  }

  /** Nothing that still comes reaches the owner. */
  detach(): void {
    this.#isDetached = true;
  }

  write(bytes: Buffer): void {
    if (!this.#isEnded) this.#socket.write(bytes);
  }

  async subscribe(filter: string, qos: number): Promise<void> {
    const properties = this.version === 5 ? [0] : [];
    const name = text(filter);
    const body = Buffer.concat([Buffer.from([0, 1, ...properties]), name, Buffer.from([qos])]);
    const suback = await this.#call(packet(0x82, body), SUBACK);
    const code = suback[suback.length - 1]!;
    if (code > 2) throw new Error(`SUBACK ${code} for ${filter}`);
  }

  /** DISCONNECT with reason 0, then the end. */
  async close(): Promise<void> {
    this.detach();
    this.#socket.end(Buffer.from([0xe0, 0]));
    const timer = setTimeout(() => this.#socket.destroy(), 1_000);
    await this.ended;
    clearTimeout(timer);
  }

  /** Cuts the connection. */
  destroy(): void {
    this.detach();
    this.#socket.destroy();
  }

  #call(request: Buffer, replyType: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`no packet of type ${replyType} in ${REPLY_TIMEOUT_MS} ms`));
      }, REPLY_TIMEOUT_MS);
      this.#awaited = {
        type: replyType,
        settle: (body) => {
          clearTimeout(timer);
          this.#awaited = undefined;
          if (body === undefined) reject(new Error(this.#reason));
          else resolve(body);
        },
      };
      if (this.#isEnded) this.#awaited.settle(undefined);
      else this.#socket.write(request);
    });
  }

  #onChunk(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    for (;;) {
      const next = this.#onePacket(bytes, at);
      if (next === undefined) break;
      at = next;
    }
    this.#rest = bytes.subarray(at);
    if (!this.#isDetached) this.#onChunkEnd?.();
  }

  /** Returns where the next packet starts, or undefined when this one is not whole. */
  #onePacket(bytes: Buffer, at: number): number | undefined {
    let length = 0;
    let cursor = at + 1;
    for (let shift = 0; ; shift += 7) {
      if (cursor >= bytes.length) return undefined;
      const byte = bytes[cursor]!;
      cursor += 1;
      length |= (byte & 127) << shift;
      if (byte < 128) break;
    }
    const end = cursor + length;
    if (end > bytes.length) return undefined;
    const type = bytes[at]! >> 4;
    const body = bytes.subarray(cursor, end);
    if (type === DISCONNECT) this.#reason = `DISCONNECT 0x${(body[0] ?? 0).toString(16)}`;
    if (this.#awaited?.type === type) this.#awaited.settle(Buffer.from(body));
    else this.#hand(type, bytes[at]! & 15, body);
    return end;
  }

  #hand(type: number, flags: number, body: Buffer): void {
    if (this.#isDetached) return;
    if (this.#onPacket === undefined) this.#early.push({ type, flags, body: Buffer.from(body) });
    else this.#onPacket(type, flags, body);
  }
}

export function ackPacket(type: number, packetId: number): Buffer {
  const flags = type === PUBREL ? 2 : 0;
  return Buffer.from([(type << 4) | flags, 2, packetId >> 8, packetId & 255]);
}

export function publishPacket(
  version: 4 | 5,
  fields: { topic: string; qos: number; packetId: number; isRetained: boolean; body: Buffer },
): Buffer {
  const middle = [...(fields.qos > 0 ? [fields.packetId >> 8, fields.packetId & 255] : [])];
  if (version === 5) middle.push(0);
  const first = 0x30 | (fields.qos << 1) | (fields.isRetained ? 1 : 0);
  return packet(first, Buffer.concat([text(fields.topic), Buffer.from(middle), fields.body]));
}

export interface Received {
  readonly topic: string;
  readonly qos: number;
  readonly packetId: number;
  readonly isDup: boolean;
  readonly payload: Buffer;
}

export function readPublish(version: 4 | 5, flags: number, body: Buffer): Received {
  const qos = (flags >> 1) & 3;
  let at = 2 + body.readUInt16BE(0);
  const topic = body.toString('utf8', 2, at);
  let packetId = 0;
  if (qos > 0) {
    packetId = body.readUInt16BE(at);
    at += 2;
  }
  if (version === 5) {
    const { value, end } = varintAt(body, at);
    at = end + value;
  }
  return { topic, qos, packetId, isDup: (flags & 8) !== 0, payload: body.subarray(at) };
}

function connectPacket(options: MqttLinkOptions, url: URL): Buffer {
  const properties: number[] = [];
  if (options.version === 5) {
    const { sessionExpirySeconds: expiry, receiveMaximum } = options;
    if (expiry > 0) {
      properties.push(0x11, expiry >>> 24, (expiry >> 16) & 255, (expiry >> 8) & 255, expiry & 255);
    }
    if (receiveMaximum > 0) properties.push(0x21, receiveMaximum >> 8, receiveMaximum & 255);
    properties.unshift(properties.length);
  }
  const flags = 0xc0 | (options.isClean ? 2 : 0);
  return packet(
    0x10,
    Buffer.concat([
      text('MQTT'),
      Buffer.from([options.version, flags, 0, 0, ...properties]),
      text(options.clientId),
      text(decodeURIComponent(url.username || 'guest')),
      text(decodeURIComponent(url.password || 'guest')),
    ]),
  );
}

/** Receive Maximum among CONNACK's properties. */
function receiveMaximumOf(block: Buffer): number | undefined {
  const fixed: Record<number, number> = {
    0x11: 4,
    0x13: 2,
    0x22: 2,
    0x24: 1,
    0x25: 1,
    0x27: 4,
    0x28: 1,
    0x29: 1,
    0x2a: 1,
  };
  const { value, end: start } = varintAt(block, 0);
  let at = start;
  const end = start + value;
  while (at < end) {
    const id = block[at]!;
    at += 1;
    if (id === 0x21) return block.readUInt16BE(at);
    const size = fixed[id];
    if (size !== undefined) at += size;
    else at += 2 + block.readUInt16BE(at);
    // A user property has two strings.
    if (id === 0x26) at += 2 + block.readUInt16BE(at);
  }
  return undefined;
}

function varintAt(bytes: Buffer, from: number): { value: number; end: number } {
  let value = 0;
  let at = from;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at]!;
    at += 1;
    value |= (byte & 127) << shift;
    if (byte < 128) return { value, end: at };
  }
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8');
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
}

function packet(firstByte: number, body: Buffer): Buffer {
  const length: number[] = [];
  let rest = body.length;
  do {
    const low = rest & 127;
    rest >>>= 7;
    length.push(rest > 0 ? low | 128 : low);
  } while (rest > 0);
  return Buffer.concat([Buffer.from([firstByte, ...length]), body]);
}
