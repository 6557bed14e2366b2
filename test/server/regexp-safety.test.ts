import { expect, test } from 'vitest';
import { limitRegexpBacktracking } from '../../src/server/regexp-safety.ts';

test('a catastrophic pattern ends quickly', () => {
  limitRegexpBacktracking();
  const startMs = performance.now();
  expect(/^(a+)+$/.test(`${'a'.repeat(28)}!`)).toBe(false);
  expect(performance.now() - startMs).toBeLessThan(1_000);
});
