import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FlushSet } from '../../src/net/flush-set.ts';
import { Outbound, OUTBOUND_HIGH_WATER_BYTES, OWN_PIECE_BYTES } from '../../src/net/outbound.ts';
import { LARGE_SLAB_BYTES, SMALL_SLAB_BYTES } from '../../src/net/slab-pool.ts';
import { FakeTransport } from './fake-transport.ts';

function setUp() {
  let turnCount = 0;
  const flushSet = new FlushSet(() => {
    turnCount += 1;
  });
  const transport = new FakeTransport();
  const outbound = new Outbound(transport, flushSet);
  return { flushSet, transport, outbound, turns: () => turnCount };
}

function put(outbound: Outbound, byteCount: number, value: number): void {
  const offset = outbound.reserve(byteCount);
  outbound.slab.fill(value, offset, offset + byteCount);
}

describe('Outbound', () => {
  test('writes everything of a turn at once', () => {
    const { flushSet, transport, outbound } = setUp();
    put(outbound, 3, 1);
    outbound.append(Buffer.from([9, 2, 2, 9]), 1, 3);
    put(outbound, 1, 3);
    expect(transport.calls).toEqual([]);
    flushSet.flushAll();
    expect(transport.calls).toEqual(['write 6']);
    expect([...transport.stream]).toEqual([1, 1, 1, 2, 2, 3]);
  });

  test('asks for one turn per flush', () => {
    const { flushSet, outbound, turns } = setUp();
    put(outbound, 1, 1);
    put(outbound, 1, 1);
    expect(turns()).toBe(1);
    outbound.flush();
    put(outbound, 1, 1);
    expect(turns()).toBe(1);
    flushSet.flushAll();
    put(outbound, 1, 1);
    expect(turns()).toBe(2);
  });

  test('holds no slab while nothing is pending', () => {
    const { flushSet, outbound } = setUp();
    expect(outbound.slab.length).toBe(0);
    put(outbound, 10, 1);
    expect(outbound.slab.length).toBe(SMALL_SLAB_BYTES);
    flushSet.flushAll();
    expect(outbound.slab.length).toBe(0);
  });

  test('never writes into a slab the socket still has', () => {
    const { flushSet, transport, outbound } = setUp();
    put(outbound, 4, 0xaa);
    flushSet.flushAll();
    put(outbound, 4, 0xbb);
    flushSet.flushAll();
    expect(transport.stream.toString('hex')).toBe('aaaaaaaabbbbbbbb');
    expect(flushSet.pool.freeCount).toBe(0);
    transport.complete();
    expect(flushSet.pool.freeCount).toBe(2);
  });

  test('leaves the slab of a failed write to the garbage collector', () => {
    const { flushSet, transport, outbound } = setUp();
    put(outbound, 4, 1);
    flushSet.flushAll();
    transport.complete(new Error('reset'));
    expect(flushSet.pool.freeCount).toBe(0);
  });

  test('moves a full small slab into a large one and still writes once', () => {
    const { flushSet, transport, outbound } = setUp();
    put(outbound, SMALL_SLAB_BYTES, 1);
    put(outbound, 1, 2);
    expect(outbound.slab.length).toBe(LARGE_SLAB_BYTES);
    flushSet.flushAll();
    expect(transport.calls).toEqual([`write ${SMALL_SLAB_BYTES + 1}`]);
    expect(transport.stream.at(-1)).toBe(2);
  });

  test('starts with a large slab after a large turn', () => {
    const { flushSet, outbound } = setUp();
    put(outbound, SMALL_SLAB_BYTES + 1, 1);
    flushSet.flushAll();
    put(outbound, 1, 1);
    expect(outbound.slab.length).toBe(LARGE_SLAB_BYTES);
    flushSet.flushAll();
    put(outbound, 1, 1);
    expect(outbound.slab.length).toBe(SMALL_SLAB_BYTES);
  });

  test('sends several slabs under one cork', () => {
    const { flushSet, transport, outbound } = setUp();
    put(outbound, 40_000, 1);
    put(outbound, 40_000, 2);
    flushSet.flushAll();
    expect(transport.calls).toEqual(['cork', 'write 40000', 'write 40000', 'uncork']);
  });

  test('a reservation larger than any slab gets its own memory', () => {
    const { flushSet, transport, outbound } = setUp();
    put(outbound, 10, 1);
    put(outbound, 200_000, 2);
    flushSet.flushAll();
    transport.complete();
    expect(transport.stream.length).toBe(200_010);
  });

  test('a large piece goes out without a copy, a smaller one with', () => {
    const { flushSet, transport, outbound } = setUp();
    const large = Buffer.alloc(OWN_PIECE_BYTES, 7);
    put(outbound, 2, 1);
    outbound.append(large, 0, OWN_PIECE_BYTES);
    outbound.append(large, 0, OWN_PIECE_BYTES - 1);
    flushSet.flushAll();
    expect(transport.calls).toEqual([
      'cork',
      'write 2',
      `write ${OWN_PIECE_BYTES}`,
      `write ${OWN_PIECE_BYTES - 1}`,
      'uncork',
    ]);
    expect(transport.writes[1]!.buffer).toBe(large.buffer);
    expect(transport.writes[2]!.buffer).not.toBe(large.buffer);
  });

  test('is full at the high-water mark, pending and socket together', () => {
    const { flushSet, transport, outbound } = setUp();
    const body = Buffer.alloc(OUTBOUND_HIGH_WATER_BYTES - 1);
    outbound.append(body, 0, body.length);
    expect(outbound.isFull).toBe(false);
    flushSet.flushAll();
    expect(outbound.isFull).toBe(false);
    put(outbound, 1, 0);
    expect(outbound.isFull).toBe(true);
    expect(outbound.bufferedBytes).toBe(OUTBOUND_HIGH_WATER_BYTES);
    transport.complete();
    expect(outbound.isFull).toBe(false);
  });

  test('drops everything after close, without failing', () => {
    const { flushSet, transport, outbound } = setUp();
    put(outbound, 5, 1);
    outbound.close();
    put(outbound, 5, 1);
    outbound.append(Buffer.alloc(OWN_PIECE_BYTES), 0, OWN_PIECE_BYTES);
    flushSet.flushAll();
    expect(transport.calls).toEqual([]);
    expect(outbound.bufferedBytes).toBe(0);
    expect(outbound.slab.length).toBe(0);
  });

  test('keeps every byte in order whatever the mix of sizes', () => {
    const size = fc.oneof(
      fc.integer({ min: 0, max: 100 }),
      fc.integer({ min: 1_000, max: 70_000 }),
    );
    const step = fc.record({ size, kind: fc.constantFrom('reserve', 'append', 'flush', 'done') });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { flushSet, transport, outbound } = setUp();
        const expected: Buffer[] = [];
        const received: Buffer[] = [];
        let value = 0;
        for (const { size: byteCount, kind } of steps) {
          value = (value + 1) & 0xff;
          if (kind === 'flush') flushSet.flushAll();
          else if (kind === 'done') {
            received.push(...transport.writes.splice(0).map((bytes) => Buffer.from(bytes)));
            transport.complete();
          } else {
            const bytes = Buffer.alloc(byteCount, value);
            expected.push(bytes);
            if (kind === 'append') outbound.append(bytes, 0, byteCount);
            else put(outbound, byteCount, value);
          }
        }
        flushSet.flushAll();
        received.push(...transport.writes);
        expect(Buffer.concat(received).equals(Buffer.concat(expected))).toBe(true);
      }),
      { numRuns: 200 },
    );
  });
});

test('a flush set flushes members added while it flushes', () => {
  const flushSet = new FlushSet(() => undefined);
  const second = new Outbound(new FakeTransport(), flushSet);
  const transport = new FakeTransport();
  const first = new Outbound(transport, flushSet);
  transport.write = () => {
    put(second, 1, 1);
    return true;
  };
  put(first, 1, 1);
  flushSet.flushAll();
  expect(second.bufferedBytes).toBe(1);
  expect(second.slab.length).toBe(0);
});
