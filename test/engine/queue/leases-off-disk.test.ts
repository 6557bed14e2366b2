/** A lease without a handle ends with the process, also when it was given before the commit. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Entry } from '../../../src/engine/message.ts';
import type { ClassicQueue } from '../../../src/engine/queue/classic-queue.ts';
import { Receive } from '../../../src/engine/queue/receive.ts';
import { EngineFixture } from '../../support/engine-fixture.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { onDisk } from './on-disk.ts';
import { RESTARTABLE_STORES, type RestartableStore } from './restartable-stores.ts';

const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * 24 * HOUR_MS;

describe.each(RESTARTABLE_STORES)('on the %s store', (_name, make) => {
  let restartable: RestartableStore;
  let clock: FakeClock;
  let failure: unknown;
  let e: EngineFixture;

  beforeEach(async () => {
    restartable = make();
    clock = new FakeClock();
    failure = undefined;
    await open();
  });
  afterEach(() => restartable.dispose());

  /** Begins, or begins again after a crash. */
  async function open(): Promise<void> {
    const { store, recovery } = await restartable.open();
    store.recover = () => Promise.resolve(recovery);
    store.onFailure = (error) => {
      failure = error;
    };
    e = await EngineFixture.open({ store, clock });
  }

  function counts(): [ready: number, unacked: number] {
    const queue = e.vhost.topology.queues.get('q') as ClassicQueue;
    return [queue.readyCount, queue.unackedCount];
  }

  test('what was looked at before its commit is ready after a restart', async () => {
    const queue = e.queue('q') as ClassicQueue;
    e.publish('', 'q', 'm', { persistent: true });
    let taken: readonly Entry[] = [];
    queue.receive(
      new Receive({
        maxCount: 1,
        visibilityMs: YEAR_MS,
        untilMs: 0,
        isByHandle: false,
        isCounted: false,
        done: (entries) => {
          taken = entries;
        },
      }),
    );
    e.turn();
    expect(taken.length).toBe(1);
    await onDisk(e);
    queue.giveBack(taken[0]!);
    e.turn();
    await onDisk(e);
    await open();
    await e.settle();
    expect(counts()).toEqual([1, 0]);
  });

  test('what a consumer had with a deadline is ready after a crash', async () => {
    e.queue('q', { 'x-visibility-timeout': HOUR_MS });
    e.consume('q');
    e.publish('', 'q', 'm', { persistent: true });
    e.turn();
    expect(counts()).toEqual([0, 1]);
    await onDisk(e);
    await open();
    await e.settle();
    expect(counts()).toEqual([1, 0]);
  });

  test('a delivery without a deadline writes nothing', async () => {
    e.queue('q', { 'x-message-retention': HOUR_MS });
    e.consume('q');
    let updates = 0;
    e.store.update = () => {
      updates += 1;
    };
    for (let n = 0; n < 10; n += 1) e.publish('', 'q', 'm', { persistent: true });
    e.turn();
    expect([counts(), updates]).toEqual([[0, 10], 0]);
  });

  test.each([9_007_199_254_740_991, 9_223_372_036_854_775_807n])(
    'a deadline of %s ms is no end of the store',
    async (visibility) => {
      const queue = e.queue('q', { 'x-visibility-timeout': visibility }) as ClassicQueue;
      e.publish('', 'q', 'm', { persistent: true });
      const done = (): void => {};
      queue.receive(new Receive({ maxCount: 1, untilMs: 0, isByHandle: true, done }));
      e.consume('q');
      e.publish('', 'q', 'n', { persistent: true });
      e.turn();
      await onDisk(e);
      await open();
      await e.settle();
      // The lease by handle lasts.
      expect([failure, counts()]).toEqual([undefined, [1, 1]]);
    },
  );
});
