/**
 * A subscriber with a persistent session that does what the standard asks of it (4.3.3, 4.6): a
 * QoS 2 id it holds is not processed again until PUBREL frees it, over reconnects too, and
 * acknowledgements go out in the order of the messages. Now and then it holds them back a while.
 */
import {
  ackPacket,
  MqttLink,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  PUBREC,
  PUBREL,
  readPublish,
} from './mqtt-link.ts';
import type { MqttLedger } from './mqtt-ledger.ts';
import type { Random } from '../support/random.ts';

export interface ReceiverOptions {
  readonly clientId: string;
  /** Under which name its deliveries are entered: its own, or its shared group's. */
  readonly audience: string;
  readonly version: 4 | 5;
  readonly filter: string;
  readonly qos: 1 | 2;
  /** MQTT 5; 0 leaves it to the default. */
  readonly receiveMaximum: number;
  /** Connects in every so many cycles only: messages wait for it in between. */
  readonly everyCycles: number;
}

const HOLD_SHARE = 0.03;
const HOLD_MS_MAX = 60;

export class Receiver {
  readonly options: ReceiverOptions;
  readonly #ledger: MqttLedger;
  readonly #random: Random;
  /** QoS 2 ids received and not released. */
  readonly #held = new Set<number>();
  #link: MqttLink | undefined;
  #hasSession = false;
  #acks: Buffer[] = [];
  #isHolding = false;
  lastAtMs = 0;

  constructor(options: ReceiverOptions, ledger: MqttLedger, random: Random) {
    this.options = options;
    this.#ledger = ledger;
    this.#random = random;
  }

  get link(): MqttLink | undefined {
    return this.#link;
  }

  /** Connects (taking over an older connection); subscribes the first time only. */
  async connect(url: string): Promise<void> {
    const { clientId, version, filter, qos, receiveMaximum } = this.options;
    this.#link?.detach();
    this.#acks = [];
    this.#isHolding = false;
    const link = await MqttLink.open({
      url,
      clientId,
      version,
      isClean: false,
      sessionExpirySeconds: 7200,
      receiveMaximum,
    });
    this.#link = link;
    if (!link.isPresent) {
      if (this.#hasSession) this.#ledger.sessionLost(clientId);
      this.#held.clear();
    }
    link.start(
      (type, flags, body) => this.#onPacket(link, type, flags, body),
      () => this.#afterChunk(link),
    );
    if (!this.#hasSession || !link.isPresent) await link.subscribe(filter, qos);
    this.#hasSession = true;
  }

  #onPacket(link: MqttLink, type: number, flags: number, body: Buffer): void {
    if (type === PUBREL) {
      const packetId = body.readUInt16BE(0);
      this.#held.delete(packetId);
      this.#acks.push(ackPacket(PUBCOMP, packetId));
      return;
    }
    if (type !== PUBLISH) return;
    const { qos, packetId, isDup, payload } = readPublish(link.version, flags, body);
    this.lastAtMs = performance.now();
    if (qos === 2) this.#acks.push(ackPacket(PUBREC, packetId));
    if (qos === 1) this.#acks.push(ackPacket(PUBACK, packetId));
    if (qos === 2 && this.#held.has(packetId)) return;
    if (qos === 2) this.#held.add(packetId);
    const [publisher, sequence] = payload.toString('latin1', 0, 80).split(' ');
    this.#ledger.deliver(this.options.audience, publisher ?? '', Number(sequence), isDup);
  }

  #afterChunk(link: MqttLink): void {
    if (this.#isHolding || this.#acks.length === 0) return;
    if (this.#random.chance(HOLD_SHARE)) {
      this.#isHolding = true;
      setTimeout(
        () => {
          if (this.#link !== link) return;
          this.#isHolding = false;
          this.#flush(link);
        },
        this.#random.between(1, HOLD_MS_MAX),
      );
      return;
    }
    this.#flush(link);
  }

  #flush(link: MqttLink): void {
    if (this.#acks.length === 0) return;
    link.write(Buffer.concat(this.#acks));
    this.#acks = [];
  }
}
