/**
 * Drives a store with random operations from a seed, crashes it at random points, and compares it
 * with the model after every recovery and now and then in between.
 */
import { expect } from 'vitest';
import { Entry, STORE_WRITTEN } from '../../src/engine/message.ts';
import type { QueueId, Recovery, Store } from '../../src/engine/ports.ts';
import type { SeededRandom } from '../support/seeded-random.ts';
import { type ModelState, modelEntry, StoreModel, stateText } from './store-model.ts';
import { commit, describeMessage, makeMessage, read, readAll } from './support.ts';

/** What the driver needs of the store under test. */
export interface DrivenStore {
  /** Opens the data again; a store that was not closed has crashed. */
  open(): Promise<Store>;
  /** Does background work now. */
  tidy(store: Store): Promise<void>;
  /** Takes the room on the disk away, or gives it back; absent where there is no disk. */
  squeeze?(store: Store, isFull: boolean): Promise<void>;
  /** Sets the wall clock, back as well. */
  setWallMs?(wallMs: number): void;
}

/** Relative weights of operations. */
export interface DriverWeights {
  readonly put: number;
  readonly settle: number;
  readonly range: number;
  readonly update: number;
  readonly mark: number;
  readonly define: number;
  readonly drop: number;
  readonly commit: number;
  readonly tidy: number;
  readonly compare: number;
  readonly crash: number;
  readonly close: number;
  readonly read: number;
  readonly full: number;
  readonly clock: number;
}

export const EVEN_WEIGHTS: DriverWeights = {
  put: 40,
  settle: 40,
  range: 1,
  update: 6,
  mark: 2,
  define: 2,
  drop: 0.5,
  commit: 14,
  tidy: 3,
  compare: 0.5,
  crash: 0.8,
  close: 0.2,
  read: 6,
  full: 0.4,
  clock: 1,
};

const QUEUE_COUNT = 6;

/** Where queues begin: at 1, as they do, or close to what a 32-bit number or a double can hold. */
const FIRST_SEQUENCES = [1, 1, 1, 2 ** 31 - 20, 2 ** 32 - 20, 2 ** 53 - 2 ** 20];

export class StoreDriver {
  readonly #target: DrivenStore;
  readonly #random: SeededRandom;
  readonly #weights: DriverWeights;
  readonly #model: StoreModel;
  #store: Store;
  #queueIds: QueueId[];
  #nextQueue: number;
  #nextSequences: Map<QueueId, number>;
  /** Entries the engine still holds, by queue and sequence. */
  #held: Map<QueueId, Map<number, Entry>>;
  /** What was ever put, as text, by queue and sequence. */
  readonly #texts: Map<string, string>;
  /** Reads that are not answered yet. */
  readonly #reads: Set<Promise<void>>;
  #epoch: number;

  private constructor(target: DrivenStore, random: SeededRandom, weights: DriverWeights) {
    this.#target = target;
    this.#random = random;
    this.#weights = weights;
    this.#model = new StoreModel();
    this.#store = undefined as unknown as Store;
    this.#queueIds = [];
    this.#nextQueue = 0;
    this.#nextSequences = new Map();
    this.#held = new Map();
    this.#texts = new Map();
    this.#reads = new Set();
    this.#epoch = 0;
  }

  /** Runs `steps` random steps, then closes and compares a last time. */
  static async run(
    target: DrivenStore,
    random: SeededRandom,
    steps: number,
    weights: DriverWeights = EVEN_WEIGHTS,
  ): Promise<void> {
    const driver = new StoreDriver(target, random, weights);
    await driver.#open();
    for (let i = 0; i < QUEUE_COUNT; i += 1) driver.#addQueue();
    for (let step = 0; step < steps; step += 1) await driver.#step();
    await driver.#close();
    await driver.#target.tidy(driver.#store);
    await driver.#compare();
    await driver.#store.close();
  }

  async #step(): Promise<void> {
    let roll = this.#random.next() * Object.values(this.#weights).reduce((a, b) => a + b, 0);
    for (const [name, weight] of Object.entries(this.#weights)) {
      roll -= weight;
      if (roll < 0) {
        await this.#perform(name as keyof DriverWeights);
        return;
      }
    }
  }

