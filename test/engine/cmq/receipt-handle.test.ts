import { expect, test } from 'vitest';
import { handleText, parseHandle } from '../../../src/engine/cmq/receipt-handle.ts';

const QUEUE = 3 * 2 ** 32 + 512;

test('a handle is what the strictest SDK lets through, and comes back', () => {
  for (const handle of [
    { level: 0, sequence: 1, receiveCount: 1, epoch: 1 },
    { level: 0, sequence: 1, receiveCount: 1, epoch: -1 },
    { level: 255, sequence: 2 ** 43, receiveCount: 1_000_000, epoch: 1_023 },
  ]) {
    const text = handleText(QUEUE, handle);
    expect(text).toMatch(/^[A-Za-z0-9%#:_-]{1,64}$/);
    expect(parseHandle(QUEUE, text)).toEqual(handle);
    expect(parseHandle(QUEUE + 512, text)).toBe('foreign');
  }
});

test.each([
  '',
  'x',
  '1-2-3',
  '1-2-3-4-5-6',
  '1-2-3-4-',
  'A-0-1-1',
  '1-0-1-1 ',
  '1--1-1',
  '1-0-1-1\n',
])('%j is no handle', (text) => {
  expect(parseHandle(QUEUE, text)).toBeUndefined();
});
