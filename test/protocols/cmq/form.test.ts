import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Form, parseForm } from '../../../protocols/cmq/form.ts';

function pairs(form: Form | undefined): [string, string][] | undefined {
  return form?.names.map((name, index) => [name, form.values[index]!]);
}

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
