/**
 * Random operations on a CMQ queue of a real broker, step by step against the reference model
 * (cmq-model.ts), under a virtual clock and with crashes, on either store.
 *
 * After every step the counters, the order of the ready messages, the state, times and counts of
 * every message, the answers to receives and the contents of the dead-letter queue must equal the
 * model's.
 *
 * Time stops at every instant at which something ends, unless the process is down then. Instants
 * of different kinds never coincide: operations happen at multiples of 8 ms, and each kind of
 * deadline has a remainder of its own. What the order within one millisecond is, nobody promises.
 */
import type { Entry, Message } from '../../src/engine/message.ts';
import type { ClassicQueue } from '../../src/engine/queue/classic-queue.ts';
import type { LeaseHandle } from '../../src/engine/queue/leases.ts';
import { REFUSED } from '../../src/engine/queue/queue.ts';
import { Receive } from '../../src/engine/queue/receive.ts';
import { bodyOf } from '../support/engine-fixture.ts';
import { FakeClock } from '../support/fake-clock.ts';
import type { SeededRandom } from '../support/seeded-random.ts';
import { compare, compareCounters, type Expect } from './cmq-comparison.ts';
import { CmqModel } from './cmq-model.ts';
import type { ModelLease, ModelMessage, ModelReceive, ModelSettings } from './cmq-model.ts';
import type { CmqDisk } from './cmq-disk.ts';
import { BODY_BYTES, CmqProcess, messageOf } from './cmq-process.ts';

const BATCH_MAX = 16;
/** Leases remembered, dead ones among them: their handles must be refused. */
const LEASES_KEPT = 12;
const START_MS = 1_700_000_000_000;

/** A lease as the simulated client holds it. */
interface HeldLease {
  readonly model: ModelLease;
  readonly handle: LeaseHandle;
}

/** A delivery as a simulated AMQP connection holds it. */
interface HeldDelivery {
  readonly model: ModelLease;
  readonly entry: Entry;
}

/** A receive under way, and what came of it. */
interface Calling {
  readonly model: ModelReceive;
  readonly receive: Receive;
  answer: readonly Entry[] | undefined;
}

export class CmqSimulation {
  readonly #random: SeededRandom;
  readonly #disk: CmqDisk;
  readonly #lookEvery: number;
  readonly #clock = new FakeClock(START_MS);
  readonly #model: CmqModel;
  #process!: CmqProcess;
  #calling: Calling[] = [];
  #leases: HeldLease[] = [];
  #deliveries: HeldDelivery[] = [];
  /** Ids of all messages that were ever here. */
  #ids: string[] = [];
  #bodyCount = 0;
  #receiveCount = 0;
  #difference: string | undefined;
  /** What was done, for whoever reads a failure. */
  readonly log: string[] = [];
  /** Messages that were in each state at the end of some step. */
  readonly seen = { ready: 0, leased: 0, delayed: 0, rewindable: 0, dead: 0, crashes: 0 };

  /** @param lookEvery looks at every message after one step in so many */
  constructor(random: SeededRandom, disk: CmqDisk, lookEvery: number) {
    this.#random = random;
    this.#disk = disk;
    this.#lookEvery = lookEvery;
    this.#model = new CmqModel(this.#randomSettings(), START_MS);
  }

  async run(steps: number): Promise<void> {
    await this.#start();
    for (let step = 0; step < steps; step += 1) {
      await this.#step();
      await this.#compare();
    }
    this.#process.abandon();
  }

