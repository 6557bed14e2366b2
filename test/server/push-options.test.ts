import { describe, expect, test } from 'vitest';
import { OptionValueError } from '../../src/server/option-types.ts';
import { ALLOWED_TARGET, PUSH_OPTIONS } from '../../src/server/push-options.ts';

describe('push-allow', () => {
  test.each([
    ['10.0.0.0/8', { address: '10.0.0.0', prefixBits: 8 }, '10.0.0.0/8'],
    ['127.0.0.1', { address: '127.0.0.1', prefixBits: 32 }, '127.0.0.1/32'],
    ['fd00::/8', { address: 'fd00::', prefixBits: 8 }, 'fd00::/8'],
    ['Hooks.Internal.', { name: 'hooks.internal' }, 'hooks.internal'],
    ['localhost', { name: 'localhost' }, 'localhost'],
    ['my_service', { name: 'my_service' }, 'my_service'],
    ['1password.example', { name: '1password.example' }, '1password.example'],
  ])('%s', (text, value, formatted) => {
    expect(ALLOWED_TARGET.parse(text)).toEqual(value);
    expect(ALLOWED_TARGET.format(value)).toBe(formatted);
    expect(ALLOWED_TARGET.parse(formatted)).toEqual(value);
  });

  test.each([
    '',
    '10.0.0',
    '10.0.0.256',
    '10.0.0.0/33',
    'http://a.example',
    'a.example/8',
    '*',
    '-a',
  ])('%j is neither a block nor a name', (text) => {
    expect(() => ALLOWED_TARGET.parse(text)).toThrow(OptionValueError);
  });

  test('is empty by default', () => {
    const { type, default: text } = PUSH_OPTIONS['push-allow'];
    expect(type.parse(text)).toEqual([]);
    expect(PUSH_OPTIONS['push-ports'].type.parse('none')).toEqual([]);
  });
});
