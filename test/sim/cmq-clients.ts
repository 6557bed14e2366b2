/**
 * The clients of one simulated queue: HTTP callers with receipt handles, AMQP connections with
 * deliveries. Each operation is done on the engine's queue and on its model.
 *
 * Who of several takers gets a message, in which turn, is the engine's choice; that none is left
 * out while there is something for it, and that everybody gets the oldest, is checked when all
 * has come to rest (`answer`).
 */
import type { Entry, Message } from '../../src/engine/message.ts';
import type { ClassicQueue } from '../../src/engine/queue/classic-queue.ts';
import type { LeaseHandle } from '../../src/engine/queue/leases.ts';
import { REFUSED } from '../../src/engine/queue/queue.ts';
import { Receive } from '../../src/engine/queue/receive.ts';
import type { SeededRandom } from '../support/seeded-random.ts';
import { CmqConsumer } from './cmq-consumer.ts';
import { textOf } from './cmq-message.ts';
import type { CmqModel, ModelLease, ModelMessage, ModelReceive } from './cmq-model.ts';
import { type CmqNotes, START_MS } from './cmq-notes.ts';

const BATCH_MAX = 16;
/** Leases remembered, dead ones among them: their handles must be refused. */
const LEASES_KEPT = 12;
const CONSUMERS_MAX = 2;

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

/** A delivery to a consumer that the model does not know of yet. */
interface NewDelivery {
  readonly entry: Entry;
  readonly id: string;
  readonly isSettled: boolean;
}

/** What a crash takes back. */
export interface ClientsSnapshot {
  readonly leases: readonly HeldLease[];
  readonly ids: readonly string[];
}

export class CmqClients {
  readonly model: CmqModel;
  readonly #random: SeededRandom;
  readonly #notes: CmqNotes;
  readonly #name: string;
  #queue!: ClassicQueue;
  #calling: Calling[] = [];
  #leases: HeldLease[] = [];
  #deliveries: HeldDelivery[] = [];
  #newDeliveries: NewDelivery[] = [];
  #consumers: CmqConsumer[] = [];
  #ids: string[] = [];
  #receiveCount = 0;

  constructor(name: string, model: CmqModel, random: SeededRandom, notes: CmqNotes) {
    this.#name = name;
    this.model = model;
    this.#random = random;
    this.#notes = notes;
  }

  /** A process has started; connections of the last one are gone. */
  attach(queue: ClassicQueue): void {
    this.#queue = queue;
    this.#calling = [];
    this.#deliveries = [];
    this.#newDeliveries = [];
    this.#consumers = [];
    this.model.waiting = [];
  }

  get queue(): ClassicQueue {
    return this.#queue;
  }

  /** Id of some message that was ever here. */
  anId(): string {
    return this.#pick(this.#ids) ?? '1';
  }

  /** Somebody waits for messages. */
  get hasTakers(): boolean {
    return this.#calling.length > 0 || this.#consumers.some((consumer) => consumer.hasCredit());
  }

  /** A message came that these clients did not send. */
  came(id: string): void {
    this.#ids.push(id);
  }

  snapshot(): ClientsSnapshot {
    return { leases: [...this.#leases], ids: [...this.#ids] };
  }

  restore({ leases, ids }: ClientsSnapshot): void {
    this.#leases = [...leases];
    this.#ids = [...ids];
  }

  /** @param dueAtMs undefined: ready at once */
  send(message: Message, dueAtMs: number | undefined): void {
    const queue = this.#queue;
    const isDelayed = dueAtMs !== undefined;
    const outcome = isDelayed ? queue.publishDelayed(message, dueAtMs) : queue.publish(message);
    const isRefused = outcome === REFUSED;
    this.#notes.expect('refused', isRefused, this.model.isFull);
    const body = textOf(message);
    this.#note(`send ${body}${isDelayed ? ` due ${dueAtMs - START_MS}` : ''} ${isRefused}`);
    if (isRefused) return;
    const id = queue.lastMessageId;
    this.came(id);
    this.model.send({ id, body, priority: message.priority, dueAtMs });
  }

  receive(): void {
    const waits = this.#random.below(3) === 0;
    const maxCount = this.#random.below(2) === 0 ? 1 : 1 + this.#random.below(BATCH_MAX);
    const visibilityMs = this.#random.below(3) === 0 ? this.span(4, 1) : undefined;
    const untilMs = waits ? this.model.nowMs + this.span(4, 5) : 0;
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
    this.model.waiting.push(model);
    const until = waits ? ` until ${untilMs - START_MS}` : '';
    this.#note(`receive ${model.number}: ${maxCount} visibility ${visibilityMs}${until}`);
    this.#queue.receive(receive);
  }

  /** The client of a waiting receive goes away. */
  hangUp(): void {
    const calling = this.#pick(this.#calling);
    if (calling === undefined) return;
    this.#note(`hang up ${calling.model.number}`);
    this.#queue.cancelReceive(calling.receive);
    this.#calling = this.#calling.filter((each) => each !== calling);
    this.model.waiting = this.model.waiting.filter((each) => each !== calling.model);
  }

  /** AMQP's basic.get beside the receives; `quiet` lets the process finish. */
  async get(quiet: () => Promise<void>): Promise<void> {
    this.#note('get');
    let got: Entry | undefined;
    this.#queue.get((entry) => {
      got = entry;
    });
    await quiet();
    const oldest = this.model.in('ready')[0]?.id;
    const id = got && this.#queue.messageIdOf(got);
    this.#notes.expect('got one', id !== undefined, oldest !== undefined);
    if (got === undefined || id === undefined) return;
    this.#notes.expect(`got ${id}, the oldest`, this.model.mayHandOver([id]), true);
    this.#notes.check();
    this.#note(`got ${id}`);
    this.#deliveries.push({ model: this.model.handOver(id, undefined, false), entry: got });
  }

