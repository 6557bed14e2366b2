import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeTable,
  encodeTable,
  TableCursor,
  validateTable,
} from '../../../protocols/amqp/field-table.ts';
import { AssertionFailure } from '../../../src/base/assert.ts';
import { BrokerError } from '../../../src/base/errors.ts';
import type { FieldTable, FieldValue } from '../../../src/base/field-value.ts';
import { EMPTY_TABLE } from '../../../src/base/field-value.ts';
import { TABLE_DEPTH_MAX } from '../../../src/base/limits.ts';
import { hex } from './wire.ts';

/** The value of the one entry "k" with this tag and value. */
function decodeOne(tagAndValue: string): FieldValue | undefined {
  const content = hex(`01 6b ${tagAndValue}`);
  validateTable(content, 0, content.length);
  return decodeTable(content, 0, content.length).get('k');
}

/** Tag and value of the one entry "k", in hex. */
function encodeOne(value: FieldValue): string {
  return encodeTable(new Map([['k', value]]))
    .subarray(6)
    .toString('hex');
}

function expectMalformed(digits: string): void {
  const content = hex(digits);
  for (const run of [
    () => validateTable(content, 0, content.length),
    () => decodeTable(content, 0, content.length),
  ]) {
    try {
      run();
    } catch (error) {
      expect(error).toBeInstanceOf(BrokerError);
      expect((error as BrokerError).code).toBe('SYNTAX_ERROR');
      continue;
    }
    throw new RangeError(`accepted ${digits}`);
  }
}

describe('each type', () => {
  test.each<[string, string, FieldValue]>([
    ['S longstr', '53 00000002 6869', 'hi'],
    ['S empty', '53 00000000', ''],
    ['S not UTF-8', '53 00000002 ff6b', new Uint8Array([0xff, 0x6b])],
    ['S with NUL', '53 00000001 00', '\0'],
    ['x bytes', '78 00000002 00ff', new Uint8Array([0, 255])],
    ['I min', '49 80000000', -2_147_483_648],
    ['I max', '49 7fffffff', 2_147_483_647],
    ['i max', '69 ffffffff', 4_294_967_295],
    ['l -1', '6c ffffffffffffffff', -1],
    ['l safe', '6c 001fffffffffffff', Number.MAX_SAFE_INTEGER],
    ['l above', '6c 0020000000000000', 9_007_199_254_740_992n],
    ['l min', '6c 8000000000000000', -9_223_372_036_854_775_808n],
    ['L is signed too', '4c ffffffffffffffff', -1],
    ['s', '73 8000', -32_768],
    ['u', '75 ffff', 65_535],
    ['b', '62 80', -128],
    ['B', '42 ff', 255],
    ['t false', '74 00', false],
    ['t any octet', '74 02', true],
    ['d', '64 3ff8000000000000', { kind: 'double', value: 1.5 }],
    ['f', '66 3f000000', { kind: 'float', value: 0.5 }],
    ['D', '44 02 000003e7', { kind: 'decimal', scale: 2, value: 999 }],
    ['T', '54 000000006553f100', { kind: 'timestamp', value: 1_700_000_000 }],
    ['V', '56', null],
    ['A', '41 00000004 74 01 74 00', [true, false]],
    ['A empty', '41 00000000', []],
    ['F', '46 00000004 01 61 74 01', new Map([['a', true]])],
    ['F empty', '46 00000000', new Map()],
  ])('%s is read', (_, bytes, value) => {
    expect(decodeOne(bytes)).toEqual(value);
  });

  test.each<[string, FieldValue, string]>([
    ['text', 'hi', '53 00000002 6869'],
    ['i32', -1, '49 ffffffff'],
    ['above i32', 2 ** 31, '6c 0000000080000000'],
    ['below i32', -(2 ** 31) - 1, '6c ffffffff7fffffff'],
    ['safe integer', Number.MIN_SAFE_INTEGER, '6c ffe0000000000001'],
    ['bigint', 2n ** 63n - 1n, '6c 7fffffffffffffff'],
    ['not an integer', 0.5, '64 3fe0000000000000'],
    ['boolean', true, '74 01'],
    ['void', null, '56'],
    ['bytes', new Uint8Array([1, 2]), '78 00000002 0102'],
    ['float', { kind: 'float', value: 0.5 }, '66 3f000000'],
    ['decimal', { kind: 'decimal', scale: 2, value: 999 }, '44 02 000003e7'],
    ['timestamp', { kind: 'timestamp', value: 2 ** 33 }, '54 0000000200000000'],
    ['array', [1, [null]], '41 0000000b 49 00000001 41 00000001 56'],
  ])('%s is written', (_, value, bytes) => {
    expect(encodeOne(value)).toBe(bytes.replaceAll(' ', ''));
  });
});

