import fc from 'fast-check';
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

const PATTERN =
  /^([0-9a-z]{1,11})-([0-9a-z]{1,2})-([0-9a-z]{1,10})-([0-9a-z]{1,10})(?:-([0-9a-z]{1,2}))?$/;

test('every text is read as its form says', () => {
  const part = fc.string({
    unit: fc.constantFrom('0', '1', '9', 'a', 'z', 'A', '{', '/', ' '),
    maxLength: 3,
  });
  const number = fc.oneof(fc.nat(), fc.nat(40), fc.maxSafeNat()).map((value) => value.toString(36));
  const parts = fc.array(
    fc.oneof({ weight: 1, arbitrary: part }, { weight: 9, arbitrary: number }),
    {
      maxLength: 6,
    },
  );
  fc.assert(
    fc.property(parts, (texts) => {
      const text = texts.join('-');
      const match = PATTERN.exec(text);
      const queueId = parseInt(texts[0] ?? '', 36);
      const lease = match?.slice(2).map((digits?: string) => parseInt(digits ?? '-1', 36));
      const expected = lease && {
        level: lease[0],
        sequence: lease[1],
        receiveCount: lease[2],
        epoch: lease[3],
      };
      expect(parseHandle(queueId, text)).toEqual(expected);
    }),
    { numRuns: 2_000 },
  );
});

test('numbers are in base 36', () => {
  const numbers = fc.tuple(fc.maxSafeNat(), fc.nat(255), fc.maxSafeNat(), fc.nat(), fc.nat(1_023));
  fc.assert(
    fc.property(numbers, ([queueId, level, sequence, receiveCount, epoch]) => {
      const text = handleText(queueId, { level, sequence, receiveCount, epoch });
      const parts = [queueId, level, sequence, receiveCount, epoch];
      expect(text).toBe(parts.map((value) => value.toString(36)).join('-'));
    }),
  );
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
