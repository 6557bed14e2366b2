import { expect, test } from 'vitest';
import { isLoopbackAddress } from '../../src/net/loopback.ts';

test.each([
  ['127.0.0.1', true],
  ['127.255.3.4', true],
  ['::1', true],
  ['::ffff:127.0.0.1', true],
  ['::FFFF:127.0.0.1', true],
  ['128.0.0.1', false],
  ['10.127.0.1', false],
  ['::ffff:10.0.0.1', false],
  ['fe80::1', false],
  ['::2', false],
  ['127.evil.example', false],
  ['', false],
])('%s is loopback: %s', (address, expected) => {
  expect(isLoopbackAddress(address)).toBe(expected);
});
