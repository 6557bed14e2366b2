import { describe, expect, it } from 'vitest';
import {
  carriedId,
  DELAYED_KIND,
  placeId,
  placeOf,
  READY_KIND,
  topicMessageId,
} from '../../../src/engine/queue/message-id.ts';

const QUEUE = 3 * 2 ** 32 + 7 * 512;

describe('message ids', () => {
  it('tell the place they were made of, for that queue only', () => {
    for (const [kind, level, sequence] of [
      [READY_KIND, 0, 1],
      [READY_KIND, 255, 2 ** 32 - 1],
      [DELAYED_KIND, 0, 12_345],
    ] as const) {
      const id = placeId(QUEUE, kind, level, sequence);
      expect(id).toMatch(/^\d{1,20}$/);
      expect(BigInt(id)).toBeLessThan(2n ** 64n);
      expect(placeOf(QUEUE, id)).toEqual({ kind, level, sequence });
      expect(placeOf(QUEUE + 512, id)).toBeUndefined();
    }
  });

  it('differ between queues, kinds, levels and sequences', () => {
    const ids = [
      placeId(QUEUE, READY_KIND, 0, 1),
      placeId(QUEUE, READY_KIND, 0, 2),
      placeId(QUEUE, READY_KIND, 1, 1),
      placeId(QUEUE, DELAYED_KIND, 0, 1),
      placeId(QUEUE + 512, READY_KIND, 0, 1),
      placeId(QUEUE + 2 ** 32, READY_KIND, 0, 1),
      topicMessageId(3, 1),
    ];
    expect(new Set(ids).size).toBe(ids.length);
  });

  it.each(['', 'abc', '-1', '1e3', '1'.repeat(21), ' 1'])('are not made of %j', (text) => {
    expect(placeOf(QUEUE, text)).toBeUndefined();
    expect(carriedId(new Map([['x-msg-id', text]]))).toBeUndefined();
  });

  it('are taken from the header in their form', () => {
    expect(carriedId(new Map([['x-msg-id', '42']]))).toBe('42');
    expect(carriedId(new Map([['x-msg-id', 42]]))).toBeUndefined();
    expect(carriedId(undefined)).toBeUndefined();
  });
});
