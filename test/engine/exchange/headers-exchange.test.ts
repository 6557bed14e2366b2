import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FieldValue } from '../../../src/base/field-value.ts';
import { bind, errorText, exchange, matchNames, messageWith, queue } from './topology-fixture.ts';

type Table = Record<string, FieldValue>;

/** RabbitMQ 4.3's rule, written for clearness. */
function isMatch(args: Table, headers: Table): boolean {
  const mode = args['x-match'] ?? 'all';
  const conditions = Object.entries(args).filter(
    ([name]) => name !== 'x-match' && (String(mode).endsWith('-with-x') || !name.startsWith('x-')),
  );
  const holds = ([name, value]: [string, FieldValue]): boolean =>
    name in headers && (value === null || Object.is(value, headers[name]));
  return String(mode).startsWith('any') ? conditions.some(holds) : conditions.every(holds);
}

describe('headers exchange', () => {
  const value = fc.constantFrom<FieldValue>('1', 1, 2, true, false, null, 'a');
  const header = fc.constantFrom<FieldValue>('1', 1, 2, true, false, 'a');
  const names = fc.constantFrom('a', 'b', 'x-c', 'd');
  const args = fc.tuple(
    fc.dictionary(names, value, { maxKeys: 4 }),
    fc.option(fc.constantFrom('all', 'any', 'all-with-x', 'any-with-x'), { nil: undefined }),
  );

  it('agrees with the rule on any bindings and headers', () => {
    fc.assert(
      fc.property(
        fc.array(args, { maxLength: 8 }),
        fc.dictionary(names, header, { maxKeys: 4 }),
        fc.nat(7),
        (bindings, headers, removed) => {
          const x = exchange('headers');
          const tables = bindings.map(
            ([pairs, mode]): Table =>
              mode === undefined ? { ...pairs } : { ...pairs, 'x-match': mode },
          );
          const queues = tables.map((_, i) => queue(`q${i}`));
          tables.forEach((pairs, i) => bind(x, queues[i] ?? queue('?'), '', pairs));
          const gone = queues[removed];
          if (gone !== undefined) x.unbindDestination(gone);
          const expected = queues
            .filter((q, i) => q !== gone && isMatch(tables[i] ?? {}, headers))
            .map((q) => q.name);
          expect(matchNames(x, 'ignored', messageWith(headers))).toEqual(expected.sort());
        },
      ),
      { numRuns: 500 },
    );
  });

  it('does not widen kinds', () => {
    const x = exchange('headers');
    bind(x, queue('int'), '', { n: 10 });
    bind(x, queue('real'), '', { n: { kind: 'double', value: 10 } });
    bind(x, queue('text'), '', { n: '10' });
    expect(matchNames(x, '', messageWith({ n: 10 }))).toEqual(['int']);
    expect(matchNames(x, '', messageWith({ n: 10n }))).toEqual(['int']);
    expect(matchNames(x, '', messageWith({ n: { kind: 'float', value: 10 } }))).toEqual(['real']);
    expect(matchNames(x, '', messageWith({ n: '10' }))).toEqual(['text']);
  });

  it('takes a message without headers', () => {
    const x = exchange('headers');
    bind(x, queue('all'));
    bind(x, queue('any'), '', { 'x-match': 'any' });
    bind(x, queue('a'), '', { a: null });
    expect(matchNames(x, '')).toEqual(['all']);
    expect(matchNames(x, '', { headers: () => undefined, properties: () => ({}) })).toEqual([
      'all',
    ]);
  });

  it('gives a queue of several matching bindings once', () => {
    const x = exchange('headers');
    const q = queue('q');
    bind(x, q, '', { a: 1 });
    bind(x, q, '', { b: 1, 'x-match': 'any' });
    bind(x, q, 'other key', { a: 1 });
    expect(matchNames(x, '', messageWith({ a: 1, b: 1 }))).toEqual(['q']);
    x.unbind(q, '', new Map([['a', 1]]));
    expect(matchNames(x, '', messageWith({ a: 1 }))).toEqual(['q']);
  });

  it('refuses a bad x-match with the texts of RabbitMQ 4.3', () => {
    const x = exchange('headers');
    const expected = 'expected all, any, all-with-x, or any-with-x';
    expect(errorText(() => bind(x, queue('q'), '', { 'x-match': 'bogus' }))).toBe(
      `Invalid x-match field value <<"bogus">>; ${expected}`,
    );
    expect(errorText(() => bind(x, queue('q'), '', { 'x-match': true }))).toBe(
      'Invalid x-match field type bool (value true); expected longstr',
    );
    expect(x.bindingCount).toBe(0);
  });
});
