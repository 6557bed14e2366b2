/**
 * Micro benchmark of the SQLite store, without a broker around it.
 *
 *     node dist/bench/store.js [--case put,steady,...] [--directory DIR] [--seconds 3] [--millions 1]
 *
 *     put      256-byte puts, by commit size: messages/s, main-thread time, commit p50 and p99
 *     steady   put and settle at a depth of 20,000: the file must not grow
 *     encode   cost of put, settle and encoding alone, no disk
 *     depth    --millions of puts, 1000 per commit: process memory, then recovery time
 *     thin     200,000 puts, one per commit: rows and runs after merging
 *     pinned   10,000 oldest entries stay while 2 M newer ones of other queues come and go
 *     fanout   each message to 100 queues
 *     scatter  --millions of puts round robin to 1000 queues, 1000 per commit: the worst case for the
 *              run index and for reading back
 *
 * Each case uses its own fresh directory. fsync on the machine decides the small commit sizes: the
 * p50 printed beside each figure is a commit of that size, fsync included.
 */
import { mkdtempSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Entry, Message } from '../src/engine/message.ts';
import { QueueIndex } from '../src/store/sqlite/queue-index.ts';
import { RowBuilder } from '../src/store/sqlite/row-builder.ts';
import { SqliteStore } from '../src/store/sqlite/sqlite-store.ts';

const { values: options } = parseArgs({
  options: {
    case: { type: 'string', default: 'encode,put,steady,fanout' },
    directory: { type: 'string', default: tmpdir() },
    seconds: { type: 'string', default: '3' },
    millions: { type: 'string', default: '1' },
  },
});
const seconds = Number(options.seconds);
const millions = Number(options.millions);

const MIB = 1024 * 1024;
const HEADER_BYTES = 40;
const BODY_BYTES = 256;

/** Messages share slabs, as they do behind a socket. */
const slab = Buffer.alloc(64 * 1024, 'abcdefghijklmnopqrstuvwxyz');

function makeMessage(number: number): Message {
  const start = (number * 64) % (slab.length - HEADER_BYTES - BODY_BYTES);
  const key = `device.${number % 100}`;
  return new Message('events', key, 0, slab, start, HEADER_BYTES, BODY_BYTES, true, -1, -1, 1.7e12);
}

function queueIdOf(number: number): number {
  return 2 ** 32 + number;
}

function say(text: string): void {
  writeSync(1, `${text}\n`);
}

/** A store on a fresh directory, with commits as promises. */
class Bench {
  readonly directory: string;
  store: SqliteStore;
  #waiting: { ticket: number; done: () => void }[];

  private constructor(directory: string, store: SqliteStore) {
    this.directory = directory;
    this.store = store;
    this.#waiting = [];
    this.#attach();
  }

  static async create(): Promise<Bench> {
    const directory = mkdtempSync(join(options.directory, 'tributary-bench-'));
    const store = await SqliteStore.open({ directory, durability: 'full' });
    await store.recover();
    return new Bench(directory, store);
  }

  /** Closes and opens again; returns the ms that recovery took. */
  async reopen(): Promise<number> {
    await this.store.close();
    const startedMs = performance.now();
    this.store = await SqliteStore.open({ directory: this.directory, durability: 'full' });
    await this.store.recover();
    this.#attach();
    return performance.now() - startedMs;
  }

  commit(): Promise<void> {
    return new Promise((done) => {
      this.#waiting.push({ ticket: this.store.ticket, done });
      this.store.commit(false);
    });
  }

  async remove(): Promise<void> {
    await this.store.close();
    rmSync(this.directory, { recursive: true });
  }

  #attach(): void {
    this.store.onFailure = (error) => {
      throw error;
    };
    this.store.onCommitted = (ticket) => {
      const ready = this.#waiting.filter((waiter) => waiter.ticket <= ticket);
      this.#waiting = this.#waiting.filter((waiter) => waiter.ticket > ticket);
      for (const { done } of ready) done();
    };
  }
}

function latency(store: SqliteStore): string {
  const { commitP50Ms, commitP99Ms } = store.metrics();
  return `commit p50 ${commitP50Ms.toFixed(2)} ms p99 ${commitP99Ms.toFixed(2)} ms`;
}

