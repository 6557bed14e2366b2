import { describe, expect, test } from 'vitest';
import {
  encodeMechanisms,
  parseAmqplain,
  parseAnonymous,
  parseExternal,
  parsePlain,
} from '../../../protocols/amqp/sasl.ts';
import { encodeTable } from '../../../protocols/amqp/field-table.ts';
import { BrokerError } from '../../../src/base/errors.ts';
import { hex } from './wire.ts';

function codeOf(run: () => void): string {
  try {
    run();
  } catch (error) {
    if (error instanceof BrokerError) return error.code;
    throw error;
  }
  return 'none';
}

describe('PLAIN', () => {
  test.each([
    ['\0guest\0secret', 'guest', 'secret'],
    ['someone\0guest\0secret', 'guest', 'secret'],
    ['\0\0', '', ''],
    ['\0müller\0pässwörd', 'müller', 'pässwörd'],
  ])('%j', (text, user, password) => {
    expect(parsePlain(Buffer.from(text))).toEqual({ user, password });
  });

  test.each(['', 'guest', '\0guest', '\0a\0b\0c'])('invalid: %j', (text) => {
    expect(codeOf(() => parsePlain(Buffer.from(text)))).toBe('SYNTAX_ERROR');
  });

  test('bytes that are no text', () => {
    expect(codeOf(() => parsePlain(hex('00 ff 00 61')))).toBe('SYNTAX_ERROR');
  });

  test('the error does not repeat the password', () => {
    expect(() => parsePlain(Buffer.from('\0a\0secret\0'))).toThrow('invalid PLAIN response');
  });
});

describe('AMQPLAIN', () => {
  test('a table without its length, in any order', () => {
    const table = encodeTable(
      new Map([
        ['PASSWORD', 'secret'],
        ['x', 'y'],
        ['LOGIN', 'guest'],
      ]),
    );
    expect(parseAmqplain(table.subarray(4))).toEqual({ user: 'guest', password: 'secret' });
  });

  test('known bytes', () => {
    const response = hex('05 4c4f47494e 53 00000001 75  08 50415353574f5244 53 00000001 70');
    expect(parseAmqplain(response)).toEqual({ user: 'u', password: 'p' });
  });

  test('missing, of another type, or cut', () => {
    const missing = encodeTable(new Map([['LOGIN', 'guest']])).subarray(4);
    const odd = encodeTable(
      new Map<string, string | number>([
        ['LOGIN', 'g'],
        ['PASSWORD', 1],
      ]),
    );
    const cut = encodeTable(
      new Map([
        ['LOGIN', 'g'],
        ['PASSWORD', 'p'],
      ]),
    ).subarray(4, -1);
    for (const bytes of [missing, odd.subarray(4), cut, Buffer.alloc(0)]) {
      expect(codeOf(() => parseAmqplain(bytes))).toBe('SYNTAX_ERROR');
    }
  });
});

test('EXTERNAL', () => {
  expect(parseExternal(Buffer.alloc(0))).toBe('');
  expect(parseExternal(Buffer.from('name'))).toBe('name');
  expect(parseExternal(Buffer.from('\0*\0*'))).toBe('');
  expect(codeOf(() => parseExternal(Buffer.from('a\0b')))).toBe('SYNTAX_ERROR');
});

test('ANONYMOUS', () => {
  expect(parseAnonymous(Buffer.from('trace'))).toBe('trace');
  expect(codeOf(() => parseAnonymous(Buffer.alloc(256, 'a')))).toBe('SYNTAX_ERROR');
});

test('mechanisms are separated by blanks', () => {
  expect(encodeMechanisms(['PLAIN', 'AMQPLAIN']).toString()).toBe('PLAIN AMQPLAIN');
});
