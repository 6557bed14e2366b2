/**
 * Sets and clears retained messages one at a time and, after a restart, checks that each topic has
 * its last confirmed message or a later one that was sent.
 */
import { MqttLink, PUBACK, PUBLISH, publishPacket, readPublish } from './mqtt-link.ts';
import type { MqttLedger } from './mqtt-ledger.ts';
import type { Random } from '../support/random.ts';

const TOPICS = 12;
/** Retained messages have all come when none comes for so long. */
const QUIET_MS = 400;
/** Ms. After so long without a message, what has not come will not come. */
const LATE_MS = 15_000;

interface TopicRecord {
  readonly topic: string;
  sequence: number;
  confirmed: number;
  /** Sequences that removed the message. */
  readonly clears: Set<number>;
}

export class Retainer {
  readonly #prefix: string;
  readonly #ledger: MqttLedger;
  readonly #random: Random;
  readonly #topics: TopicRecord[];
  #link: MqttLink | undefined;
  #current: { record: TopicRecord; sequence: number } | undefined;

  constructor(prefix: string, ledger: MqttLedger, random: Random) {
    this.#prefix = prefix;
    this.#ledger = ledger;
    this.#random = random;
    this.#topics = Array.from({ length: TOPICS }, (_, at) => ({
      topic: `${prefix}/${at}`,
      sequence: 0,
      confirmed: 0,
      clears: new Set<number>(),
    }));
  }

  get link(): MqttLink | undefined {
    return this.#link;
  }

  async connect(url: string): Promise<void> {
    this.#link?.detach();
    const link = await this.#open(url, 'setter');
    this.#link = link;
    link.start((type, _, body) => {
      const current = this.#current;
      if (type !== PUBACK || current === undefined || (body[2] ?? 0) >= 0x80) return;
      current.record.confirmed = current.sequence;
      setTimeout(() => this.#publishOne(link), this.#random.between(0, 2));
    });
    this.#publishOne(link);
  }

  #publishOne(link: MqttLink): void {
    if (link !== this.#link || link.isEnded) return;
    const record = this.#topics[this.#random.between(0, TOPICS - 1)]!;
    record.sequence += 1;
    const isClear = this.#random.chance(0.2);
    if (isClear) record.clears.add(record.sequence);
    this.#current = { record, sequence: record.sequence };
    link.write(
      publishPacket(5, {
        topic: record.topic,
        qos: 1,
        packetId: 1,
        isRetained: true,
        body: Buffer.from(isClear ? '' : `${record.sequence}`),
      }),
    );
  }

  /** Subscribes afresh and compares. */
  async check(url: string): Promise<void> {
    this.#current = undefined;
    const link = await this.#open(url, 'checker');
    const found = new Map<string, string>();
    let lastAtMs = performance.now();
    link.start((type, flags, body) => {
      if (type !== PUBLISH) return;
      const { topic, payload } = readPublish(5, flags, body);
      found.set(topic, payload.toString());
      lastAtMs = performance.now();
    });
    await link.subscribe(`${this.#prefix}/+`, 0);
    lastAtMs = performance.now();
    // What is missing may be late on a busy machine; what is wrong stays wrong.
    const isRight = (): boolean => this.#topics.every((one) => problemOf(one, found) === undefined);
    for (;;) {
      const quietMs = performance.now() - lastAtMs;
      if (quietMs > (isRight() ? QUIET_MS : LATE_MS)) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await link.close();
    for (const record of this.#topics) this.#ledger.retained(problemOf(record, found));
  }

  #open(url: string, role: string): Promise<MqttLink> {
    return MqttLink.open({
      url,
      clientId: `${this.#prefix.replaceAll('/', '-')}-${role}`,
      version: 5,
      isClean: true,
      sessionExpirySeconds: 0,
      receiveMaximum: 0,
    });
  }
}

function problemOf(record: TopicRecord, found: ReadonlyMap<string, string>): string | undefined {
  const { topic, confirmed, sequence, clears } = record;
  const value = found.get(topic);
  const range = `of ${confirmed} to ${sequence}`;
  if (value === undefined) {
    if (confirmed === 0) return undefined;
    for (let at = confirmed; at <= sequence; at += 1) if (clears.has(at)) return undefined;
    return `${topic}: nothing, ${range}`;
  }
  const held = Number(value);
  const isFine = held >= confirmed && held <= sequence && !clears.has(held);
  return isFine ? undefined : `${topic}: ${value}, ${range}`;
}
