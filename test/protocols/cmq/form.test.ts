import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Form, parseForm, parseFormBytes } from '../../../protocols/cmq/form.ts';
import { liveHeapBytes } from '../../support/live-heap.ts';

function pairs(form: Form | undefined): [string, string][] | undefined {
  return form?.names.map((name, index) => [name, form.values[index]!]);
}

/** The names and values of what is said to lie in the form's bytes as it reads. */
function placed(form: Form): string[] {
  return form.starts.flatMap((start, index) =>
    start < 0 ? [] : [form.bytes!.toString('latin1', start, form.ends[index])],
  );
}

describe('parseFormBytes', () => {
  test('knows where pairs lie that are written as they read', () => {
    const form = parseFormBytes(Buffer.from('&a=1&b=%32&c=x+y&d&=&e=f=g&%67=1&h='))!;
    expect(pairs(form)).toEqual([
      ['a', '1'],
      ['b', '2'],
      ['c', 'x y'],
      ['d', ''],
      ['', ''],
      ['e', 'f=g'],
      ['g', '1'],
      ['h', ''],
    ]);
    expect(placed(form)).toEqual(['a=1', '=', 'e=f=g', 'h=']);
    expect(form.isAscii).toBe(true);
  });

  test('of a large text its short parts are the same', () => {
    const long = 'm'.repeat(5_000);
    const middle = 'x'.repeat(256);
    const text = `a=1&long=${long}&queueName-of-some-length=${middle}&b=${middle}y&c&=d&e=%31`;
    const form = parseFormBytes(Buffer.from(text));
    expect(pairs(form)).toEqual(pairs(parseForm(text)));
    expect(form?.get('queueName-of-some-length')).toBe(middle);
    expect(placed(form!)).toHaveLength(5);
  });

  test.each(['a=é', 'a=1&b=%C3%A9', '%C3%A9=1'])('%s is not all ASCII', (text) => {
    expect(parseFormBytes(Buffer.from(text))!.isAscii).toBe(false);
    expect(parseForm(text)!.isAscii).toBe(false);
  });

  test.each([
    ['in UTF-8', Buffer.from(`&junk=${'é'.repeat(250_000)}`)],
    ['with escapes', Buffer.from(`+x&junk=${'%20'.repeat(10)}${'e'.repeat(500_000)}`)],
  ])('keeps nothing of a large text %s for its short parts', (_, rest) => {
    const read = (at: number) => {
      const head = Buffer.from(`a=1&queueName=a-queue-of-mine-${at}`);
      return parseFormBytes(Buffer.concat([head, rest]))!.get('queueName')!;
    };
    read(0);
    const before = liveHeapBytes();
    const names = Array.from({ length: 50 }, (_value, at) => read(at));
    expect(liveHeapBytes() - before).toBeLessThan(2_000_000);
    expect(names[49]).toContain('a-queue-of-mine-49');
  });

  test('bytes that are no UTF-8 are no form', () => {
    expect(parseFormBytes(Buffer.from([0x61, 0x3d, 0xff]))).toBeUndefined();
  });

  test('reads what parseForm reads', () => {
    const piece = fc.constantFrom('&', '=', '+', '%', '%2', '%41', '%ff', '%C3%A9', 'a', 'b', '你');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), (parts) => {
        const text = parts.join('');
        const form = parseFormBytes(Buffer.from(text));
        expect(pairs(form)).toEqual(pairs(parseForm(text)));
        expect(form?.repeated).toBe(parseForm(text)?.repeated);
        if (form?.bytes === undefined) return;
        expect(form.starts).toHaveLength(form.names.length);
        const whole = form.names.map((name, index) => `${name}=${form.values[index]!}`);
        for (const pair of placed(form)) expect(whole).toContain(pair);
        const isAscii = whole.every((pair) => pair.length === Buffer.byteLength(pair));
        expect(form.isAscii).toBe(isAscii);
      }),
    );
  });
});

describe('parseForm', () => {
  test.each<[string, [string, string][]]>([
    ['', []],
    ['a=1', [['a', '1']]],
    [
      'a=1&b=2',
      [
        ['a', '1'],
        ['b', '2'],
      ],
    ],
    ['a', [['a', '']]],
    ['a=', [['a', '']]],
    ['=x', [['', 'x']]],
    ['&&a=1&', [['a', '1']]],
    ['a=b=c', [['a', 'b=c']]],
    ['a=1+2%2B3', [['a', '1 2+3']]],
    ['%61%3D=%26', [['a=', '&']]],
    ['a=%E4%BD%A0%F0%9F%98%80', [['a', '你😀']]],
    ['a=你', [['a', '你']]],
    [
      'msgTag.0=a&msgTag.1=b',
      [
        ['msgTag.0', 'a'],
        ['msgTag.1', 'b'],
      ],
    ],
  ])('reads %j', (text, expected) => {
    expect(pairs(parseForm(text))).toEqual(expected);
  });

  test.each(['a=%', 'a=%4', 'a=%zz', '%E4=1', 'a=%C0%80', 'a=%ED%A0%80'])('refuses %s', (text) => {
    expect(parseForm(text)).toBeUndefined();
  });

  test('notes the first name that comes twice; the last value counts', () => {
    const form = parseForm('a=1&b=2&a=3&b=4')!;
    expect(form.repeated).toBe('a');
    expect(form.get('a')).toBe('3');
    expect(parseForm('a=1&b=2')!.repeated).toBeUndefined();
  });

  test('takes a thousand pairs and no more', () => {
    const text = (count: number) => Array.from({ length: count }, (_, n) => `n${n}=1`).join('&');
    expect(parseForm(text(1_000))?.names).toHaveLength(1_000);
    expect(parseForm(text(1_001))).toBeUndefined();
  });

  test('agrees with the platform on whatever it writes', () => {
    const texts = fc.tuple(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }));
    fc.assert(
      fc.property(fc.array(texts, { maxLength: 8 }), (given) => {
        const search = new URLSearchParams(given);
        expect(pairs(parseForm(search.toString()))).toEqual([...search]);
      }),
    );
  });

  test('never throws', () => {
    const piece = fc.constantFrom('&', '=', '+', '%', '%2', '%41', '%ff', 'a', '你');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), (parts) => {
        parseForm(parts.join(''));
      }),
    );
  });
});
