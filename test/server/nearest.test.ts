import { expect, test } from 'vitest';
import { editDistance, nearestOf } from '../../src/server/nearest.ts';

test.each([
  ['', '', 0],
  ['abc', 'abc', 0],
  ['abc', 'abd', 1],
  ['abc', 'ab', 1],
  ['ab', 'ba', 1],
  ['kitten', 'sitting', 3],
])('%s to %s takes %i', (from, to, distance) => {
  expect(editDistance(from, to)).toBe(distance);
  expect(editDistance(to, from)).toBe(distance);
});

test('suggests typing errors, not other words', () => {
  const candidates = ['amqp-port', 'amqps-port', 'heartbeat'];
  expect(nearestOf('ampq-prot', candidates)).toBe('amqp-port');
  expect(nearestOf('heartbeats', candidates)).toBe('heartbeat');
  expect(nearestOf('x', candidates)).toBeUndefined();
  expect(nearestOf('something-else', candidates)).toBeUndefined();
});
