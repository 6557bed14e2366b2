import { expect, test } from 'vitest';
import { ARENA_MESSAGE_BYTES_MAX, ARENA_SLAB_BYTES, MessageArena } from '../../src/base/arena.ts';
import { AssertionFailure } from '../../src/base/assert.ts';

test('ranges of one slab follow each other, and a full slab is left behind', () => {
  const arena = new MessageArena();
  expect(arena.reserve(10)).toBe(0);
  const slab = arena.slab;
  expect(slab.length).toBe(ARENA_SLAB_BYTES);
  expect(arena.reserve(20)).toBe(10);
  expect(arena.reserve(ARENA_MESSAGE_BYTES_MAX)).toBe(30);
  arena.reserve(ARENA_MESSAGE_BYTES_MAX);
  arena.reserve(ARENA_MESSAGE_BYTES_MAX);
  expect(arena.slab).toBe(slab);
  expect(arena.reserve(ARENA_MESSAGE_BYTES_MAX)).toBe(0);
  expect(arena.slab).not.toBe(slab);
});

test('a slab is its own memory', () => {
  const arena = new MessageArena();
  arena.reserve(1);
  expect(arena.slab.buffer.byteLength).toBe(ARENA_SLAB_BYTES);
});

test('large messages have no place here', () => {
  expect(() => new MessageArena().reserve(ARENA_MESSAGE_BYTES_MAX + 1)).toThrow(AssertionFailure);
});
