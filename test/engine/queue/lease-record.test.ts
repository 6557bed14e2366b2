import { expect, test } from 'vitest';
import { Entry, FORMAT_AMQP, Message } from '../../../src/engine/message.ts';
import type { Store } from '../../../src/engine/ports.ts';
import { decodeLease, encodeLease, UNKNOWN_EPOCH } from '../../../src/engine/queue/lease-record.ts';
import { RESTARTABLE_STORES } from './restartable-stores.ts';

/** The year 2100. */
const LATE_MS = 4_102_444_800_000;
const QUEUE = 512;

test.each([
  { untilMs: 1_700_000_000_000, epoch: 0 },
  { untilMs: 1_700_000_000_001, epoch: 1_023 },
  { untilMs: LATE_MS, epoch: 1_023 },
  { untilMs: 0, epoch: 7 },
  { untilMs: 1_700_000_000_000, epoch: UNKNOWN_EPOCH },
])('%j comes back from the disk', (lease) => {
  const recorded = encodeLease(lease);
  expect(Number.isSafeInteger(recorded)).toBe(true);
  expect(decodeLease(recorded)).toEqual(lease);
});

test('a record of before leases had a start tells the end alone', () => {
  expect(decodeLease(1_700_000_000_000)).toEqual({
    untilMs: 1_700_000_000_000,
    epoch: UNKNOWN_EPOCH,
  });
});

test.each(RESTARTABLE_STORES)('the %s store keeps it as it is', async (_, make) => {
  const lease = { untilMs: LATE_MS, epoch: 1_023 };
  const restartable = make();
  const { store } = await restartable.open();
  const message = new Message('', 'q', FORMAT_AMQP, Buffer.alloc(8), 0, 4, 4, true, -1, -1, 1);
  const entry = new Entry(message, 1, Infinity);
  store.put(QUEUE, entry, true);
  entry.leaseUntilMs = encodeLease(lease);
  store.update(QUEUE, entry);
  await committed(store);
  const again = await restartable.open();
  const { leased } = again.recovery.queues.get(QUEUE)!;
  expect(decodeLease(leased[0]!.leaseUntilMs)).toEqual(lease);
  await restartable.dispose();
});

function committed(store: Store): Promise<void> {
  return new Promise((resolve) => {
    store.onCommitted = () => resolve();
    store.commit(false);
  });
}
