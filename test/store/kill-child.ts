/**
 * The process that sqlite-kill.test.ts kills: puts and settles without end, and says on stdout what
 * is confirmed. Entry n is settled once n + LAG is put, unless n is divisible by 3.
 *
 * Lines: `R liveCount` after recovery, then `C put settled`: every entry up to `put` is confirmed,
 * and every settlement up to `settled`.
 */
import { writeSync } from 'node:fs';
import { Entry, Message } from '../../src/engine/message.ts';
import { SqliteStore } from '../../src/store/sqlite/sqlite-store.ts';

const QUEUE = 2 ** 32 + 1;
const LAG = 50;

const store = await SqliteStore.open({
  directory: process.argv[2]!,
  durability: 'full',
  cleanerLimits: { garbageBytes: 50_000, thinRows: 20, deadRows: 10, deadBytes: 50_000 },
});
const recovery = await store.recover();
writeSync(1, `R ${recovery.queues.get(QUEUE)?.liveCount ?? 0}\n`);

const held = new Map<number, Entry>();
let next = recovery.queues.get(QUEUE)?.nextSequence ?? 1;
let inFlight: { ticket: number; put: number; settled: number }[] = [];

function work(): void {
  const burst = 1 + (next % 17) * (next % 5);
  for (let i = 0; i < burst; i += 1) {
    const body = Buffer.from(`body ${next} ${'x'.repeat((next * 37) % 900)}`);
    const message = new Message('e', 'k', 0, body, 0, 0, body.length, true, -1, -1, 0);
    const entry = new Entry(message, next, Infinity);
    store.put(QUEUE, entry, true);
    held.set(next, entry);
    const old = held.get(next - LAG);
    if (old !== undefined && old.sequence % 3 !== 0) store.settle(QUEUE, old);
    held.delete(next - LAG);
    next += 1;
  }
  inFlight.push({ ticket: store.ticket, put: next - 1, settled: next - 1 - LAG });
  store.commit(false);
  setTimeout(work, next % 3);
}

store.onCommitted = (ticket) => {
  const done = inFlight.filter((batch) => batch.ticket <= ticket);
  inFlight = inFlight.filter((batch) => batch.ticket > ticket);
  const last = done[done.length - 1];
  if (last !== undefined) writeSync(1, `C ${last.put} ${last.settled}\n`);
};
store.onFailure = (error) => {
  writeSync(2, `${String(error)}\n`);
  process.exit(1);
};
work();
