import { describe, expect, it } from 'vitest';
import type { Exchange } from '../../../src/engine/exchange/exchange.ts';
import { bind, errorText, exchange, matchNames, messageWith, queue } from './topology-fixture.ts';

const KEYS = Array.from({ length: 20_000 }, (_, i) => `order-${i}`);

function placements(x: Exchange): string[] {
  return KEYS.map((key) => matchNames(x, key)[0] ?? '');
}

function share(names: readonly string[], name: string): number {
  return names.filter((other) => other === name).length / names.length;
}

describe('x-consistent-hash', () => {
  it('gives shares by weight, for small weights too', () => {
    const x = exchange('x-consistent-hash');
    bind(x, queue('a'), '1');
    bind(x, queue('b'), '1');
    bind(x, queue('c'), '2');
    const names = placements(x);
    expect(share(names, 'a')).toBeCloseTo(0.25, 1);
    expect(share(names, 'b')).toBeCloseTo(0.25, 1);
    expect(share(names, 'c')).toBeCloseTo(0.5, 1);
  });

  it('moves only the keys of the destination that comes or goes', () => {
    const x = exchange('x-consistent-hash');
    const queues = ['a', 'b', 'c', 'd'].map(queue);
    for (const q of queues.slice(0, 3)) bind(x, q, '10');
    const before = placements(x);
    const d = queues[3] ?? queue('d');
    bind(x, d, '10');
    const after = placements(x);
    after.forEach((name, i) => expect(name === 'd' || name === before[i]).toBe(true));
    expect(share(after, 'd')).toBeCloseTo(0.25, 1);
    x.unbindDestination(d);
    expect(placements(x)).toEqual(before);
  });

  it('does not depend on the order of binding', () => {
    const [x, y] = [exchange('x-consistent-hash'), exchange('x-consistent-hash')];
    for (const name of ['a', 'b', 'c']) bind(x, queue(name), '3');
    for (const name of ['c', 'a', 'b']) bind(y, queue(name), '3');
    expect(placements(x)).toEqual(placements(y));
  });

  it('hashes a header or a property instead of the key', () => {
    const byHeader = exchange('x-consistent-hash', 'x', { 'hash-header': 'user' });
    const byProperty = exchange('x-consistent-hash', 'x', { 'hash-property': 'message_id' });
    for (const x of [byHeader, byProperty]) {
      for (let i = 0; i < 8; i++) bind(x, queue(`q${i}`), '1');
      expect(x.needsMessage).toBe(true);
    }
    const hit = new Set<string>();
    for (let i = 0; i < 100; i++) {
      const first = matchNames(byHeader, `k${i}`, messageWith({ user: 'u1' }));
      expect(first).toEqual(matchNames(byHeader, 'other', messageWith({ user: 'u1' })));
      const second = matchNames(byProperty, 'k', messageWith({}, { messageId: `m${i}` }));
      hit.add(second[0] ?? '');
    }
    expect(hit.size).toBe(8);
    expect(matchNames(byHeader, 'k').length).toBe(1);
    expect(matchNames(byProperty, 'k').length).toBe(1);
  });

  it('refuses weights that are none', () => {
    const x = exchange('x-consistent-hash');
    const text = (key: string): string => errorText(() => bind(x, queue('q'), key));
    expect(text('heavy')).toBe('The binding key must be an integer: <<"heavy">>');
    expect(text('')).toBe('The binding key must be an integer: <<>>');
    expect(text('0')).toBe('The binding key must be greater than 0');
    expect(text('-3')).toBe('The binding key must be greater than 0');
    expect(text('10001')).toBe('The binding key must not exceed 10000');
    expect(text('10000')).toBe('no error');
  });

  it('adds the weights of several bindings of one queue', () => {
    const x = exchange('x-consistent-hash');
    const [a, b] = [queue('a'), queue('b')];
    bind(x, a, '1');
    bind(x, a, '2');
    bind(x, b, '1');
    expect(share(placements(x), 'a')).toBeCloseTo(0.75, 1);
    x.unbind(a, '2', new Map());
    expect(share(placements(x), 'a')).toBeCloseTo(0.5, 1);
    x.unbind(a, '1', new Map());
    expect(share(placements(x), 'b')).toBe(1);
  });
});

describe('x-modulus-hash', () => {
  it('spreads evenly and does not depend on the order of binding', () => {
    const [x, y] = [exchange('x-modulus-hash'), exchange('x-modulus-hash')];
    for (const name of ['a', 'b', 'c', 'd']) bind(x, queue(name), 'any');
    for (const name of ['d', 'b', 'a', 'c']) bind(y, queue(name), '');
    const names = placements(x);
    expect(names).toEqual(placements(y));
    for (const name of ['a', 'b', 'c', 'd']) expect(share(names, name)).toBeCloseTo(0.25, 1);
    expect(matchNames(exchange('x-modulus-hash'), 'k')).toEqual([]);
  });
});

describe('x-random and x-local-random', () => {
  it('picks one destination, each about as often', () => {
    for (const type of ['x-random', 'x-local-random']) {
      const x = exchange(type);
      expect(matchNames(x, 'k')).toEqual([]);
      for (const name of ['a', 'b', 'c', 'd']) bind(x, queue(name));
      const names = placements(x);
      for (const name of ['a', 'b', 'c', 'd']) expect(share(names, name)).toBeCloseTo(0.25, 1);
    }
  });

  it('binds queues with an empty key only, when local', () => {
    const x = exchange('x-local-random');
    expect(errorText(() => bind(x, queue('q'), 'k'))).toBe(
      "Non empty binding 'k' key not permitted",
    );
    expect(errorText(() => bind(x, exchange('fanout')))).toBe('Destination not found');
  });
});
