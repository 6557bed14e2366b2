import { expect, test } from 'vitest';
import {
  equalsAscii,
  isAscii,
  readI16,
  readI32,
  readI64,
  readText,
  readTextLossy,
  readU16,
  readU32,
  readU64,
} from '../../src/base/byte-reader.ts';

function bytes(digits: string): Buffer {
  return Buffer.from(digits, 'hex');
}

test('integers, at an offset', () => {
  const buf = bytes('00fffefdfcfbfaf9f8');
  expect(readU16(buf, 1)).toBe(0xfffe);
  expect(readI16(buf, 1)).toBe(-2);
  expect(readU32(buf, 1)).toBe(0xfffefdfc);
  expect(readI32(buf, 1)).toBe(-66_052);
  expect(readI64(buf, 1)).toBe(Number(buf.readBigInt64BE(1)));
});

test('64-bit integers are numbers while they are exact', () => {
  expect(readU64(bytes('001fffffffffffff'), 0)).toBe(Number.MAX_SAFE_INTEGER);
  expect(readU64(bytes('ffffffffffffffff'), 0)).toBe(2 ** 64);
  expect(readI64(bytes('ffffffffffffffff'), 0)).toBe(-1);
  expect(readI64(bytes('ffe0000000000001'), 0)).toBe(Number.MIN_SAFE_INTEGER);
  expect(readI64(bytes('ffe0000000000000'), 0)).toBe(-(2n ** 53n));
  expect(readI64(bytes('0020000000000000'), 0)).toBe(2n ** 53n);
});

test('text of every length, ASCII or not', () => {
  for (const unit of ['a', 'ä', '😀']) {
    for (let count = 0; count < 40; count += 1) {
      const text = unit.repeat(count);
      const buf = Buffer.from(`<${text}>`);
      expect(readText(buf, 1, buf.length - 1)).toBe(text);
    }
  }
});

test.each(['ff', 'c0af', 'eda080', 'f4908080', 'c3'])('%s is not UTF-8', (digits) => {
  const buf = bytes(digits);
  expect(readText(buf, 0, buf.length)).toBeUndefined();
  expect(readTextLossy(buf, 0, buf.length)).toContain('\ufffd');
});

test('ASCII', () => {
  expect(isAscii(bytes('007f80'), 0, 2)).toBe(true);
  expect(isAscii(bytes('007f80'), 0, 3)).toBe(false);
  expect(equalsAscii(Buffer.from('xLOGINx'), 1, 6, 'LOGIN')).toBe(true);
  expect(equalsAscii(Buffer.from('xLOGINx'), 1, 7, 'LOGIN')).toBe(false);
  expect(equalsAscii(Buffer.from('xLOGONx'), 1, 6, 'LOGIN')).toBe(false);
});
