import { describe, expect, it } from 'vitest';
import type { Json } from '../../../src/engine/definitions.ts';
import { PolicySet, type PolicyInput, type PolicyKind } from '../../../src/engine/policy.ts';
import { errorText, exchange } from '../exchange/topology-fixture.ts';

function put(
  policies: PolicySet,
  name: string,
  input: Partial<PolicyInput>,
  kind: PolicyKind = 'policy',
): void {
  policies.put(kind, '/', name, { pattern: '.*', definition: { 'max-length': 1 }, ...input });
}

describe('PolicySet', () => {
  it('puts the highest priority in force, alone', () => {
    const policies = new PolicySet();
    put(policies, 'low', { priority: 1 });
    put(policies, 'high', { priority: 5, pattern: '^a' });
    put(policies, 'default', {});
    const name = (queue: string): string | undefined =>
      policies.forQueue('/', queue, 'classic').policy?.name;
    expect(name('abc')).toBe('high');
    expect(name('xyz')).toBe('low');
    expect(policies.forQueue('other', 'abc', 'classic').policy).toBeUndefined();
    policies.remove('policy', '/', 'low');
    expect(name('xyz')).toBe('default');
    put(policies, 'default', { pattern: '^none$' });
    expect(name('xyz')).toBeUndefined();
  });

  it('applies to the targets it names', () => {
    const policies = new PolicySet();
    const types = ['classic', 'quorum', 'stream'] as const;
    const targets = (): string[] => [
      ...types.filter((type) => policies.forQueue('/', 'x', type).policy !== undefined),
      ...(policies.forExchange('/', 'x').policy === undefined ? [] : ['exchange']),
    ];
    const definition = { 'max-length-bytes': 5 };
    const expected: [string, string[]][] = [
      ['queues', ['classic', 'quorum', 'stream']],
      ['classic_queues', ['classic']],
      ['quorum_queues', ['quorum']],
      ['streams', ['stream']],
      ['exchanges', ['exchange']],
      ['all', ['classic', 'quorum', 'stream', 'exchange']],
    ];
    for (const [applyTo, found] of expected) {
      put(policies, 'p', { 'apply-to': applyTo, definition });
      expect(targets()).toEqual(found);
    }
  });

  it('does not match a queue whose type cannot honour a key', () => {
    const policies = new PolicySet();
    put(policies, 'p', { definition: { 'message-ttl': 5, 'max-length-bytes': 9 } });
    expect(policies.forQueue('/', 'x', 'stream').policy).toBeUndefined();
    expect(policies.forQueue('/', 'x', 'quorum').policy?.name).toBe('p');
    put(policies, 'p', { definition: { 'delivery-limit': 5 } });
    expect(policies.forQueue('/', 'x', 'classic').policy?.name).toBe('p');
  });

  it('gives alternate exchanges, the own argument first', () => {
    const policies = new PolicySet();
    put(policies, 'ae', { definition: { 'alternate-exchange': 'spare' } });
    expect(policies.alternateExchangeOf('/', exchange('direct'))).toBe('spare');
    const own = exchange('direct', 'x', { 'alternate-exchange': 'own' });
    expect(policies.alternateExchangeOf('/', own)).toBe('own');
    expect(policies.alternateExchangeOf('other', exchange('direct'))).toBeUndefined();
  });

  it('refuses what is not valid', () => {
    const text = (input: Partial<PolicyInput>, kind: PolicyKind = 'policy'): string =>
      errorText(() => put(new PolicySet(), 'p', input, kind));
    expect(text({ definition: {} })).toBe('no policy provided');
    expect(text({ definition: { foo: 1 } })).toBe(
      '[{<<"foo">>,1}] are not recognised policy settings',
    );
    expect(text({ definition: { 'message-ttl': -1 } })).toBe('-1 is not a valid message TTL');
    expect(text({ definition: { 'message-ttl': '5' } })).toBe('<<"5">> is not a valid message TTL');
    expect(text({ definition: { 'max-length': null } })).toBe('null is not a valid maximum length');
    expect(text({ definition: { 'max-age': '1x' } })).toBe('<<"1x">> is not a valid max age');
    expect(text({ definition: { overflow: 'x' } })).toBe('<<"x">> is not a valid overflow value');
    expect(text({ 'apply-to': 'topics' })).toContain("apply-to 'topics' unrecognised");
    expect(text({ priority: 1.5 })).toBe('priority should be a number, actually was 1.5');
    expect(text({ pattern: '(a)\\1' })).toBe(
      'pattern should be regular expression but is invalid: backreferences are not allowed',
    );
    expect(text({ definition: { 'dead-letter-exchange': 'x' } }, 'operator_policy')).toContain(
      'not recognised',
    );
    expect(text({ definition: { expires: 1 } }, 'operator_policy')).toBe('no error');
    const hostile = JSON.parse('{"__proto__": {"expires": 1}}') as PolicyInput['definition'];
    expect(text({ definition: hostile })).toContain('not recognised');
  });

  it('tells every change, and restores from what it told', () => {
    const policies = new PolicySet();
    const records: [PolicyKind, readonly string[], Json | undefined][] = [];
    policies.onRecord = (kind, names, value) => records.push([kind, names, value]);
    const before = policies.revision;
    put(policies, 'a', { priority: 3, 'apply-to': 'queues' });
    put(policies, 'b', { definition: { expires: 5 } }, 'operator_policy');
    expect(policies.revision).toBe(before + 2);
    const restored = new PolicySet();
    restored.onRecord = () => expect.fail('restoring must not persist again');
    for (const [kind, names, value] of records) restored.restore(kind, names, value ?? null);
    expect(restored.find('policy', '/', 'a')?.toJson()).toEqual(
      policies.find('policy', '/', 'a')?.toJson(),
    );
    expect(restored.forQueue('/', 'q', 'classic').operatorPolicy?.name).toBe('b');
    policies.removeVHost('/');
    expect(records.slice(2).map(([kind, names, value]) => [kind, names[1], value])).toEqual([
      ['policy', 'a', undefined],
      ['operator_policy', 'b', undefined],
    ]);
    expect(policies.list('policy', '/')).toEqual([]);
  });
});
