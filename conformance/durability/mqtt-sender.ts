/**
 * A publisher that does what the standard asks of a client with a persistent session (4.4): every
 * exchange that a crash interrupted goes on after the reconnect, PUBLISH with DUP or PUBREL, in the
 * order in which they began. Packet ids come from a small range, so that they are used again soon.
 */
import {
  ackPacket,
  MqttLink,
  PUBACK,
  PUBCOMP,
  PUBREC,
  PUBREL,
  publishPacket,
} from './mqtt-link.ts';
import type { MqttLedger } from './mqtt-ledger.ts';
import type { Random } from '../support/random.ts';

export interface SenderOptions {
  readonly name: string;
  readonly version: 4 | 5;
  readonly qos: 1 | 2;
  readonly topic: string;
  readonly window: number;
  /** Messages of 20 kB, as a share. */
  readonly largeShare: number;
}

interface Exchange {
  readonly packetId: number;
  readonly sequence: number;
  readonly publish: Buffer;
  /** PUBREC has come: only PUBREL is sent from now on. */
  isReleased: boolean;
}

const LARGE_BYTES = 20_000;

export class Sender {
  readonly options: SenderOptions;
  readonly #ledger: MqttLedger;
  readonly #random: Random;
  /** By packet id, in the order in which they began. */
  readonly #open = new Map<number, Exchange>();
  readonly errors: string[] = [];
  onConfirm: (() => void) | undefined;
  #link: MqttLink | undefined;
  #nextId = 1;
  #hasSession = false;
  #isPublishing = false;
  #room: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: SenderOptions, ledger: MqttLedger, random: Random) {
    this.options = options;
    this.#ledger = ledger;
    this.#random = random;
    this.#room = options.window;
    ledger.addPublisher(options.name, options.qos);
  }

  get openCount(): number {
    return this.#open.size;
  }

  get link(): MqttLink | undefined {
    return this.#link;
  }

  /** Connects (taking over an older connection) and resumes what is open. */
  async connect(url: string, publishes: boolean): Promise<void> {
    const { name, version } = this.options;
    this.#link?.detach();
    const link = await MqttLink.open({
      url,
      clientId: name,
      version,
      isClean: false,
      sessionExpirySeconds: 7200,
      receiveMaximum: 0,
    });
    if (this.#hasSession && !link.isPresent) this.#ledger.sessionLost(name);
    this.#hasSession = true;
    this.#link = link;
    this.#room = Math.min(this.options.window, link.serverReceiveMaximum);
    link.start((type, _, body) => this.#onPacket(link, type, body));
    for (const exchange of this.#open.values()) {
      if (exchange.isReleased) {
        link.write(ackPacket(PUBREL, exchange.packetId));
      } else {
        const again = Buffer.from(exchange.publish);
        again[0]! |= 8;
        link.write(again);
      }
    }
    this.#isPublishing = publishes;
    if (publishes) this.#pump();
  }

  stop(): void {
    this.#isPublishing = false;
    clearTimeout(this.#timer);
  }

  #pump(): void {
    clearTimeout(this.#timer);
    if (!this.#isPublishing || this.#link === undefined || this.#link.isEnded) return;
    const burst = this.#random.between(1, 12);
    for (let sent = 0; sent < burst && this.#open.size < this.#room; sent += 1) this.#publishOne();
    this.#timer = setTimeout(() => this.#pump(), this.#random.between(0, 3));
  }

  #publishOne(): void {
    const { name, qos, topic, version, largeShare } = this.options;
    const sequence = this.#ledger.attempt(name);
    const padding = this.#random.chance(largeShare) ? LARGE_BYTES : this.#random.between(0, 200);
    const packetId = this.#takeId();
    const publish = publishPacket(version, {
      topic,
      qos,
      packetId,
      isRetained: false,
      body: Buffer.from(`${name} ${sequence} ${'.'.repeat(padding)}`),
    });
    this.#open.set(packetId, { packetId, sequence, publish, isReleased: false });
    this.#link!.write(publish);
  }

  #takeId(): number {
    const range = this.options.window * 2;
    while (this.#open.has(this.#nextId)) this.#nextId = (this.#nextId % range) + 1;
    const id = this.#nextId;
    this.#nextId = (id % range) + 1;
    return id;
  }

  #onPacket(link: MqttLink, type: number, body: Buffer): void {
    const packetId = body.readUInt16BE(0);
    const code = body[2] ?? 0;
    const exchange = this.#open.get(packetId);
    if (type === PUBCOMP) {
      if (exchange?.isReleased === true) this.#open.delete(packetId);
      return;
    }
    if (type !== PUBACK && type !== PUBREC) return;
    if (exchange === undefined) {
      this.errors.push(`${this.options.name}: acknowledgement of unknown id ${packetId}`);
      return;
    }
    if (code >= 0x80) {
      this.errors.push(`${this.options.name}: refused with 0x${code.toString(16)}`);
      this.#open.delete(packetId);
      return;
    }
    this.#ledger.confirm(this.options.name, exchange.sequence);
    this.onConfirm?.();
    if (type === PUBACK) {
      this.#open.delete(packetId);
      return;
    }
    exchange.isReleased = true;
    link.write(ackPacket(PUBREL, packetId));
  }
}
