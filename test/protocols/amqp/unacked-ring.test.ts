import { describe, expect, test } from 'vitest';
import { SLOT_IN_TX, SLOT_OUTSTANDING, UnackedRing } from '../../../protocols/amqp/unacked-ring.ts';
import { Entry, Message } from '../../../src/engine/message.ts';
import type { Queue } from '../../../src/engine/queue/queue.ts';

const message = new Message('', 'q', 0, Buffer.alloc(0), 0, 0, 0, false, -1, -1, 0);
const queue = { name: 'q' } as unknown as Queue;

function ringOf(tags: readonly number[]): UnackedRing {
  const ring = new UnackedRing();
  for (const tag of tags)
    ring.push(tag, new Entry(message, tag, Infinity), queue, undefined, Infinity);
  return ring;
}

function liveTags(ring: UnackedRing): number[] {
  const tags: number[] = [];
  for (let index = 0; index < ring.length; index += 1) {
    if (ring.stateAt(index) !== 0) tags.push(ring.tagAt(index));
  }
  return tags;
}

describe('UnackedRing', () => {
  test('finds what was delivered and nothing else', () => {
    const ring = ringOf([1, 2, 3]);
    expect(ring.find(2, SLOT_OUTSTANDING)).toBe(1);
    expect(ring.find(0, SLOT_OUTSTANDING)).toBe(-1);
    expect(ring.find(4, SLOT_OUTSTANDING)).toBe(-1);
  });

  test('finds tags behind gaps that no-ack deliveries left', () => {
    const ring = ringOf([5, 9, 10, 40]);
    expect([5, 9, 10, 40].map((tag) => ring.find(tag, SLOT_OUTSTANDING))).toEqual([0, 1, 2, 3]);
    expect([4, 6, 11, 39, 41].map((tag) => ring.find(tag, SLOT_OUTSTANDING))).toEqual([
      -1, -1, -1, -1, -1,
    ]);
  });

  test('a removed tag is unknown, and the head moves over holes', () => {
    const ring = ringOf([1, 2, 3, 4]);
    ring.remove(ring.find(2, SLOT_OUTSTANDING));
    ring.remove(ring.find(1, SLOT_OUTSTANDING));
    expect(ring.length).toBe(2);
    expect(ring.find(1, SLOT_OUTSTANDING)).toBe(-1);
    expect(ring.find(2, SLOT_OUTSTANDING)).toBe(-1);
    expect(ring.find(3, SLOT_OUTSTANDING)).toBe(0);
  });

  test('goes on behind a tag, whatever was removed before it', () => {
    const ring = ringOf([1, 2, 5, 6]);
    expect([0, 1, 2, 3, 6].map((tag) => ring.indexAbove(tag))).toEqual([0, 1, 2, 2, 4]);
    ring.remove(0);
    expect([1, 2, 9].map((tag) => ring.indexAbove(tag))).toEqual([0, 1, 3]);
    expect(new UnackedRing().indexAbove(1)).toBe(0);
  });

  test('slots of an open transaction stay and cannot be settled again', () => {
    const ring = ringOf([1, 2, 3]);
    ring.setState(ring.find(2, SLOT_OUTSTANDING), SLOT_IN_TX);
    expect(ring.find(2, SLOT_OUTSTANDING)).toBe(-1);
    expect(liveTags(ring)).toEqual([1, 2, 3]);
  });

  test('gives back what a burst needed', () => {
    const ring = ringOf(Array.from({ length: 10_000 }, (_, index) => index + 1));
    for (let tag = 1; tag <= 10_000; tag += 1) ring.remove(ring.find(tag, SLOT_OUTSTANDING));
    expect(ring.capacity).toBeLessThanOrEqual(16);
    ring.push(10_001, new Entry(message, 1, Infinity), queue, undefined, Infinity);
    expect(liveTags(ring)).toEqual([10_001]);
  });

  test('one delivery that is never settled does not make it grow', () => {
    const ring = ringOf([1]);
    for (let tag = 2; tag < 100_000; tag += 1) {
      ring.push(tag, new Entry(message, tag, Infinity), queue, undefined, Infinity);
      ring.remove(ring.find(tag, SLOT_OUTSTANDING));
    }
    expect(ring.length).toBeLessThanOrEqual(16);
    expect(ring.find(1, SLOT_OUTSTANDING)).toBe(0);
  });

  test('notices an entry that was handed over again', () => {
    const ring = ringOf([1]);
    expect(ring.isStaleAt(0)).toBe(false);
    ring.entryAt(0).generation += 1;
    expect(ring.isStaleAt(0)).toBe(true);
  });

  test('agrees with a map under random use', () => {
    const ring = new UnackedRing();
    const model = new Map<number, Entry>();
    let tag = 0;
    let seed = 7;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fffffff;
      return seed % below;
    };
    for (let step = 0; step < 20_000; step += 1) {
      if (random(2) === 0) {
        tag += 1 + random(3);
        const entry = new Entry(message, tag, Infinity);
        ring.push(tag, entry, queue, undefined, Infinity);
        model.set(tag, entry);
      } else {
        const wanted = random(tag + 2);
        const index = ring.find(wanted, SLOT_OUTSTANDING);
        expect(index >= 0).toBe(model.has(wanted));
        if (index >= 0) {
          expect(ring.entryAt(index)).toBe(model.get(wanted));
          ring.remove(index);
          model.delete(wanted);
        }
      }
      expect(ring.liveCount).toBe(model.size);
    }
  });
});
