import { describe, expect, it } from 'vitest';
import type { FieldValue } from '../../../src/base/field-value.ts';
import { bind, exchange, matchNames, queue, table } from './topology-fixture.ts';
import { cpuMs } from '../../support/cpu-time.ts';

describe('bindings', () => {
  it('have the identity of destination, key and arguments', () => {
    const x = exchange('direct');
    const q = queue('q');
    expect(x.bind(q, 'k', table({ a: 1 }))).toBeDefined();
    expect(x.bind(q, 'k', table({ a: 1 }))).toBeUndefined();
    expect(x.bind(q, 'k', table({ a: 1n }))).toBeUndefined();
    expect(x.bind(q, 'k', table({ a: '1' }))).toBeDefined();
    expect(x.bind(q, 'k', table({ a: { kind: 'double', value: 1 } }))).toBeDefined();
    expect(x.bind(q, 'k', table({}))).toBeDefined();
    expect(x.bind(q, 'l', table({}))).toBeDefined();
    expect(x.bindingCount).toBe(5);
    expect(x.unbind(q, 'k', table({ a: true }))).toBeUndefined();
    expect(x.unbind(q, 'k', table({ a: 1 }))?.key).toBe('k');
    expect(x.bindingCount).toBe(4);
  });

  it('compares arguments in any order, nested ones too', () => {
    const x = exchange('direct');
    const q = queue('q');
    const nested: FieldValue = table({ b: null, c: [1, 'x'] });
    expect(x.bind(q, '', table({ a: nested, z: true }))).toBeDefined();
    const reordered: FieldValue = table({ c: [1, 'x'], b: null });
    expect(x.bind(q, '', table({ z: true, a: reordered }))).toBeUndefined();
    expect(x.bind(q, '', table({ z: true, a: table({ c: ['x', 1], b: null }) }))).toBeDefined();
  });

  it('keeps keys apart that look like encoded arguments', () => {
    const x = exchange('direct');
    const q = queue('q');
    bind(x, q, '', { a: 1 });
    expect(x.bind(q, '+0:{1:ai1;}', table({}))).toBeDefined();
    expect(x.bindingCount).toBe(2);
  });

  it('goes with its destination, and only then', () => {
    const x = exchange('direct');
    const [p, q] = [queue('p'), queue('q')];
    bind(x, p, 'k');
    bind(x, q, 'k');
    bind(x, q, 'k', { a: 1 });
    bind(x, q, 'l');
    expect(x.unbindDestination(q).length).toBe(3);
    expect(x.unbindDestination(q)).toEqual([]);
    expect(matchNames(x, 'k')).toEqual(['p']);
    expect(matchNames(x, 'l')).toEqual([]);
    expect([...x.bindings()].map((binding) => binding.destination)).toEqual([p]);
  });

  it('is durable when both ends are', () => {
    const x = exchange('direct');
    const durable = { name: 'd', isExchange: false, isDurable: true };
    expect(x.bind(durable, '', table({}))?.isDurable).toBe(true);
    expect(x.bind(queue('q'), '', table({}))?.isDurable).toBe(false);
  });

  it('binds and unbinds 50,000 queues quickly, to one key and to many', () => {
    const queues = Array.from({ length: 50_000 }, (_, i) => queue(`q${i}`));
    const startedAt = cpuMs();
    const [x, many, all] = [exchange('direct'), exchange('topic'), exchange('fanout')];
    for (const q of queues) {
      bind(x, q, 'one');
      bind(many, q, `a.${q.name}.*`);
      bind(all, q);
    }
    for (const q of queues) {
      expect(x.unbindDestination(q).length).toBe(1);
      many.unbindDestination(q);
      all.unbindDestination(q);
    }
    // Takes about a second; quadratic work takes minutes.
    expect(cpuMs() - startedAt).toBeLessThan(30_000);
    expect(x.bindingCount + many.bindingCount + all.bindingCount).toBe(0);
  });
});

describe('direct, fanout and topic', () => {
  it('gives each destination once', () => {
    for (const type of ['direct', 'fanout', 'topic']) {
      const x = exchange(type);
      const q = queue('q');
      bind(x, q, 'k');
      bind(x, q, 'k', { a: 1 });
      if (type !== 'direct') bind(x, q, '#');
      expect(matchNames(x, 'k')).toEqual(['q']);
      x.unbind(q, 'k', table({}));
      expect(matchNames(x, 'k')).toEqual(['q']);
    }
  });

  it('direct compares the whole key', () => {
    const x = exchange('direct');
    bind(x, queue('q'), 'a');
    bind(x, queue('r'), '');
    expect(matchNames(x, 'a')).toEqual(['q']);
    expect(matchNames(x, '')).toEqual(['r']);
    expect(matchNames(x, 'a.b')).toEqual([]);
  });

  it('topic forgets remembered results when bindings change', () => {
    const x = exchange('topic');
    const q = queue('q');
    expect(matchNames(x, 'a.b')).toEqual([]);
    bind(x, q, 'a.*');
    expect(matchNames(x, 'a.b')).toEqual(['q']);
    bind(x, queue('r'), '#');
    expect(matchNames(x, 'a.b')).toEqual(['q', 'r']);
    x.unbindDestination(q);
    expect(matchNames(x, 'a.b')).toEqual(['r']);
  });

  it('topic stays right when more keys are seen than it remembers', () => {
    const x = exchange('topic');
    for (let i = 0; i < 10; i++) bind(x, queue(`q${i}`), `*.${i}`);
    for (let i = 0; i < 30_000; i++)
      expect(matchNames(x, `k${i}.${i % 10}`)).toEqual([`q${i % 10}`]);
  });
});
