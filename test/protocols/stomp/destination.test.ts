import { expect, test } from 'vitest';
import {
  formatDestination,
  formatReplyTo,
  parseDestination,
} from '../../../protocols/stomp/destination.ts';

test.each([
  ['/queue/a', 'queue', '', 'a'],
  ['/queue/a%2Fb', 'queue', '', 'a/b'],
  ['a', 'queue', '', 'a'],
  ['/amq/queue/a', 'amq-queue', '', 'a'],
  ['/topic/a.b', 'topic', 'amq.topic', 'a.b'],
  ['/exchange/e', 'exchange', 'e', ''],
  ['/exchange/e%2Ff/k%2Fl', 'exchange', 'e/f', 'k/l'],
  ['/temp-queue/t', 'temp-queue', '', 't'],
  ['/reply-queue/a/b', 'reply-queue', '', 'a/b'],
])('%s', (text, kind, exchange, key) => {
  expect(parseDestination(text)).toEqual({ kind, exchange, key });
});

test.each([
  ['', 'Invalid destination'],
  ['/queue', 'Invalid destination'],
  ['/queue/', 'Invalid destination'],
  ['/queue/a/b', 'Invalid destination'],
  ['/topic/a/b', 'Invalid destination'],
  ['/exchange', 'Invalid destination'],
  ['/exchange//k', 'Invalid destination'],
  ['/exchange/e/k/x', 'Invalid destination'],
  ['/amq/queue', 'Invalid destination'],
  ['/reply-queue/', 'Invalid destination'],
  ['/amq/topic/x', 'Unknown destination'],
  ['/nowhere/x', 'Unknown destination'],
  ['x/y', 'Unknown destination'],
])('%s is refused', (text, message) => {
  expect(() => parseDestination(text)).toThrow(message);
});

test('places are written as destinations that lead back', () => {
  for (const [exchange, key, text] of [
    ['', 'a/b', '/queue/a%2Fb'],
    ['amq.topic', 'a.b', '/topic/a.b'],
    ['e', '', '/exchange/e'],
    ['e/f', 'k', '/exchange/e%2Ff/k'],
  ] as const) {
    expect(formatDestination(exchange, key)).toBe(text);
    expect(parseDestination(text)).toMatchObject({ exchange, key });
  }
  expect(formatReplyTo('amq.gen-x')).toBe('/reply-queue/amq.gen-x');
  expect(formatReplyTo('/topic/x')).toBe('/topic/x');
});
