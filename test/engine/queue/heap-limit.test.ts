/** CMQ's limit of messages in all states. */
import { expect, test } from 'vitest';
import { PUBLISH_REJECTED, PUBLISH_ROUTED } from '../../../src/engine/publish.ts';
import type { ClassicQueue } from '../../../src/engine/queue/classic-queue.ts';
import { EngineFixture } from '../../support/engine-fixture.ts';

test('a full queue takes dead letters, which nobody could be told were refused', async () => {
  const e = await EngineFixture.open();
  const dead = e.queue('dead') as ClassicQueue;
  dead.applySettings({ ...dead.settings, heapMax: 1 });
  e.queue('q', { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'dead' });
  for (const body of ['1', '2', '3']) e.publish('', 'q', body);
  for (let n = 0; n < 3; n += 1) {
    const { queue, entry } = e.get('q')!;
    queue.reject(entry);
  }
  expect(dead.readyCount).toBe(3);
  expect(e.publish('', 'dead', '4')).toBe(PUBLISH_ROUTED | PUBLISH_REJECTED);
});

test('what is redriven is no dead letter any more: a full queue refuses it', async () => {
  const e = await EngineFixture.open();
  const dead = e.queue('dead') as ClassicQueue;
  const home = e.queue('q', {
    'x-dead-letter-exchange': '',
    'x-dead-letter-routing-key': 'dead',
  }) as ClassicQueue;
  e.publish('', 'q', '1');
  home.reject(e.get('q')!.entry);
  home.applySettings({ ...home.settings, heapMax: 1 });
  e.publish('', 'q', '2');
  const { redrive } = e.vhost.cmq.redrives.start(e.actor, 'dead');
  await e.settle();
  expect([dead.readyCount, home.readyCount, redrive.state.moved]).toEqual([1, 1, 0]);
  expect(redrive.state.lastError).toBe("queue 'q' is full");
});