test('validation turns L into l, which every client reads, at any depth', () => {
  const value = '0000010000000000';
  const content = hex(`01 61 4c ${value}  01 62 41 00000009 4c ${value}  01 4c 53 00000001 4c`);
  validateTable(content, 0, content.length);
  expect(content).toEqual(
    hex(`01 61 6c ${value}  01 62 41 00000009 6c ${value}  01 4c 53 00000001 4c`),
  );
});

describe('malformed', () => {
  test.each([
    ['a key beyond the end', '05 6162'],
    ['a key and nothing else', '01 61'],
    ['an unknown type', '01 61 7a 00'],
    ['half a number', '01 61 49 0000'],
    ['half a length', '01 61 53 0000'],
    ['a string beyond the end', '01 61 53 00000002 61'],
    ['a length of 4 GiB', '01 61 53 ffffffff 61'],
    ['an array beyond the end', '01 61 41 00000002 56'],
    ['an array with half a value', '01 61 41 00000002 49 00'],
    ['a nested table with half an entry', '01 61 46 00000002 01 61'],
    ['a nested value that reaches behind its table', '01 61 46 00000005 01 62 49 0000 0000'],
  ])('%s', (_, digits) => expectMalformed(digits));

  test('a key that is not UTF-8 is no error: it is mended', () => {
    const content = hex('01 ff 74 01');
    validateTable(content, 0, content.length);
    expect(decodeTable(content, 0, content.length)).toEqual(new Map([['\ufffd', true]]));
  });

  test('every truncation of a table with all types', () => {
    const whole = encodeTable(sample()).subarray(4);
    for (let length = 1; length < whole.length; length += 1) {
      const cut = whole.subarray(0, length);
      let isBoundary = false;
      try {
        validateTable(cut, 0, length);
        isBoundary = true;
      } catch (error) {
        expect(error).toBeInstanceOf(BrokerError);
      }
      if (isBoundary) decodeTable(cut, 0, length);
    }
  });
});

describe('depth', () => {
  function nested(depth: number, tag: 'F' | 'A'): Buffer {
    let content = Buffer.alloc(0);
    for (let i = 1; i < depth; i += 1) {
      const head = Buffer.from(i < depth - 1 && tag === 'A' ? '\x41' : `\x01k${tag}`, 'latin1');
      const length = Buffer.alloc(4);
      length.writeUInt32BE(content.length);
      content = Buffer.concat([head, length, content]);
    }
    return content;
  }

  test.each(['F', 'A'] as const)('%s: the limit passes, one more does not', (tag) => {
    const most = nested(TABLE_DEPTH_MAX, tag);
    validateTable(most, 0, most.length);
    decodeTable(most, 0, most.length);
    const more = nested(TABLE_DEPTH_MAX + 1, tag);
    expectMalformed(more.toString('hex'));
  });

  test('twenty thousand levels do not exhaust the stack', () => {
    // Array heads only; every length reaches to the end.
    const bomb = Buffer.alloc(2 + 5 * 20_000);
    bomb.write('\x01k', 'latin1');
    for (let pos = 2; pos < bomb.length; pos += 5) {
      bomb[pos] = 0x41;
      bomb.writeUInt32BE(bomb.length - pos - 5, pos + 1);
    }
    expectMalformed(bomb.toString('hex'));
  });

  test('our own encoder asserts it', () => {
    let table: FieldTable = new Map();
    for (let i = 0; i < TABLE_DEPTH_MAX; i += 1) table = new Map([['k', table]]);
    expect(() => encodeTable(table)).toThrow(AssertionFailure);
  });
});

