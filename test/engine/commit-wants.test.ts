/** When a turn wants a commit at once, and when settlements may wait for company. */
import { beforeEach, describe, expect, test } from 'vitest';
import type { ConfirmLedger } from '../../src/engine/confirm-ledger.ts';
import { LAZY_COMMIT_MS } from '../../src/store/commit-loop.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { ManualScheduler } from '../store/manual-scheduler.ts';
import { EngineFixture, type TestConsumer } from '../support/engine-fixture.ts';

let scheduler: ManualScheduler;
let e: EngineFixture;
let consumer: TestConsumer;
let ledger: ConfirmLedger;
let confirmed: number;

/** The commit at the disk ends, and gathering after it runs into its deadline. */
async function endCommit(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  scheduler.clockMs += 1;
  scheduler.iterate();
}

function publish(sequence: number): void {
  e.publish('', 'q', 'x', { persistent: true });
  ledger.add(sequence, e.broker.ticket, false);
}

function acknowledge(): void {
  const { queue, entry } = consumer.deliveries.shift()!;
  queue.acknowledge(entry);
}

beforeEach(async () => {
  scheduler = new ManualScheduler();
  e = await EngineFixture.open({ store: new MemoryStore({ scheduler }) });
  confirmed = 0;
  e.queue('q');
  consumer = e.consume('q');
  ledger = e.broker.confirmLedger({
    onConfirm: (sequence) => (confirmed = sequence),
    onReject: () => undefined,
  });
  e.turn();
  await endCommit();
});

describe('commits', () => {
  test('an ack during the commit of its own message waits for company', async () => {
    publish(1);
    e.turn();
    expect(e.store.isDirty).toBe(false);
    acknowledge();
    e.turn();
    await endCommit();
    expect(confirmed).toBe(1);
    e.turn();
    expect(e.store.isDirty).toBe(true);
    expect(scheduler.delays).toContain(LAZY_COMMIT_MS);
    publish(2);
    e.turn();
    expect(e.store.isDirty).toBe(false);
    await endCommit();
    expect(confirmed).toBe(2);
  });

  test('an ack that somebody waits for is committed at once', async () => {
    publish(1);
    e.turn();
    acknowledge();
    let isReleased = false;
    e.broker.hold(e.broker.ticket, () => (isReleased = true));
    e.turn();
    await endCommit();
    expect(confirmed).toBe(1);
    expect(isReleased).toBe(false);
    expect(e.store.isDirty).toBe(false);
    await endCommit();
    expect(isReleased).toBe(true);
  });
});