function sizes(store: SqliteStore): string {
  const { fileBytes, walBytes, liveBytes, rows, runs } = store.metrics();
  const mib = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB`;
  return (
    `file ${mib(fileBytes)}, wal ${mib(walBytes)}, live ${mib(liveBytes)}, ` +
    `${rows} rows, ${runs} runs`
  );
}

function rate(count: number, elapsedMs: number): string {
  return `${Math.round(count / elapsedMs)} k/s`;
}

async function benchPut(): Promise<void> {
  for (const size of [1, 10, 100, 1000, 10_000]) {
    const bench = await Bench.create();
    const cpu = process.cpuUsage();
    const utilization = performance.eventLoopUtilization();
    const startedMs = performance.now();
    let sequence = 0;
    while (performance.now() - startedMs < seconds * 1000) {
      for (let i = 0; i < size; i += 1) {
        sequence += 1;
        const entry = new Entry(makeMessage(sequence), sequence, Infinity);
        bench.store.put(queueIdOf(1), entry, true);
      }
      await bench.commit();
    }
    const elapsedMs = performance.now() - startedMs;
    const { user, system } = process.cpuUsage(cpu);
    const main = performance.eventLoopUtilization(utilization).active;
    say(
      `put, ${size} per commit: ${rate(sequence, elapsedMs)}, ` +
        `cpu ${((user + system) / sequence).toFixed(2)} us, ` +
        `main thread ${((main * 1000) / sequence).toFixed(2)} us; ${latency(bench.store)}`,
    );
    await bench.remove();
  }
}

async function benchSteady(): Promise<void> {
  const bench = await Bench.create();
  const held: Entry[] = [];
  const depth = 20_000;
  let sequence = 0;
  let settled = 0;
  const startedMs = performance.now();
  while (performance.now() - startedMs < seconds * 1000) {
    for (let i = 0; i < 1000; i += 1) {
      sequence += 1;
      const entry = new Entry(makeMessage(sequence), sequence, Infinity);
      held.push(entry);
      bench.store.put(queueIdOf(1), entry, true);
      if (sequence - settled > depth) {
        bench.store.settle(queueIdOf(1), held[settled]!);
        held[settled] = undefined as unknown as Entry;
        settled += 1;
      }
    }
    await bench.commit();
  }
  const elapsedMs = performance.now() - startedMs;
  say(
    `steady, 1000 per commit, depth ${depth}: ${rate(settled, elapsedMs)} put and settled; ` +
      `${latency(bench.store)}; ${sizes(bench.store)}`,
  );
  await bench.remove();
}

async function benchFanout(): Promise<void> {
  const bench = await Bench.create();
  const startedMs = performance.now();
  let messages = 0;
  while (performance.now() - startedMs < seconds * 1000) {
    for (let i = 0; i < 100; i += 1) {
      messages += 1;
      const message = makeMessage(messages);
      for (let queue = 1; queue <= 100; queue += 1) {
        bench.store.put(queueIdOf(queue), new Entry(message, messages, Infinity), true);
      }
    }
    await bench.commit();
  }
  const elapsedMs = performance.now() - startedMs;
  say(
    `fanout, each to 100 queues, 100 messages per commit: ` +
      `${rate(messages * 100, elapsedMs)} entries; ${latency(bench.store)}; ${sizes(bench.store)}`,
  );
  await bench.remove();
}

/** put + settle on the store's own structures, and the encoder alone. */
async function benchEncode(): Promise<void> {
  const builder = new RowBuilder();
  const queue = new QueueIndex(queueIdOf(1));
  const messages = Array.from({ length: 1000 }, (_, i) => makeMessage(i));
  let best = Infinity;
  for (let round = 0; round < 400; round += 1) {
    const startedMs = performance.now();
    builder.begin(1);
    for (let i = 0; i < 1000; i += 1) {
      builder.add(queue, i + 1, messages[i]!, true, Infinity, () => 1);
    }
    builder.seal(builder.sealPuts(round + 1));
    best = Math.min(best, performance.now() - startedMs);
  }
  say(`encode, 1000 per row: ${(best * 1000).toFixed(0)} ns per entry, checksum included`);
  const bench = await Bench.create();
  const rounds = 200;
  let putMs = 0;
  let settleMs = 0;
  for (let round = 0; round < rounds; round += 1) {
    const entries = messages.map(
      (message, i) => new Entry(message, round * 1000 + i + 1, Infinity),
    );
    let startedMs = performance.now();
    for (const entry of entries) bench.store.put(queueIdOf(1), entry, true);
    putMs += performance.now() - startedMs;
    await bench.commit();
    startedMs = performance.now();
    for (const entry of entries) bench.store.settle(queueIdOf(1), entry);
    settleMs += performance.now() - startedMs;
  }
  say(
    `put ${((putMs * 1000) / rounds).toFixed(0)} ns, ` +
      `settle ${((settleMs * 1000) / rounds).toFixed(0)} ns`,
  );
  await bench.remove();
}

async function benchDepth(): Promise<void> {
  const bench = await Bench.create();
  const total = millions * 1e6;
  const collect = globalThis.gc ?? ((): void => undefined);
  collect();
  const before = process.memoryUsage();
  const startedMs = performance.now();
  for (let sequence = 1; sequence <= total; ) {
    for (let i = 0; i < 1000; i += 1, sequence += 1) {
      const entry = new Entry(makeMessage(sequence), sequence, Infinity);
      bench.store.put(queueIdOf(1), entry, true);
    }
    await bench.commit();
  }
  const elapsedMs = performance.now() - startedMs;
  collect();
  const after = process.memoryUsage();
  say(
    `depth ${millions} M: ${rate(total, elapsedMs)}; heap +` +
      `${((after.heapUsed - before.heapUsed) / MIB).toFixed(1)} MiB, rss +` +
      `${((after.rss - before.rss) / MIB).toFixed(1)} MiB; ${sizes(bench.store)}`,
  );
  const recoveryMs = await bench.reopen();
  say(`recovery of ${millions} M entries: ${recoveryMs.toFixed(0)} ms; ${sizes(bench.store)}`);
  await bench.remove();
}

async function benchThin(): Promise<void> {
  const bench = await Bench.create();
  const total = 200_000 * Math.min(1, millions);
  const startedMs = performance.now();
  let mostRows = 0;
  for (let sequence = 1; sequence <= total; sequence += 1) {
    const entry = new Entry(makeMessage(sequence), sequence, Infinity);
    bench.store.put(queueIdOf(1), entry, true);
    await bench.commit();
    if (sequence % 1000 === 0) mostRows = Math.max(mostRows, bench.store.metrics().rows);
  }
  const elapsedMs = performance.now() - startedMs;
  say(
    `thin, ${total} commits of one: ${rate(total, elapsedMs)}, at most ${mostRows} rows; ` +
      `${latency(bench.store)}; ${sizes(bench.store)}`,
  );
  const recoveryMs = await bench.reopen();
  say(`recovery: ${recoveryMs.toFixed(0)} ms`);
  await bench.remove();
}

async function benchPinned(): Promise<void> {
  const bench = await Bench.create();
  const queues = 20;
  const sequences = new Array<number>(queues + 1).fill(0);
  // The entries that stay lie scattered over the first rows, ten in each thousand.
  let pinned = 0;
  const total = 2e6 * millions;
  const window: { queue: number; entry: Entry }[] = [];
  let largest = 0;
  const startedMs = performance.now();
  for (let count = 0; count < total; ) {
    for (let i = 0; i < 1000; i += 1, count += 1) {
      const stays = pinned < 10_000 && i % 100 === 0;
      const queue = stays ? 0 : 1 + (count % queues);
      sequences[queue]! += 1;
      const entry = new Entry(makeMessage(count), sequences[queue]!, Infinity);
      bench.store.put(queueIdOf(queue), entry, true);
      if (stays) pinned += 1;
      else window.push({ queue, entry });
    }
    if (window.length > 10_000) {
      for (const { queue, entry } of window.splice(0, 1000)) {
        bench.store.settle(queueIdOf(queue), entry);
      }
    }
    await bench.commit();
    if (count % 50_000 === 0) {
      const { fileBytes, walBytes } = bench.store.metrics();
      largest = Math.max(largest, fileBytes + walBytes);
    }
  }
  const elapsedMs = performance.now() - startedMs;
  say(
    `pinned, ${pinned} stay while ${total} pass: ${rate(total, elapsedMs)}; ` +
      `file and wal at most ${(largest / MIB).toFixed(1)} MiB; ${latency(bench.store)}; ` +
      sizes(bench.store),
  );
  await bench.remove();
}

async function benchScatter(): Promise<void> {
  const bench = await Bench.create();
  const total = millions * 1e6;
  const queues = 1000;
  const collect = globalThis.gc ?? ((): void => undefined);
  collect();
  const before = process.memoryUsage();
  const startedMs = performance.now();
  let mostRuns = 0;
  for (let count = 0; count < total; ) {
    for (let i = 0; i < queues; i += 1, count += 1) {
      const sequence = 1 + Math.floor(count / queues);
      const entry = new Entry(makeMessage(count), sequence, Infinity);
      bench.store.put(queueIdOf(1 + i), entry, true);
    }
    await bench.commit();
    if (count % 20_000 === 0) mostRuns = Math.max(mostRuns, bench.store.metrics().runs);
  }
  const elapsedMs = performance.now() - startedMs;
  collect();
  const heap = (process.memoryUsage().heapUsed - before.heapUsed) / MIB;
  say(
    `scatter, ${total} over ${queues} queues: ${rate(total, elapsedMs)}, ` +
      `at most ${mostRuns} runs, heap +${heap.toFixed(1)} MiB; ${sizes(bench.store)}`,
  );
  await bench.store.tidy();
  collect();
  const tidyHeap = (process.memoryUsage().heapUsed - before.heapUsed) / MIB;
  say(`tidied: heap +${tidyHeap.toFixed(1)} MiB; ${sizes(bench.store)}`);
  const readStartMs = performance.now();
  let readCount = 0;
  for (let queue = 1; queue <= 20; queue += 1) {
    await new Promise<void>((resolve) => {
      bench.store.read(queueIdOf(queue), 1, 1000, 1e6, (entries) => {
        readCount += entries.length;
        resolve();
      });
    });
  }
  say(`read back, 20 queues: ${rate(readCount, performance.now() - readStartMs)}`);
  await bench.remove();
}

const CASES: Record<string, () => Promise<void>> = {
  put: benchPut,
  steady: benchSteady,
  fanout: benchFanout,
  encode: benchEncode,
  depth: benchDepth,
  thin: benchThin,
  pinned: benchPinned,
  scatter: benchScatter,
};

for (const name of options.case.split(',')) {
  const run = CASES[name];
  if (run === undefined) {
    say(`unknown case ${name}; there are ${Object.keys(CASES).join(', ')}`);
    process.exitCode = 2;
    break;
  }
  await run();
}
