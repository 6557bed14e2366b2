import { beforeEach, describe, expect, test } from 'vitest';
import { CARRY_BYTES_KEPT, CarryBuffer } from '../../src/net/carry-buffer.ts';

const UNIT = Buffer.from(Array.from({ length: 4_096 }, (_, index) => index % 251));

let carry: CarryBuffer;

beforeEach(() => {
  carry = new CarryBuffer();
});

function kept(): Buffer {
  return carry.bytes.subarray(0, carry.length);
}

describe('the carry buffer', () => {
  test('collects what arrives, whatever the pieces', () => {
    for (let pos = 0; pos < UNIT.length; ) {
      const next = Math.min(UNIT.length, pos + 1 + (pos % 97));
      carry.append(UNIT, pos, next, UNIT.length);
      pos = next;
    }
    expect(kept()).toEqual(UNIT);
  });

  test('grows with what came, fourfold ahead at most, and never beyond the whole', () => {
    carry.append(UNIT, 0, 1, 1_000_000_000);
    expect(carry.bytes.length).toBe(CARRY_BYTES_KEPT);
    carry.append(UNIT, 1, 300, 1_000_000_000);
    expect(carry.bytes.length).toBe(1_200);
    carry.append(UNIT, 300, 1_201, 1_500);
    expect(carry.bytes.length).toBe(1_500);
    expect(kept()).toEqual(UNIT.subarray(0, 1_201));
  });

  test('fills up to what is wanted, or to the end of the chunk', () => {
    expect(carry.fill(UNIT, 10, 14, 7)).toBe(14);
    expect(carry.fill(UNIT, 14, 100, 7)).toBe(17);
    expect(carry.fill(UNIT, 17, 100, 7)).toBe(17);
    expect(kept()).toEqual(UNIT.subarray(10, 17));
  });

  test('uses a small buffer again, and gives a large one away', () => {
    carry.append(UNIT, 0, 10, 10);
    const small = carry.take();
    carry.append(UNIT, 10, 20, 10);
    expect(carry.bytes).toBe(small);
    carry.append(UNIT, 20, 1_000, 1_000);
    const large = carry.take();
    expect(carry.length).toBe(0);
    carry.append(UNIT, 0, 1_000, 1_000);
    expect(carry.bytes).not.toBe(large);
    expect(large.subarray(0, 990)).toEqual(UNIT.subarray(10, 1_000));
  });

  test('forgets what was used, and the memory when little is left', () => {
    carry.append(UNIT, 0, 1_000, 1_000);
    carry.discard(100);
    expect(kept()).toEqual(UNIT.subarray(100, 1_000));
    expect(carry.bytes.length).toBe(1_000);
    carry.discard(890);
    expect(kept()).toEqual(UNIT.subarray(990, 1_000));
    expect(carry.bytes.length).toBeLessThanOrEqual(CARRY_BYTES_KEPT);
    carry.discard(10);
    expect(carry.length).toBe(0);
  });

  test('dropped, it holds nothing', () => {
    carry.append(UNIT, 0, 10, 10);
    carry.drop();
    expect([carry.length, carry.bytes.length]).toEqual([0, 0]);
  });
});
