import { expect, test } from 'vitest';
import {
  ByteWriter,
  putBytes,
  putShortText,
  putText,
  putU16,
  putU32,
  putU64,
  textByteLength,
  truncateText,
} from '../../src/base/byte-writer.ts';

test('functions put a value and return the next offset', () => {
  const buf = Buffer.alloc(24);
  let pos = putU16(buf, 0, 0xfffe);
  pos = putU32(buf, pos, 0xdeadbeef);
  pos = putU64(buf, pos, Number.MAX_SAFE_INTEGER);
  pos = putShortText(buf, pos, 'hé', 3);
  expect(pos).toBe(18);
  expect(buf.toString('hex', 0, pos)).toBe('fffedeadbeef001fffffffffffff0368c3a9');
});

test("negative integers are in two's complement", () => {
  const buf = Buffer.alloc(12);
  putU64(buf, putU32(buf, 0, -2), -1);
  expect(buf.toString('hex')).toBe('fffffffeffffffffffffffff');
  putU64(buf, 0, Number.MIN_SAFE_INTEGER);
  expect(buf.readBigInt64BE(0)).toBe(BigInt(Number.MIN_SAFE_INTEGER));
});

test('text of every length, ASCII or not', () => {
  for (const unit of ['a', 'ä', '😀']) {
    for (let count = 0; count < 70; count += 1) {
      const text = unit.repeat(count);
      const byteLength = textByteLength(text);
      expect(byteLength).toBe(Buffer.byteLength(text));
      const buf = Buffer.alloc(byteLength + 2, 0xee);
      expect(putText(buf, 1, text, byteLength)).toBe(byteLength + 1);
      expect(buf.toString('utf8', 1, byteLength + 1)).toBe(text);
      expect([buf[0], buf[byteLength + 1]]).toEqual([0xee, 0xee]);
    }
  }
});

test('bytes of every length, copied by loop or by call', () => {
  const from = Buffer.from(Array.from({ length: 200 }, (_, i) => i));
  for (let length = 0; length < 150; length += 1) {
    const buf = Buffer.alloc(length + 4, 0xee);
    expect(putBytes(buf, 2, from, 7, 7 + length)).toBe(2 + length);
    expect(buf.subarray(2, -2).equals(from.subarray(7, 7 + length))).toBe(true);
    expect([buf[0], buf[1], buf.at(-2), buf.at(-1)]).toEqual([0xee, 0xee, 0xee, 0xee]);
  }
});

test('truncation keeps whole characters', () => {
  expect(truncateText('abc', 3)).toBe('abc');
  expect(truncateText('abc', 2)).toBe('ab');
  expect(truncateText('aä', 2)).toBe('a');
  expect(truncateText('😀', 3)).toBe('');
  expect(truncateText('😀a', 4)).toBe('😀');
});

test('a writer that has to grow at every single write', () => {
  const out = new ByteWriter(0);
  const writes: [() => void, string][] = [
    [() => out.u8(1), '01'],
    [() => out.u16(0x0203), '0203'],
    [() => out.u32(0x04050607), '04050607'],
    [() => out.u64(0x08090a0b0c), '00000008090a0b0c'],
    [() => out.i64(-2n), 'fffffffffffffffe'],
    [() => out.f32(0.5), '3f000000'],
    [() => out.f64(0.5), '3fe0000000000000'],
    [() => out.bytes(Buffer.from([9, 9, 9])), '090909'],
    [() => out.bytes(Buffer.from([7, 8, 9]), 1, 2), '08'],
    [() => out.shortText('é'), '02c3a9'],
    [() => out.longText('é'), '00000002c3a9'],
  ];
  for (const [write, expected] of writes) {
    write();
    expect(out.length).toBe(expected.length / 2);
    expect(out.take().toString('hex')).toBe(expected);
  }
  for (const [write] of writes) write();
  expect(out.take().toString('hex')).toBe(writes.map(([, digits]) => digits).join(''));
});

test('a length is filled in afterwards, also when nested and grown between', () => {
  const out = new ByteWriter(1);
  const outer = out.beginLength();
  out.u8(1);
  const inner = out.beginLength();
  out.bytes(Buffer.alloc(300, 0xaa));
  out.endLength(inner);
  out.endLength(outer);
  const bytes = out.take();
  expect([bytes.readUInt32BE(0), bytes.readUInt32BE(5), bytes.length]).toEqual([305, 300, 309]);
});