  async #perform(name: keyof DriverWeights): Promise<void> {
    switch (name) {
      case 'put':
        return this.#put();
      case 'settle':
        return this.#settle();
      case 'range':
        return this.#settleRange();
      case 'update':
        return this.#update();
      case 'mark':
        return this.#mark();
      case 'define':
        return this.#define();
      case 'drop':
        return this.#drop();
      case 'commit':
        return this.#commit();
      case 'tidy':
        return this.#target.tidy(this.#store).then(() => this.#noteDurable());
      case 'compare':
        return this.#commit().then(() => this.#compare());
      case 'crash':
        return this.#crash();
      case 'close':
        return this.#close();
      case 'read':
        return this.#read();
      case 'full':
        return this.#full();
      case 'clock':
        return this.#target.setWallMs?.(1.6e12 + this.#random.below(1e11));
    }
  }

  #addQueue(): void {
    this.#nextQueue += 1;
    const queueId = this.#epoch * 2 ** 32 + this.#nextQueue;
    this.#queueIds.push(queueId);
    this.#nextSequences.set(queueId, this.#random.pick(FIRST_SEQUENCES));
  }

  /** One message to one or more queues; sometimes a burst, sometimes large, sometimes odd. */
  #put(): void {
    const random = this.#random;
    const burst = random.chance(0.2) ? 1 + random.below(30) : 1;
    const targets = random.chance(0.2)
      ? this.#queueIds.filter(() => random.chance(0.5))
      : [random.pick(this.#queueIds)];
    for (let i = 0; i < burst; i += 1) {
      const bodyBytes = random.chance(0.01) ? 70_000 : random.below(random.chance(0.5) ? 10 : 600);
      const message = makeMessage({
        exchange: random.pick(['', 'orders', 'größe']),
        routingKey: `key.${random.below(50)}`,
        header: 'h'.repeat(random.below(40)),
        body: Buffer.alloc(bodyBytes, `${random.below(1e9)},`),
        isPersistent: random.chance(0.8),
        priority: random.below(257) - 1,
        expirationMs: random.chance(0.1) ? random.below(1e6) : -1,
      });
      for (const queueId of targets) {
        const sequence = this.#nextSequences.get(queueId) ?? 1;
        this.#nextSequences.set(queueId, sequence + 1 + (random.chance(0.05) ? 1 : 0));
        const entry = new Entry(message, sequence, random.chance(0.1) ? 5e12 : Infinity);
        if (random.chance(0.05)) entry.notBeforeMs = 1e12 + random.below(1e6);
        if (random.chance(0.02)) entry.receiveCount = 1;
        this.#putEntry(queueId, entry, random.chance(0.9));
      }
    }
  }

  #putEntry(queueId: QueueId, entry: Entry, survives: boolean): void {
    this.#store.put(queueId, entry, survives);
    this.#heldOf(queueId).set(entry.sequence, entry);
    const queue = this.#model.queue(queueId);
    const known = modelEntry(entry, survives);
    queue.entries.set(entry.sequence, known);
    this.#texts.set(`${queueId}/${entry.sequence}`, known.text);
  }

  #heldOf(queueId: QueueId): Map<number, Entry> {
    let held = this.#held.get(queueId);
    if (held === undefined) {
      held = new Map();
      this.#held.set(queueId, held);
    }
    return held;
  }

  /** Settles some entries from the head, or at random places. */
  #settle(): void {
    const random = this.#random;
    const queueId = random.pick(this.#queueIds);
    const queue = this.#model.queue(queueId);
    const sequences = [...queue.entries.keys()].sort((a, b) => a - b);
    let count = random.chance(0.3) ? random.below(40) : 1;
    const isOrdered = random.chance(0.6);
    while (count > 0 && sequences.length > 0) {
      const at = isOrdered ? 0 : random.below(sequences.length);
      const [sequence] = sequences.splice(at, 1);
      this.#settleOne(queueId, sequence!);
      count -= 1;
    }
  }

  #settleOne(queueId: QueueId, sequence: number): void {
    const held = this.#heldOf(queueId);
    let entry = held.get(sequence);
    if (entry === undefined) {
      entry = new Entry(makeMessage(), sequence, Infinity);
      entry.storeState = STORE_WRITTEN;
    }
    this.#store.settle(queueId, entry);
    if (this.#random.chance(0.1)) this.#store.settle(queueId, entry);
    held.delete(sequence);
    this.#model.queue(queueId).entries.delete(sequence);
  }

  #settleRange(): void {
    const queueId = this.#random.pick(this.#queueIds);
    const queue = this.#model.queue(queueId);
    const next = this.#nextSequences.get(queueId) ?? 1;
    const [lowest = 1] = queue.entries.keys();
    const first = lowest + this.#random.below(next - lowest + 1);
    const end = this.#random.chance(0.3) ? Infinity : first + this.#random.below(30);
    this.#store.settleRange(queueId, first, end);
    for (const sequence of [...queue.entries.keys()]) {
      if (sequence >= first && sequence < end) queue.entries.delete(sequence);
    }
  }

  #update(): void {
    const random = this.#random;
    const queueId = random.pick(this.#queueIds);
    const held = [...this.#heldOf(queueId).values()];
    if (held.length === 0) return;
    const entry = random.pick(held);
    const known = this.#model.queue(queueId).entries.get(entry.sequence);
    if (known === undefined) return;
    entry.receiveCount += 1;
    entry.firstReceivedAtMs = 1e12;
    if (random.chance(0.5)) entry.leaseUntilMs = 1e12 + random.below(1000);
    else entry.leaseUntilMs = Infinity;
    if (random.chance(0.2)) entry.notBeforeMs = random.chance(0.5) ? 0 : 1e12 + random.below(99);
    if (random.chance(0.2)) entry.expiresAtMs = 6e12;
    entry.isRedelivered = random.chance(0.5);
    this.#store.update(queueId, entry);
    known.state = stateText(entry);
    known.notBeforeMs = entry.notBeforeMs;
    known.leaseUntilMs = entry.leaseUntilMs;
    // What an entry has for a consumer's eyes only is never stored.
    if (random.chance(0.3)) entry.leaseUntilMs = 7e12;
  }

  /** Starts a read, and looks at the answer when it comes: much may have happened by then. */
  #read(): void {
    const random = this.#random;
    const queueId = random.pick(this.#queueIds);
    const before = this.#model.durable.queues.get(queueId);
    const sequences = [...(before?.entries.keys() ?? [])].sort((a, b) => a - b);
    const from = sequences.length === 0 ? 1 : random.pick(sequences);
    const model = this.#model.current;
    const maxBytes = random.chance(0.5) ? 1e9 : 1 + random.below(2_000);
    const answered = read(this.#store, queueId, from, 1 + random.below(50), maxBytes).then(
      ({ entries, end }) => {
        const found = entries.map(({ sequence }) => sequence);
        expect(found).toEqual([...new Set(found)].sort((a, b) => a - b));
        for (const { message, sequence } of entries) {
          expect(sequence).toBeGreaterThanOrEqual(from);
          expect(sequence).toBeLessThan(end);
          const text = JSON.stringify(describeMessage(message));
          expect(text).toBe(this.#texts.get(`${queueId}/${sequence}`));
        }
        const left = model.queues.get(queueId)?.entries;
        const due = sequences.filter((at) => at >= from && at < end && left?.has(at) === true);
        expect(found).toEqual(expect.arrayContaining(due));
      },
    );
    this.#reads.add(answered);
  }

  /** Waits for the answers of all reads. */
  async #endReads(): Promise<void> {
    await Promise.all(this.#reads);
    this.#reads.clear();
  }

  /** The disk is full for a while, in which work goes on. */
  async #full(): Promise<void> {
    const { squeeze } = this.#target;
    if (squeeze === undefined) return;
    await squeeze(this.#store, true);
    for (let i = this.#random.below(8); i > 0; i -= 1) {
      if (this.#random.chance(0.5)) this.#put();
      else if (this.#random.chance(0.7)) this.#settle();
      else this.#update();
      if (this.#random.chance(0.3)) this.#store.commit(false);
      if (this.#random.chance(0.3)) this.#read();
      await new Promise((resolve) => setTimeout(resolve, this.#random.below(3)));
    }
    await squeeze(this.#store, false);
    await commit(this.#store);
    this.#noteDurable();
  }

  #mark(): void {
    const queueId = this.#random.pick(this.#queueIds);
    const queue = this.#model.queue(queueId);
    const next = this.#nextSequences.get(queueId) ?? 1;
    queue.deliveredBelow = next - this.#random.below(Math.min(next, 100));
    this.#store.mark(queueId, queue.deliveredBelow);
  }

  #define(): void {
    const key = `key ${this.#random.below(8)}`;
    const { definitions } = this.#model.current;
    if (this.#random.chance(0.3)) {
      this.#store.undefine('thing', key);
      definitions.delete(key);
    } else {
      const value = `{"n":${this.#random.below(1e6)}}`;
      this.#store.define('thing', key, value);
      definitions.set(key, value);
    }
  }

  #drop(): void {
    const at = this.#random.below(this.#queueIds.length);
    const [queueId] = this.#queueIds.splice(at, 1);
    this.#store.dropQueue(queueId!);
    this.#model.current.queues.delete(queueId!);
    this.#held.delete(queueId!);
    this.#addQueue();
  }

  /** Commits; sometimes goes on working while the commit is at the disk. */
  async #commit(): Promise<void> {
    const committed = this.#model.snapshot();
    if (this.#random.chance(0.5)) {
      await commit(this.#store);
      this.#setDurable(committed);
      return;
    }
    this.#store.commit(false);
    const busyFor = this.#random.below(4);
    for (let i = 0; i < busyFor; i += 1) {
      if (this.#random.chance(0.5)) this.#put();
      else this.#settle();
    }
    await commit(this.#store);
    // Both commits have ended now.
    this.#noteDurable();
  }

  #noteDurable(): void {
    if (!this.#store.isDirty) this.#setDurable(this.#model.snapshot());
  }

  #setDurable(state: ModelState): void {
    this.#model.durable = state;
  }

  async #crash(): Promise<void> {
    // A commit in flight could be copied half: let it end, and leave the buffer behind.
    if (this.#store.committedTicket < this.#store.ticket && !this.#store.isDirty) {
      await commit(this.#store);
    }
    await this.#endReads();
    this.#model.crash();
    await this.#open();
    await this.#compare();
  }

  async #close(): Promise<void> {
    if (this.#store.isDirty) await commit(this.#store);
    await this.#endReads();
    await this.#store.close();
    this.#model.durable = this.#model.snapshot();
    this.#model.crash();
    await this.#open();
    await this.#compare();
  }

  async #open(): Promise<void> {
    this.#store = await this.#target.open();
    const recovery = await this.#store.recover();
    this.#epoch = recovery.epoch;
    this.#held = new Map();
    this.#compareRecovery(recovery);
    for (const [queueId, { nextSequence }] of recovery.queues) {
      // The engine never goes back either: transient entries have used numbers of their own.
      const known = this.#nextSequences.get(queueId) ?? 1;
      this.#nextSequences.set(queueId, Math.max(known, nextSequence));
    }
  }

  #compareRecovery(recovery: Recovery): void {
    const { queues, definitions } = this.#model.current;
    const defined = new Map(recovery.definitions.map(({ key, value }) => [key, value]));
    expect(defined).toEqual(definitions);
    for (const [queueId, { liveCount }] of recovery.queues) {
      if (!queues.has(queueId)) expect(liveCount, `dropped queue ${queueId}`).toBe(0);
    }
    for (const [queueId, queue] of queues) {
      const found = recovery.queues.get(queueId);
      const entries = [...queue.entries.values()].sort((a, b) => a.sequence - b.sequence);
      if (entries.length === 0 && found === undefined) continue;
      expect(found?.liveCount, `live count of ${queueId}`).toBe(entries.length);
      const bytes = entries.reduce((sum, entry) => sum + entry.bodyBytes, 0);
      expect(found?.liveBodyBytes, `live bytes of ${queueId}`).toBe(bytes);
      expect(found?.deliveredBelow, `mark of ${queueId}`).toBe(queue.deliveredBelow);
      const last = entries[entries.length - 1]?.sequence ?? 0;
      expect(found?.nextSequence).toBeGreaterThan(last);
      expect(found?.firstSequence).toBe(entries[0]?.sequence ?? found?.nextSequence);
      const delayed = [...(found?.delayed ?? [])].sort((a, b) => a.sequence - b.sequence);
      const expected = entries
        .filter((entry) => entry.notBeforeMs > 0)
        .map(({ sequence, notBeforeMs }) => ({ sequence, notBeforeMs }));
      expect(delayed, `delayed entries of ${queueId}`).toEqual(expected);
      const leased = entries
        .filter((entry) => entry.leaseUntilMs !== Infinity)
        .map(({ sequence, leaseUntilMs }) => ({ sequence, leaseUntilMs }));
      expect(found?.leased, `leases of ${queueId}`).toEqual(leased);
    }
  }

  /** Everything readable is what the model has; buffered puts are not readable yet. */
  async #compare(): Promise<void> {
    if (this.#store.isDirty) await this.#commit();
    for (const [queueId, queue] of this.#model.current.queues) {
      const entries = await readAll(this.#store, queueId, 1 + this.#random.below(60));
      const expected = [...queue.entries.values()].sort((a, b) => a.sequence - b.sequence);
      expect(entries.map((entry) => entry.sequence)).toEqual(
        expected.map((entry) => entry.sequence),
      );
      for (const [i, entry] of entries.entries()) {
        const known = expected[i]!;
        expect(JSON.stringify(describeMessage(entry.message))).toBe(known.text);
        expect(stateText(entry), `state of ${queueId}/${entry.sequence}`).toBe(known.state);
      }
      const middle = expected[Math.floor(expected.length / 2)]?.sequence ?? 1;
      const { entries: some } = await read(this.#store, queueId, middle, 3);
      expect(some[0]?.sequence).toBe(expected.length === 0 ? undefined : middle);
      const at = middle + this.#random.below(5);
      const next = expected.find(({ sequence }) => sequence >= at)?.sequence ?? Infinity;
      expect(this.#store.firstLive(queueId, at)).toBe(next);
    }
  }
}