  /** basic.consume, basic.cancel, or more credit for one that is there. */
  consume(): void {
    const credit = 1 + this.#random.below(4);
    const consumer = this.#pick(this.#consumers);
    const dice = this.#random.below(3);
    if (consumer === undefined || (dice === 0 && this.#consumers.length < CONSUMERS_MAX)) {
      const noAck = this.#random.below(3) === 0;
      this.#note(`consume ${credit}${noAck ? ' without acks' : ''}`);
      const added = new CmqConsumer(noAck, credit, (entry, { noAck: isSettled }) => {
        const id = this.#queue.messageIdOf(entry);
        this.#newDeliveries.push({ entry, id, isSettled });
      });
      this.#consumers.push(added);
      this.#queue.addConsumer(added);
    } else if (dice === 1) {
      this.#note('cancel a consumer');
      this.#consumers = this.#consumers.filter((each) => each !== consumer);
      this.#queue.removeConsumer(consumer);
    } else {
      this.#note(`credit ${credit}`);
      consumer.credit += credit;
      this.#queue.consumerReady(consumer);
    }
  }

  /** basic.ack, basic.nack or basic.reject of a delivery, whose lease may be over. */
  settleDelivery(): void {
    const delivery = this.#pick(this.#deliveries);
    if (delivery === undefined) return;
    this.#deliveries = this.#deliveries.filter((each) => each !== delivery);
    const { entry, model } = delivery;
    const message = this.model.leased(model);
    // Not a delivery any more when the lease is over; connections tell by the generation.
    if (message === undefined) return;
    const dice = this.#random.below(3);
    this.#note(`${['ack', 'nack', 'reject'][dice]} ${model.id}`);
    if (dice === 0) {
      this.#queue.acknowledge(entry);
      this.model.delete(message);
    } else if (dice === 1) {
      this.#queue.requeue(entry, false);
      this.model.release(message);
    } else {
      this.#queue.reject(entry);
      this.model.reject(message);
    }
  }

  delete(): void {
    this.#withLease('delete', (entry, message) => {
      this.#queue.acknowledge(entry);
      this.model.delete(message);
    });
  }

  extend(): void {
    const isOver = this.#random.below(3) === 0;
    const untilMs = isOver ? this.model.nowMs : this.model.nowMs + this.span(8, 7);
    this.#withLease(`extend to ${untilMs - START_MS}`, (entry, message) => {
      this.#queue.lease(entry, untilMs);
      this.model.extend(message, untilMs);
    });
  }

  /** Does something with a lease, which may be over: then its handle must be stale. */
  #withLease(what: string, act: (entry: Entry, message: ModelMessage) => void): void {
    const held = this.#pick(this.#leases);
    if (held === undefined) return;
    this.#note(`${what} of ${held.model.id} receive ${held.model.receiveCount}`);
    const asked = this.#queue;
    asked.withLease(held.handle, (entry) => {
      // Read from disk after a crash of the process that asked.
      if (asked !== this.#queue) return;
      const message = this.model.leased(held.model);
      this.#notes.expect('handle works', entry !== undefined, message !== undefined);
      if (entry !== undefined && message !== undefined) act(entry, message);
    });
  }

  retime(): void {
    const message = this.#pick(this.model.in('delayed'));
    if (message === undefined) return;
    const dueAtMs = this.model.nowMs + this.span(8, 3);
    this.#note(`re-time ${message.id} to ${dueAtMs - START_MS}`);
    const isDone = this.#queue.delayed!.retime(delayedSequence(message), dueAtMs);
    this.#notes.expect('re-timed', isDone, true);
    this.model.retime(message, dueAtMs);
  }

  async cancel(quiet: () => Promise<void>): Promise<void> {
    const message = this.#pick(this.model.in('delayed'));
    if (message === undefined) return;
    this.#note(`cancel ${message.id}`);
    this.model.cancel(message);
    let cancelled: Message | undefined;
    this.#queue.delayed!.cancel(delayedSequence(message), (found) => {
      cancelled = found;
    });
    await quiet();
    this.#notes.expect('cancelled', cancelled && textOf(cancelled), message.body);
  }

  purge(): void {
    this.#note('purge');
    this.#notes.expect('purged', this.#queue.purge(), this.model.purge());
  }

  clear(): void {
    this.#note('clear');
    this.#notes.expect('cleared', this.#queue.clear(), this.model.clear());
  }

  async rewind(quiet: () => Promise<void>): Promise<void> {
    const parked = this.#pick(this.model.in('rewindable'));
    const fromMs = parked === undefined ? START_MS : parked.publishedAtMs;
    this.#note(`rewind to ${fromMs - START_MS}`);
    let count: number | undefined;
    this.#queue.rewind(fromMs, (found) => {
      count = found;
    });
    const expected = this.model.rewind(fromMs);
    this.model.process(this.model.nowMs);
    await quiet();
    this.#notes.expect('rewound', count, expected);
  }

  /** All has come to rest: who got what, and may nobody have got more? */
  answer(): void {
    const { model } = this;
    const delivered = this.#newDeliveries.map(({ id }) => id);
    const answers = this.#calling.map(({ answer }) => this.#idsOf(answer ?? []));
    const taken = [...delivered, ...answers.flat()];
    model.endUsedUp(taken);
    this.#notes.expect(`${taken.join()} are next`, model.mayHandOver(taken), true);
    for (const ids of [delivered, ...answers]) {
      this.#notes.expect(`${ids.join()} are in order`, model.isInOrder(ids), true);
    }
    this.#notes.check();
    for (const { entry, id, isSettled } of this.#newDeliveries.splice(0)) {
      const lease = model.handOver(id, undefined, false);
      this.#note(`delivered ${id}`);
      if (isSettled) model.delete(model.leased(lease)!);
      else this.#deliveries.push({ model: lease, entry });
    }
    for (const calling of this.#calling) this.#handAnswer(calling);
    this.#checkPatience();
    this.#calling = this.#calling.filter(({ answer }) => answer === undefined);
    model.waiting = this.#calling.map((calling) => calling.model);
    this.#leases = this.#leases.slice(-LEASES_KEPT);
    model.rested();
    this.#notes.check();
  }

  /** Nobody waits who could have something, or whose time is over; nobody was overtaken. */
  #checkPatience(): void {
    const { model } = this;
    if (this.#calling.length + this.#consumers.length === 0) return;
    const isReady = model.count('ready') > 0;
    let isSomebodyEmpty = false;
    for (const receive of model.line) {
      const { answer } = this.#calling.find((each) => each.model === receive)!;
      const what = `receive ${receive.number}`;
      const isEmpty = answer === undefined || answer.length === 0;
      const mustEnd = !isEmpty || receive.untilMs <= model.nowMs;
      this.#notes.expect(`${what} is answered`, answer !== undefined, mustEnd);
      if (isEmpty) this.#notes.expect(`${what} is empty, and something ready`, isReady, false);
      else this.#notes.expect(`${what} overtook`, isSomebodyEmpty, false);
      isSomebodyEmpty ||= isEmpty;
    }
    const isIdle = this.#consumers.some((consumer) => consumer.hasCredit());
    if (isReady) this.#notes.expect('consumer has credit, and something ready', isIdle, false);
  }

  #handAnswer({ model: { number, visibilityMs }, answer }: Calling): void {
    if (answer === undefined) return;
    this.#note(`receive ${number} got ${this.#idsOf(answer).join()}`);
    for (const entry of answer) {
      const lease = this.model.handOver(this.#queue.messageIdOf(entry), visibilityMs, true);
      this.#leases.push({ model: lease, handle: this.#queue.handleOf(entry) });
    }
  }

  /** Up to `scale` times 8 s, with that remainder modulo 8. */
  span(scale: number, remainder: number): number {
    return 8 * this.#random.below(scale * 1_000) + remainder;
  }

  #idsOf(entries: readonly Entry[]): string[] {
    return entries.map((entry) => this.#queue.messageIdOf(entry));
  }

  #note(text: string): void {
    this.#notes.note(`${this.#name}: ${text}`);
  }

  #pick<T>(from: readonly T[]): T | undefined {
    return from.length === 0 ? undefined : from[this.#random.below(from.length)];
  }
}

/** Sequence among the delayed, which the id of a delayed message tells. */
function delayedSequence({ id }: ModelMessage): number {
  return Number((BigInt(id) >> 2n) & 0xffffffffn);
}