  async #step(): Promise<void> {
    const dice = this.#random.below(100);
    if (dice < 48) await this.#burst();
    else if (dice < 72) await this.#advance(8 * this.#random.below(2_500));
    else if (dice < 80) await this.#rewind();
    else if (dice < 85) await this.#changeSettings();
    else if (dice < 86) this.#hangUp();
    else if (dice < 88) await this.#get();
    else if (dice < 93) await this.#cancel();
    else if (dice < 94) await this.#clear();
    else if (dice < 96) await this.#disk.tidy();
    else await this.#restart(dice < 98);
    await this.#quiet();
  }

  /** Some operations in one turn; sometimes the process dies before anything of it is on disk. */
  async #burst(): Promise<void> {
    const snapshot = this.#model.snapshot();
    const leases = [...this.#leases];
    const ids = [...this.#ids];
    const isDoomed = this.#random.below(25) === 0;
    if (isDoomed) this.#disk.hold();
    for (let count = 1 + this.#random.below(3); count > 0; count -= 1) this.#operate();
    if (!isDoomed) return;
    if (this.#random.below(2) === 0) this.#process.turn();
    this.#note('crash before the commit');
    this.#model.restore(snapshot);
    this.#leases = leases;
    this.#ids = ids;
    this.#model.disconnect();
    this.#model.process(this.#model.nowMs);
    await this.#crash();
  }

  #operate(): void {
    const dice = this.#random.below(100);
    if (dice < 22) this.#send(1);
    else if (dice < 28) this.#send(2 + this.#random.below(4));
    else if (dice < 55) this.#receive();
    else if (dice < 72) this.#delete();
    else if (dice < 76) this.#settleDelivery();
    else if (dice < 84) this.#extend();
    else if (dice < 96) this.#retime();
    else this.#purge();
  }

  #send(count: number): void {
    const isDelayed = this.#random.below(3) === 0;
    const dueAtMs = this.#model.nowMs + this.#span(8, 3);
    for (let n = 0; n < count; n += 1) {
      this.#bodyCount += 1;
      const body = `${this.#bodyCount}`.padStart(BODY_BYTES, '0');
      const queue = this.#queue;
      const message = messageOf(body, this.#model.nowMs);
      const outcome = isDelayed ? queue.publishDelayed(message, dueAtMs) : queue.publish(message);
      const isRefused = outcome === REFUSED;
      this.#expect('refused', isRefused, this.#model.isFull);
      this.#note(`send ${body}${isDelayed ? ` due ${dueAtMs - START_MS}` : ''} ${isRefused}`);
      if (isRefused) continue;
      this.#ids.push(queue.lastMessageId);
      this.#model.send(queue.lastMessageId, body, isDelayed ? dueAtMs : undefined);
    }
  }

  #receive(): void {
    const waits = this.#random.below(3) === 0;
    const maxCount = this.#random.below(2) === 0 ? 1 : 1 + this.#random.below(BATCH_MAX);
    const visibilityMs = this.#random.below(3) === 0 ? this.#span(4, 1) : undefined;
    const untilMs = waits ? this.#model.nowMs + this.#span(4, 5) : 0;
    this.#receiveCount += 1;
    const model = { number: this.#receiveCount, maxCount, visibilityMs, untilMs };
    const receive = new Receive({
      maxCount,
      visibilityMs,
      untilMs,
      isByHandle: true,
      done: (entries) => {
        calling.answer = entries;
      },
    });
    const calling: Calling = { model, receive, answer: undefined };
    this.#calling.push(calling);
    this.#model.waiting.push(model);
    this.#note(`receive ${maxCount} visibility ${visibilityMs} until ${untilMs - START_MS}`);
    this.#queue.receive(receive);
  }

  /** AMQP's basic.get beside the receives. */
  async #get(): Promise<void> {
    this.#note('get');
    await this.#quiet();
    let got: Entry | undefined;
    this.#queue.get((entry) => {
      got = entry;
    });
    await this.#process.quiet();
    const model = this.#model.get();
    this.#expect('got', got && this.#queue.messageIdOf(got), model?.id);
    if (got === undefined || model === undefined) return;
    this.#note(`got ${model.id}`);
    this.#deliveries.push({ model, entry: got });
  }

  /** basic.ack, basic.nack or basic.reject of a delivery, whose lease may be over. */
  #settleDelivery(): void {
    const delivery = this.#pick(this.#deliveries);
    if (delivery === undefined) return;
    this.#deliveries = this.#deliveries.filter((each) => each !== delivery);
    const { entry, model } = delivery;
    const message = this.#model.leased(model);
    // Not a delivery any more when the lease is over; connections tell by the generation.
    if (message === undefined) return;
    const dice = this.#random.below(3);
    this.#note(`${['ack', 'nack', 'reject'][dice]} ${model.id}`);
    if (dice === 0) {
      this.#queue.acknowledge(entry);
      this.#model.delete(message);
    } else if (dice === 1) {
      this.#queue.requeue(entry, false);
      this.#model.release(message);
    } else {
      this.#queue.reject(entry);
      this.#model.reject(message);
    }
  }

  /** The client of a waiting receive goes away. */
  #hangUp(): void {
    const calling = this.#pick(this.#calling);
    if (calling === undefined) return;
    this.#note(`hang up ${calling.model.number}`);
    this.#queue.cancelReceive(calling.receive);
    this.#calling = this.#calling.filter((each) => each !== calling);
    this.#model.waiting = this.#model.waiting.filter((each) => each !== calling.model);
  }

  #delete(): void {
    this.#withLease('delete', (entry, message) => {
      this.#queue.acknowledge(entry);
      this.#model.delete(message);
    });
  }

  #extend(): void {
    const isOver = this.#random.below(3) === 0;
    const untilMs = isOver ? this.#model.nowMs : this.#model.nowMs + this.#span(8, 7);
    this.#withLease(`extend to ${untilMs - START_MS}`, (entry, message) => {
      this.#queue.lease(entry, untilMs);
      this.#model.extend(message, untilMs);
    });
  }

  /** Does something with a lease, which may be over: then its handle must be stale. */
  #withLease(what: string, act: (entry: Entry, message: ModelMessage) => void): void {
    const held = this.#pick(this.#leases);
    if (held === undefined) return;
    this.#note(`${what} of ${held.model.id} receive ${held.model.receiveCount}`);
    const asked = this.#process;
    this.#queue.withLease(held.handle, (entry) => {
      // Read from disk after a crash of the process that asked.
      if (asked !== this.#process) return;
      const message = this.#model.leased(held.model);
      this.#expect('handle works', entry !== undefined, message !== undefined);
      if (entry !== undefined && message !== undefined) act(entry, message);
    });
  }

  #retime(): void {
    const message = this.#pick(this.#model.in('delayed'));
    if (message === undefined) return;
    const dueAtMs = this.#model.nowMs + this.#span(8, 3);
    const sequence = this.#delayedSequence(message);
    this.#note(`re-time ${message.id} to ${dueAtMs - START_MS}`);
    this.#expect('re-timed', this.#queue.delayed!.retime(sequence, dueAtMs), true);
    this.#model.retime(message, dueAtMs);
  }

  async #cancel(): Promise<void> {
    const message = this.#pick(this.#model.in('delayed'));
    if (message === undefined) return;
    const sequence = this.#delayedSequence(message);
    this.#note(`cancel ${message.id}`);
    this.#model.cancel(message);
    let cancelled: Message | undefined;
    this.#queue.delayed!.cancel(sequence, (found) => {
      cancelled = found;
    });
    await this.#quiet();
    this.#expect('cancelled', cancelled && bodyOf(cancelled), message.body);
  }

  #purge(): void {
    this.#note('purge');
    this.#expect('purged', this.#queue.purge(), this.#model.purge());
  }

  async #clear(): Promise<void> {
    this.#note('clear');
    await this.#quiet();
    this.#expect('cleared', this.#queue.clear(), this.#model.clear());
  }

  async #rewind(): Promise<void> {
    const parked = this.#pick(this.#model.in('rewindable'));
    const fromMs = parked === undefined ? START_MS : parked.publishedAtMs;
    this.#note(`rewind to ${fromMs - START_MS}`);
    let count: number | undefined;
    this.#queue.rewind(fromMs, (found) => {
      count = found;
    });
    const expected = this.#model.rewind(fromMs);
    this.#model.process(this.#model.nowMs);
    await this.#quiet();
    this.#expect('rewound', count, expected);
  }

  async #changeSettings(): Promise<void> {
    this.#model.settings = this.#randomSettings();
    this.#note(`settings ${JSON.stringify(this.#model.settings)}`);
    this.#applySettings();
    this.#model.process(this.#model.nowMs);
    await this.#quiet();
  }

  /** Lets time pass, stopping wherever something ends. */
  async #advance(byMs: number): Promise<void> {
    const untilMs = this.#model.nowMs + byMs;
    this.#note(`advance to ${untilMs - START_MS}`);
    for (let nextMs = this.#model.nextMs; nextMs < untilMs; nextMs = this.#model.nextMs) {
      this.#moveClock(nextMs);
      await this.#quiet();
    }
    this.#moveClock(untilMs);
  }

  #moveClock(toMs: number): void {
    this.#clock.advance(toMs - this.#clock.wallMs());
    this.#model.process(toMs);
  }

  /** Stops and starts again, perhaps some time later. */
  async #restart(isOrderly: boolean): Promise<void> {
    await this.#quiet();
    if (isOrderly) await this.#process.stop();
    const downMs = this.#random.below(2) === 0 ? 0 : 8 * this.#random.below(2_500);
    this.#note(`${isOrderly ? 'restart' : 'crash'}, down for ${downMs}`);
    this.#model.waiting = [];
    this.#model.disconnect();
    this.#moveClock(this.#model.nowMs + downMs);
    await this.#crash();
  }

  async #crash(): Promise<void> {
    this.seen.crashes += 1;
    this.#process.abandon();
    this.#calling = [];
    this.#deliveries = [];
    this.#model.waiting = [];
    await this.#start();
  }

  async #start(): Promise<void> {
    this.#process = await CmqProcess.start(this.#disk, this.#clock, this.#random);
    this.#applySettings();
    await this.#quiet();
  }

  get #queue(): ClassicQueue {
    return this.#process.queue;
  }

  #applySettings(): void {
    const { settings } = this.#model;
    this.#process.configure({
      countsReceives: true,
      visibilityTimeoutMs: settings.visibilityMs,
      retentionMs: settings.retentionMs,
      heapMax: settings.heapMax,
      deliveryLimit: settings.maxReceives - 1,
      deadLetterExchange: '',
      deadLetterRoutingKey: 'dead',
      ...(settings.rewindMs > 0 && { rewindMs: settings.rewindMs }),
      ...(settings.ageLimitMs !== Infinity && {
        ageLimitMs: settings.ageLimitMs,
        ageLimitFromMs: settings.ageLimitFromMs,
      }),
    });
  }

  /** Lets the process finish what there is to do; then the receives must have come out. */
  async #quiet(): Promise<void> {
    await this.#process.quiet();
    this.#answerReceives();
  }

  /** Serves the receives in the model, in line, and compares with what the engine answered. */
  #answerReceives(): void {
    const model = this.#model;
    for (const receive of model.line) {
      const calling = this.#calling.find((each) => each.model === receive)!;
      const { answer } = calling;
      const readyCount = model.in('ready').length;
      const what = `receive ${receive.number}`;
      const isAnswered = readyCount > 0 || receive.untilMs <= model.nowMs;
      this.#expect(`${what} is answered`, answer !== undefined, isAnswered);
      if (answer === undefined) continue;
      const count = Math.min(readyCount, receive.maxCount);
      // Messages may come from the disk in several pages; it is not waited for the last.
      const isShort = answer.length > 0 && answer.length < count;
      const leases = model.serve(receive, isShort ? answer.length : count);
      const ids = answer.map((entry) => this.#queue.messageIdOf(entry)).join();
      this.#note(`${what} got ${ids}`);
      this.#expect(`answer to ${what}`, ids, leases.map(({ id }) => id).join());
      for (const [index, entry] of answer.entries()) {
        this.#leases.push({ model: leases[index]!, handle: this.#queue.handleOf(entry) });
      }
    }
    this.#calling = this.#calling.filter(({ answer }) => answer === undefined);
    model.waiting = this.#calling.map((calling) => calling.model);
    this.#leases = this.#leases.slice(-LEASES_KEPT);
    this.#check();
  }

  async #compare(): Promise<void> {
    const model = this.#model;
    const expect: Expect = (...fact) => this.#expect(...fact);
    compareCounters(this.#process, model, expect);
    const isLooking = this.#lookEvery === 1 || this.#random.below(this.#lookEvery) === 0;
    if (isLooking) await compare(this.#process, model, this.#pick(this.#ids) ?? '1', expect);
    for (const { state } of model.messages) this.seen[state] += 1;
    this.seen.dead = model.dead.length;
    this.#check();
  }

  #delayedSequence(message: ModelMessage): number {
    const low = BigInt(message.id) >> 2n;
    return Number(low & 0xffffffffn);
  }

  #randomSettings(): ModelSettings {
    const random = this.#random;
    const isOneOf = (n: number): boolean => random.below(n) === 0;
    const hasAgeLimit = isOneOf(3);
    return {
      visibilityMs: this.#span(4, 1),
      retentionMs: 20_000 + this.#span(10, 2),
      rewindMs: isOneOf(3) ? 0 : 10_000 + this.#span(8, 6),
      maxReceives: isOneOf(2) ? 0 : 1 + random.below(4),
      ageLimitMs: hasAgeLimit ? this.#span(8, 4) : Infinity,
      // What was there before the dead-letter queue was bound is exempt.
      ageLimitFromMs: hasAgeLimit ? this.#clock.wallMs() + 1 : 0,
      heapMax: isOneOf(3) ? 3 + random.below(6) : 1_000,
    };
  }

  /** Up to `scale` times 8 s, with that remainder modulo 8. */
  #span(scale: number, remainder: number): number {
    return 8 * this.#random.below(scale * 1_000) + remainder;
  }

  #pick<T>(from: readonly T[]): T | undefined {
    return from.length === 0 ? undefined : from[this.#random.below(from.length)];
  }

  #note(text: string): void {
    this.log.push(`${this.#clock.wallMs() - START_MS}: ${text}`);
  }

  /** Notes the first difference; callers may stand in a callback of the engine. */
  #expect(what: string, actual: unknown, expected: unknown): void {
    if (actual === expected || this.#difference !== undefined) return;
    this.#difference = `${what}: engine ${String(actual)}, model ${String(expected)}`;
  }

  #check(): void {
    if (this.#difference !== undefined) throw new Error(this.#difference);
  }
}
