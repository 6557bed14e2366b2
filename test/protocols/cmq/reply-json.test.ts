import fc from 'fast-check';
import { expect, test } from 'vitest';
import { JsonWriter } from '../../../protocols/cmq/reply-json.ts';

/** What a writer makes of a string that stands among other bytes, behind `before`. */
function written(body: Buffer, before = '', writer = new JsonWriter()): string | undefined {
  const source = Buffer.concat([Buffer.from('"\\\n'), body, Buffer.from('"\\\n')]);
  writer.begin();
  writer.add(before);
  if (!writer.addString(source, 3, body.length)) return undefined;
  writer.add('!');
  const text = writer.members().json.toString();
  expect(text.startsWith(before) && text.endsWith('!')).toBe(true);
  return text.slice(before.length, -1);
}

test('agrees with JSON.stringify on every text, wherever it begins', () => {
  const writer = new JsonWriter();
  const plain = fc.string({ unit: 'grapheme-ascii', maxLength: 60 });
  const wide = fc.string({ unit: 'binary', maxLength: 60 });
  const control = fc.string({
    unit: fc.nat(0x1f).map((code) => String.fromCharCode(code)),
    maxLength: 8,
  });
  const texts = fc.oneof(plain, wide, control, fc.tuple(plain, control, wide).map(String));
  fc.assert(
    fc.property(texts, fc.nat(40), (text, offset) => {
      const body = Buffer.from(text);
      const json = written(body, ' '.repeat(offset), writer);
      expect(json).toBe(JSON.stringify(body.toString()));
    }),
    { numRuns: 1_000 },
  );
});

test('every byte below 128, at every place of a word', () => {
  const writer = new JsonWriter();
  for (let code = 0; code < 128; code += 1) {
    for (let place = 0; place < 12; place += 1) {
      const letters = Array.from({ length: 12 }, () => '!');
      letters[place] = String.fromCharCode(code);
      const text = letters.join('');
      expect(written(Buffer.from(text), '', writer)).toBe(JSON.stringify(text));
    }
  }
});

test.each([
  [[0xff]],
  [[0x61, 0x80]],
  [[0xc0, 0x80]],
  [[0xed, 0xa0, 0x80]],
  [[0xf4, 0x90, 0x80, 0x80]],
])('bytes %j are no UTF-8', (bytes) => {
  expect(written(Buffer.from(bytes))).toBeUndefined();
  const long = Buffer.concat([Buffer.alloc(40, 'a'), Buffer.from(bytes), Buffer.alloc(40, 'a')]);
  expect(written(long)).toBeUndefined();
});

test.each([65_533, 65_534, 65_535, 65_536, 131_072, 3_000_001])(
  'a text of %i letters, and a short one after it',
  (length) => {
    const writer = new JsonWriter();
    for (const text of [
      'm'.repeat(length),
      '\u0001'.repeat(length),
      '你'.repeat(length),
      'short',
    ]) {
      expect(written(Buffer.from(text), 'x', writer) === JSON.stringify(text)).toBe(true);
    }
  },
);

test('members can be had as an object', () => {
  const writer = new JsonWriter();
  writer.begin();
  writer.add('"a":[1],"b":');
  writer.addString(Buffer.from('"é\n'), 0, 4);
  expect(writer.members().toObject()).toEqual({ a: [1], b: '"é\n' });
});
