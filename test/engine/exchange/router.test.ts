import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BindingIndex } from '../../../src/engine/exchange/binding-index.ts';
import { DefaultExchange } from '../../../src/engine/exchange/default-exchange.ts';
import type { Destination, Exchange } from '../../../src/engine/exchange/exchange.ts';
import { route } from '../../../src/engine/exchange/router.ts';
import { bind, exchange, messageWith, queue, table } from './topology-fixture.ts';

function routeNames(
  start: Exchange,
  keys: readonly string[],
  others: readonly Exchange[] = [],
  headers: Record<string, string> = {},
): string[] {
  const byName = new Map(others.map((other) => [other.name, other]));
  const out: Destination[] = [];
  route(start, keys, messageWith(headers), (name) => byName.get(name), out);
  return out.map((destination) => destination.name).sort();
}

describe('route', () => {
  it('gives a queue one copy, whatever bindings and keys lead to it', () => {
    const x = exchange('topic');
    const [p, q] = [queue('p'), queue('q')];
    bind(x, p, 'a.*');
    bind(x, p, '#');
    bind(x, q, 'b');
    expect(routeNames(x, ['a.b'])).toEqual(['p']);
    expect(routeNames(x, ['a.b', 'b', 'b', 'c'])).toEqual(['p', 'q']);
    const many = exchange('direct');
    for (let i = 0; i < 40; i++) bind(many, queue(`q${i}`), 'k');
    expect(routeNames(many, ['k', 'k', 'l']).length).toBe(40);
  });

  it('follows exchange bindings, cycles included', () => {
    const [a, b, c] = [exchange('fanout', 'a'), exchange('topic', 'b'), exchange('direct', 'c')];
    bind(a, b);
    bind(b, c, 'k.#');
    bind(c, a, 'k.1');
    bind(c, queue('q'), 'k.1');
    bind(a, queue('r'));
    expect(routeNames(a, ['k.1'])).toEqual(['q', 'r']);
    expect(routeNames(b, ['k.1'])).toEqual(['q', 'r']);
    expect(routeNames(a, ['other'])).toEqual(['r']);
  });

  it('uses the alternate exchange when nothing matches, along a chain, each once', () => {
    const a = exchange('direct', 'a', { 'alternate-exchange': 'b' });
    const b = exchange('direct', 'b', { 'alternate-exchange': 'c' });
    const c = exchange('fanout', 'c', { 'alternate-exchange': 'a' });
    bind(a, queue('q'), 'k');
    const all = [a, b, c];
    expect(routeNames(a, ['k'], all)).toEqual(['q']);
    expect(routeNames(a, ['none'], all)).toEqual([]);
    bind(c, queue('last'));
    expect(routeNames(a, ['none'], all)).toEqual(['last']);
    expect(routeNames(a, ['none', 'k'], all)).toEqual(['q']);
    expect(routeNames(a, ['none'], [])).toEqual([]);
  });

  it('does not take a matched exchange without queues for no match', () => {
    const a = exchange('fanout', 'a', { 'alternate-exchange': 'c' });
    const [b, c] = [exchange('fanout', 'b'), exchange('fanout', 'c')];
    bind(a, b);
    bind(c, queue('alternate'));
    expect(routeNames(a, [''], [a, b, c])).toEqual([]);
  });

  it('asks exchanges inside the walk for their alternate, too', () => {
    const a = exchange('fanout', 'a');
    const b = exchange('direct', 'b', { 'alternate-exchange': 'c' });
    const c = exchange('fanout', 'c');
    bind(a, b);
    bind(c, queue('alternate'));
    expect(routeNames(a, ['k'], [a, b, c])).toEqual(['alternate']);
  });

  it('reaches queues by name when the alternate is the default exchange', () => {
    const queues = new Map([['q', queue('q')]]);
    const a = exchange('direct', 'a', { 'alternate-exchange': '' });
    const byDefault = new DefaultExchange((name) => queues.get(name));
    expect(routeNames(a, ['q'], [byDefault])).toEqual(['q']);
    expect(routeNames(a, ['r'], [byDefault])).toEqual([]);
  });

  it('lets a hash exchange choose once for several keys', () => {
    const x = exchange('x-consistent-hash');
    for (let i = 0; i < 20; i++) bind(x, queue(`q${i}`), '1');
    expect(routeNames(x, ['a', 'b', 'c', 'd', 'e', 'f'])).toEqual(routeNames(x, ['a']));
  });

  it('agrees with a plain graph search on random graphs', () => {
    const edge = fc.tuple(fc.nat(5), fc.nat(9), fc.constantFrom('k', 'l'));
    fc.assert(
      fc.property(fc.array(edge, { maxLength: 25 }), fc.nat(5), (edges, start) => {
        const xs = Array.from({ length: 6 }, (_, i) => exchange('direct', `x${i}`));
        const qs = Array.from({ length: 4 }, (_, i) => queue(`q${i}`));
        const nodes: Destination[] = [...xs, ...qs];
        for (const [from, to, key] of edges) {
          bind(xs[from] as Exchange, nodes[to] as Destination, key);
        }
        const seen = new Set([start]);
        const stack = [start];
        for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
          for (const [from, to, key] of edges) {
            if (from !== at || key !== 'k' || seen.has(to)) continue;
            seen.add(to);
            if (to < 6) stack.push(to);
          }
        }
        const expected = [...seen].filter((i) => i >= 6).map((i) => `q${i - 6}`);
        expect(routeNames(xs[start] as Exchange, ['k'])).toEqual(expected.sort());
      }),
      { numRuns: 300 },
    );
  });
});

describe('BindingIndex', () => {
  it('knows the sources of a destination and forgets with it', () => {
    const index = new BindingIndex();
    const [a, b] = [exchange('direct', 'a'), exchange('direct', 'b')];
    const [p, q] = [queue('p'), queue('q')];
    for (const key of ['1', '2']) {
      index.bind(a, q, key, table({}));
      index.bind(b, q, key, table({}));
    }
    index.bind(a, p, '1', table({}));
    expect(index.bind(a, p, '1', table({}))).toBeUndefined();
    expect([...index.bindingsTo(q)].length).toBe(4);
    index.unbind(b, q, '1', table({}));
    index.unbind(b, q, '2', table({}));
    expect(index.unbind(b, q, '2', table({}))).toBeUndefined();
    expect([...index.sourcesOf(q)]).toEqual([a]);
    expect(index.unbindDestination(q).length).toBe(2);
    expect(index.unbindDestination(q)).toEqual([]);
    expect([a.bindingCount, b.bindingCount]).toEqual([1, 0]);
    expect(index.unbindSource(a).map((binding) => binding.destination)).toEqual([p]);
    expect([...index.sourcesOf(p)]).toEqual([]);
  });
});
