/**
 * Random sessions against a small model: whatever clients do in whatever order, no message is lost
 * or comes back after it was settled, nothing stays leased once everybody is gone, and no request
 * makes the broker fail (541).
 */
import { describe, expect, test } from 'vitest';
import type { FieldTable } from '../../../src/base/field-value.ts';
import { SeededRandom } from '../../support/seeded-random.ts';
import { Harness, type Received, type TestClient } from './amqp-harness.ts';

const NO_ARGS: FieldTable = new Map();
const QUEUES = ['a', 'b', 'c'];

/** What the test knows of one channel. */
class ChannelModel {
  /** Delivery tag to message. */
  readonly unacked = new Map<number, string>();
  /** Consumer tags by whether they are no-ack. */
  readonly consumers = new Map<string, boolean>();
}

class Session {
  readonly #harness: Harness;
  readonly #random: SeededRandom;
  /** Messages published and not settled; shared by the sessions of a run. */
  readonly #live: Set<string>;
  #client: TestClient;
  #channel: ChannelModel;
  #isGetNoAck: boolean;

  constructor(harness: Harness, random: SeededRandom, live: Set<string>, client: TestClient) {
    this.#harness = harness;
    this.#random = random;
    this.#live = live;
    this.#client = client;
    this.#channel = new ChannelModel();
    this.#isGetNoAck = false;
  }

  /** Does something at random. */
  async act(): Promise<void> {
    const action = this.#random.below(100);
    if (action < 40) this.#publish();
    else if (action < 50) this.#consume();
    else if (action < 56) this.#cancel();
    else if (action < 68) this.#get(action < 62);
    else if (action < 88) this.#settle();
    else if (action < 92) this.#client.send('basic.qos', 1, [0, this.#random.below(5), false]);
    else if (action < 94) this.#client.send('basic.qos', 1, [0, this.#random.below(5), true]);
    else if (action < 96) this.#recover();
    else await this.#end(action);
  }

  /** Takes what the broker has sent. */
  async read(): Promise<void> {
    this.#read(await this.#client.all());
  }

  #get(isNoAck: boolean): void {
    this.#isGetNoAck = isNoAck;
    this.#client.send('basic.get', 1, [this.#queue(), isNoAck]);
  }

  /** Ends the connection. */
  async leave(): Promise<void> {
    this.#client.send('connection.close', 0, [200, '', 0, 0]);
    await this.#harness.settle();
    this.#client.transport.handler!.onClosed(undefined);
  }

  #queue(): string {
    return QUEUES[this.#random.below(QUEUES.length)]!;
  }

  #publish(): void {
    const body = `m${this.#random.below(2 ** 31)}`;
    const queue = this.#queue();
    this.#live.add(body);
    this.#client.publish(1, '', queue, body, { persistent: this.#random.below(2) === 0 });
  }

  #consume(): void {
    const tag = `c${this.#random.below(1_000_000)}`;
    const isNoAck = this.#random.below(3) === 0;
    this.#channel.consumers.set(tag, isNoAck);
    this.#client.send('basic.consume', 1, [
      this.#queue(),
      tag,
      false,
      isNoAck,
      false,
      this.#random.below(2) === 0,
      NO_ARGS,
    ]);
  }

  #cancel(): void {
    const tag = [...this.#channel.consumers.keys()][0] ?? 'unknown';
    this.#client.send('basic.cancel', 1, [tag, false]);
  }

  #settle(): void {
    const tags = [...this.#channel.unacked.keys()];
    const tag = tags[this.#random.below(Math.max(tags.length, 1))];
    if (tag === undefined) return;
    const how = this.#random.below(4);
    const isMultiple = how < 3 && this.#random.below(3) === 0;
    const isGone = how !== 2;
    if (how === 0) this.#client.send('basic.ack', 1, [tag, isMultiple]);
    else if (how === 1) this.#client.send('basic.nack', 1, [tag, isMultiple, false]);
    else if (how === 2) this.#client.send('basic.nack', 1, [tag, isMultiple, true]);
    else this.#client.send('basic.reject', 1, [tag, false]);
    for (const [other, body] of this.#channel.unacked) {
      if (other !== tag && !(isMultiple && other < tag)) continue;
      this.#channel.unacked.delete(other);
      if (isGone) this.#live.delete(body);
    }
  }

  #recover(): void {
    this.#channel.unacked.clear();
    this.#client.send('basic.recover', 1, [true]);
  }

  /** The channel or the connection ends, in one of the ways they do. */
  async #end(action: number): Promise<void> {
    if (action === 96) {
      this.#client.send('channel.close', 1, [200, '', 0, 0]);
    } else if (action === 97) {
      this.#client.send('queue.purge', 1, ['missing', false]);
      this.#client.send('channel.closeOk', 1);
    } else if (action === 98) {
      this.#client.send('connection.close', 0, [200, '', 0, 0]);
      this.#read(await this.#client.all());
      this.#client.transport.handler!.onClosed(undefined);
      this.#client = await this.#harness.connect([]);
    } else {
      this.#client.transport.handler!.onClosed(new Error('reset'));
      this.#client = await this.#harness.connect([]);
    }
    this.#read(await this.#client.all());
    this.#channel = new ChannelModel();
    this.#client.send('channel.open', 1);
  }

  #read(frames: readonly Received[]): void {
    for (const { name, fields, body } of frames) {
      expect(fields['replyCode']).not.toBe(541);
      if (name !== 'basic.deliver' && name !== 'basic.getOk') continue;
      const text = body!.toString();
      expect(this.#live.has(text), `${text} came back`).toBe(true);
      const tag = Number(fields['deliveryTag']);
      const isNoAck =
        name === 'basic.getOk'
          ? this.#isGetNoAck
          : this.#channel.consumers.get(String(fields['consumerTag'])) === true;
      if (isNoAck) this.#live.delete(text);
      else this.#channel.unacked.set(tag, text);
    }
  }
}

/** Everything that is in the queues. */
function drain(harness: Harness): string[] {
  const bodies: string[] = [];
  for (const name of QUEUES) {
    for (let got = harness.fixture.get(name); got; got = harness.fixture.get(name)) {
      bodies.push(got.body);
    }
  }
  return bodies;
}

describe('random sessions', () => {
  test.each([1, 2, 3, 4])('seed %i', async (seed) => {
    const harness = await Harness.open();
    for (const name of QUEUES) harness.fixture.queue(name);
    const random = new SeededRandom(seed);
    const live = new Set<string>();
    const sessions: Session[] = [];
    for (let count = 0; count < 2; count += 1) {
      sessions.push(new Session(harness, random, live, await harness.connect([1])));
    }
    for (let step = 0; step < 300; step += 1) {
      await sessions[random.below(2)]!.act();
      for (const session of sessions) await session.read();
    }
    for (const session of sessions) await session.leave();
    expect(harness.acceptor.connectionCount).toBe(0);
    for (const name of QUEUES) {
      const queue = harness.fixture.vhost.topology.queues.get(name)!;
      expect([queue.unackedCount, queue.consumerCount]).toEqual([0, 0]);
    }
    expect(drain(harness).toSorted()).toEqual([...live].toSorted());
  });
});
