import { expect, test } from 'vitest';
import type { ClassicQueue } from '../../../src/engine/queue/classic-queue.ts';
import type { QueueTracer } from '../../../src/engine/queue/queue-tracer.ts';
import { EngineFixture } from '../../support/engine-fixture.ts';

test('a consumer that receives is told of with the end of its lease', async () => {
  const e = await EngineFixture.open();
  const queue = e.queue('q') as ClassicQueue;
  queue.applySettings({ ...queue.settings, countsReceives: true, visibilityTimeoutMs: 30_000 });
  const leaseEnds: number[] = [];
  const ignore = () => {};
  const received: QueueTracer['received'] = ({ leaseUntilMs }) => leaseEnds.push(leaseUntilMs);
  const rest = { released: ignore, deleted: ignore, expired: ignore, died: ignore };
  queue.tracer = { sent: ignore, rewound: ignore, received, ...rest };
  e.consume('q');
  e.publish('', 'q', 'm');
  e.turn();
  expect(leaseEnds).toEqual([e.clock.wallMs() + 30_000]);
});
