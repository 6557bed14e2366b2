import { describe, expect, test } from 'vitest';
import type { Message } from '../../../src/engine/message.ts';
import type { Store } from '../../../src/engine/ports.ts';
import { DelayQueue } from '../../../src/engine/queue/delay-queue.ts';
import { bodyOf } from '../../support/engine-fixture.ts';
import { SeededRandom } from '../../support/seeded-random.ts';
import { commit, makeMessage } from '../../store/support.ts';
import { RESTARTABLE_STORES } from './restartable-stores.ts';

const ID = 512;
const START_MS = 1_700_000_000_000;
const HOUR_MS = 3_600_000;
const COUNT = 8_000;
/** The clock goes in steps of this; everything is due some time within one. */
const STEP_MS = 10_000;

describe.each(RESTARTABLE_STORES)('an hour of delays on the %s store', (_name, make) => {
  test('comes due in order and on time, a crash in between', async () => {
    const restartable = make();
    const random = new SeededRandom(6);
    const released: number[] = [];
    let wakeAtMs = Infinity;
    const start = async (): Promise<{ store: Store; queue: DelayQueue }> => {
      const { store, recovery } = await restartable.open();
      const wakeDelayAt = (_queue: DelayQueue, atMs: number): void => {
        wakeAtMs = Math.min(wakeAtMs, atMs);
      };
      const release = (message: Message): void => void released.push(Number(bodyOf(message)));
      const queue = new DelayQueue(ID, { store, wakeDelayAt }, release);
      const recovered = recovery.queues.get(ID);
      if (recovered !== undefined) queue.restore(recovered);
      return { store, queue };
    };
    let { store, queue } = await start();
    const dueAtMs: number[] = [];
    for (let n = 0; n < COUNT; n += 1) {
      const atMs = START_MS + 1 + random.below(HOUR_MS);
      dueAtMs.push(atMs);
      queue.publish(makeMessage({ body: `${n}`, publishedAtMs: START_MS }), atMs, true);
    }
    await commit(store);
    ({ store, queue } = await start());
    expect([queue.count, queue.residentCount]).toEqual([COUNT, 0]);
    const inOrder = [...dueAtMs.keys()].sort((a, b) => dueAtMs[a]! - dueAtMs[b]! || a - b);
    for (let nowMs = START_MS; nowMs <= START_MS + HOUR_MS; nowMs += STEP_MS) {
      const due = dueAtMs.filter((atMs) => atMs <= nowMs).length;
      while (wakeAtMs <= nowMs || released.length < due) {
        wakeAtMs = Infinity;
        queue.tick(nowMs);
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect([released.length, queue.count]).toEqual([due, COUNT - due]);
      if (nowMs !== START_MS + HOUR_MS / 2) continue;
      await commit(store);
      ({ store, queue } = await start());
    }
    expect(released).toEqual(inOrder);
    await restartable.dispose();
  });
});