test('of two entries with one name the first counts', () => {
  const content = hex('01 61 74 01  01 61 74 00');
  expect(decodeTable(content, 0, content.length)).toEqual(new Map([['a', true]]));
});

test('an empty table is one object', () => {
  expect(decodeTable(Buffer.alloc(0), 0, 0)).toBe(EMPTY_TABLE);
});

test('decoded values do not refer to the bytes', () => {
  const content = hex('01 61 78 00000002 0102  01 62 53 00000001 78');
  const table = decodeTable(content, 0, content.length);
  content.fill(0xee);
  expect(table).toEqual(
    new Map<string, FieldValue>([
      ['a', new Uint8Array([1, 2])],
      ['b', 'x'],
    ]),
  );
});

test('the cursor finds keys, tags and ranges without decoding', () => {
  const bytes = hex('ffff  01 61 49 00000001  02 6263 53 00000001 78  00 56  ffff');
  const cursor = new TableCursor();
  cursor.reset(bytes, 2, bytes.length - 2);
  const found: unknown[] = [];
  while (cursor.next()) {
    found.push([
      bytes.toString('latin1', cursor.keyStart, cursor.keyEnd),
      String.fromCharCode(cursor.tag),
      bytes.toString('hex', cursor.valueStart, cursor.valueEnd),
      cursor.entryStart,
    ]);
  }
  expect(found).toEqual([
    ['a', 'I', '00000001', 2],
    ['bc', 'S', '0000000178', 9],
    ['', 'V', '', 18],
  ]);
  expect(cursor.next()).toBe(false);
});

test('any table comes back as it was', () => {
  const { value } = fc.letrec<{ value: FieldValue; table: FieldTable }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.string({ unit: 'grapheme' }),
      fc.integer(),
      fc.maxSafeInteger(),
      fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n }),
      fc.boolean(),
      fc.constant(null),
      fc.double({ noNaN: true }).map((v) => ({ kind: 'double' as const, value: v })),
      fc.uint8Array(),
      fc.array(tie('value'), { maxLength: 4 }),
      tie('table'),
    ),
    table: fc
      .array(fc.tuple(fc.string({ maxLength: 20 }), tie('value')), { maxLength: 4 })
      .map((entries) => new Map(entries)),
  }));
  const tables = fc
    .dictionary(fc.string({ maxLength: 20 }), value)
    .map((record) => new Map(Object.entries(record)));
  fc.assert(
    fc.property(tables, (table) => {
      const bytes = encodeTable(table);
      expect(bytes.readUInt32BE(0)).toBe(bytes.length - 4);
      validateTable(bytes, 4, bytes.length);
      const again = encodeTable(decodeTable(bytes, 4, bytes.length));
      expect(again.equals(bytes)).toBe(true);
    }),
  );
});

function sample(): FieldTable {
  return new Map<string, FieldValue>([
    ['s', 'text'],
    ['i', 1],
    ['l', 2 ** 40],
    ['big', 2n ** 60n],
    ['t', true],
    ['v', null],
    ['x', new Uint8Array([1])],
    ['d', { kind: 'double', value: 1 }],
    ['D', { kind: 'decimal', scale: 1, value: 2 }],
    ['T', { kind: 'timestamp', value: 3 }],
    ['f', { kind: 'float', value: 4 }],
    ['A', [1, ['a']]],
    ['F', new Map([['k', 'v']])],
  ]);
}
