import { describe, expect, test } from 'vitest';
import { TRACE_BYTES_MAX, TRACE_SEGMENT_BYTES } from '../../../src/engine/cmq/cmq-limits.ts';
import type { TraceEvent } from '../../../src/engine/cmq/trace-event.ts';
import { TraceLog } from '../../../src/engine/cmq/trace-log.ts';
import { MemoryDisk } from '../../../src/store/memory-disk.ts';
import { EngineFixture } from '../../support/engine-fixture.ts';

function logOf(engine: EngineFixture): TraceLog {
  return new TraceLog('amq.cmq-trace.q', engine.vhost, engine.broker.queuesOf(engine.vhost));
}

async function query(engine: EngineFixture, log: TraceLog, msgId?: string): Promise<TraceEvent[]> {
  let found: readonly TraceEvent[] | undefined;
  log.query({ msgId, fromMs: 0, toMs: Infinity }, (events) => (found = events));
  for (let wait = 0; wait < 50 && found === undefined; wait += 1) await engine.settle();
  return [...found!];
}

describe('the trace of a queue', () => {
  test('finds the events of one message, also from disk', async () => {
    const disk = new MemoryDisk();
    const before = await EngineFixture.open({ disk });
    const log = logOf(before);
    expect(await query(before, log)).toEqual([]);
    const atMs = before.clock.wallMs();
    for (let n = 0; n < 1_000; n += 1) log.write({ kind: 'sent', atMs, msgId: `${n % 100}` });
    expect(await query(before, log, '7')).toHaveLength(10);
    expect(await query(before, log)).toHaveLength(1_000);
    await before.settle();
    const after = await EngineFixture.open({ disk, clock: before.clock });
    expect(await query(after, logOf(after), '7')).toHaveLength(10);
  });

  test('is bounded in bytes', async () => {
    const engine = await EngineFixture.open();
    const log = logOf(engine);
    const by = 'x'.repeat(64 * 1024);
    const atMs = engine.clock.wallMs();
    for (let n = 0; n < (2 * TRACE_BYTES_MAX) / by.length; n += 1) {
      log.write({ kind: 'sent', atMs, msgId: `${n}`, by });
      if (n % 64 === 0) await engine.settle(1);
    }
    await engine.settle();
    const { readyBytes } = engine.vhost.topology.queues.get(log.name)!;
    expect(readyBytes).toBeLessThanOrEqual(TRACE_BYTES_MAX + TRACE_SEGMENT_BYTES);
    expect(readyBytes).toBeGreaterThan(TRACE_BYTES_MAX / 2);
  });

  test('is a query nobody waits for any more when it is stopped', async () => {
    const engine = await EngineFixture.open();
    const log = logOf(engine);
    log.write({ kind: 'sent', atMs: engine.clock.wallMs(), msgId: '1' });
    const stop = log.query({ fromMs: 0, toMs: Infinity }, () => {
      throw new Error('answered');
    });
    stop();
    await engine.settle();
    expect(engine.vhost.topology.queues.get(log.name)!.consumerCount).toBe(0);
  });
});
