import { describe, expect, it } from 'vitest';
import { grantFromJson, TokenGrant } from '../../../src/engine/access/token-grant.ts';
import type { PermissionKind } from '../../../src/engine/access/permission.ts';
import { cpuMs } from '../../support/cpu-time.ts';

const KINDS: readonly PermissionKind[] = ['configure', 'write', 'read'];
const VHOSTS = ['/', 'foo', '*', 'foo/bar', 'юникод'];
const NAMES = ['foo', 'foo/bar', '*', '*/*', 'юникод'];
const KEYS = ['rout', 'norout', 'some_other'];

function grant(scopes: string | readonly string[], claims: Record<string, unknown> = {}) {
  return new TokenGrant(typeof scopes === 'string' ? [scopes] : scopes, claims, Infinity);
}

function allows(scopes: string, vhost: string, kind: PermissionKind, name: string): boolean {
  return grant(scopes).inVHost(vhost)?.allows(kind, name) === true;
}

function readsTopic(scopes: string, vhost: string, exchange: string, key: string): boolean {
  return grant(scopes).inVHost(vhost)?.allowsTopic('read', exchange, key) === true;
}

/** What the suite of RabbitMQ's OAuth 2 plugin demands (scope_SUITE). */
describe("scopes as RabbitMQ's plugin reads them", () => {
  it.each(KINDS)('%s:*/* allows that and nothing else, everywhere', (kind) => {
    for (const scope of [`${kind}:*/*`, `${kind}:*/*/*`]) {
      for (const vhost of VHOSTS) {
        expect(grant(scope).inVHost(vhost)).toBeDefined();
        for (const name of NAMES) {
          for (const other of KINDS) {
            expect(allows(scope, vhost, other, name), `${scope} ${other}`).toBe(other === kind);
          }
        }
      }
    }
  });

  it('keeps to the vhost it names', () => {
    const complex = 'foo/bar/*/';
    const encoded = encodeURIComponent(complex).replaceAll('*', '%2A');
    for (const tail of ['*', '*/*']) {
      const tags = ['tag:management', 'tag:policymaker'];
      expect(grant([`read:foo/${tail}`, ...tags]).inVHost('foo')).toBeDefined();
      expect(grant([`read:foo/${tail}`, ...tags]).inVHost(complex)).toBeUndefined();
      expect(grant([`read:${encoded}/${tail}`, ...tags]).inVHost('foo')).toBeUndefined();
      for (const name of NAMES) {
        expect(allows(`read:${encoded}/${tail}`, complex, 'read', name)).toBe(true);
        expect(allows(`read:${encoded}/${tail}`, complex, 'write', name)).toBe(false);
      }
    }
  });

  it('keeps to the resource it names', () => {
    const encoded = 'bar%2A%2Fbaz';
    for (const scope of [`write:*/${encoded}`, `write:*/${encoded}/*`]) {
      for (const vhost of VHOSTS) {
        expect(allows(scope, vhost, 'write', 'bar*/baz')).toBe(true);
        for (const name of NAMES) expect(allows(scope, vhost, 'write', name)).toBe(false);
      }
    }
  });

  it('needs a routing key for topics', () => {
    for (const key of KEYS) {
      for (const name of NAMES) {
        expect(readsTopic('read:*/*', '/', name, key)).toBe(false);
        expect(readsTopic('read:*/*/*', '/', name, key)).toBe(true);
        expect(readsTopic('read:vhost/*/*', 'vhost', name, key)).toBe(true);
        expect(readsTopic('read:vhost/*/*', '/', name, key)).toBe(false);
        expect(readsTopic('read:*/exchange/*', '/', name, key)).toBe(false);
        expect(readsTopic('write:*/*/*', '/', name, key)).toBe(false);
      }
      expect(readsTopic('read:*/exchange/*', '/', 'exchange', key)).toBe(true);
      expect(readsTopic('read:*/*/rout', '/', 'x', key)).toBe(key === 'rout');
      expect(readsTopic('read:*/*/*rout', '/', 'x', key)).toBe(key.endsWith('rout'));
    }
  });
});

/** The table "Scope-to-permission translation" of RabbitMQ's guide. */
describe("examples of RabbitMQ's guide", () => {
  it.each([
    ['read:*/*', 'any', 'anything', true],
    ['read:vhost/*', 'vhost', 'anything', true],
    ['read:vhost/*', 'vhost2', 'anything', false],
    ['read:vhost*/*', 'vhost2', 'anything', true],
    ['read:vhost*/*', 'a-vhost', 'anything', false],
    ['read:*/name', 'any', 'name', true],
    ['read:*/name', 'any', 'name2', false],
    ['read:*/name*', 'any', 'name2', true],
    ['read:*/*suffix', 'any', 'the-suffix', true],
    ['read:*/*suffix', 'any', 'suffix-not', false],
    ['read:%2F/foo', '/', 'foo', true],
    ['read:%2f/foo', '/', 'foo', true],
    ['read:*/a*b*c', 'any', 'a1b2c', true],
    ['read:*/a*b*c', 'any', 'abc', true],
    ['read:*/a*b*c', 'any', 'acb', false],
    ['read:*/*ab', 'any', 'abab', true],
    ['read:*/aa*aa', 'any', 'aaa', false],
    ['read:*/foo**', 'any', 'foo', true],
    ['read:*/white+space', 'any', 'white space', true],
    ['read:*/.*', 'any', 'foo', false],
    ['read:*/', 'any', '', true],
  ])('%s in %s on %s: %s', (scope, vhost, name, isAllowed) => {
    expect(allows(scope, vhost, 'read', name)).toBe(isAllowed);
  });

  it.each([
    'read',
    'read:',
    'read:vhost',
    'read:a/b/c/d',
    'READ:*/*',
    'rabbitmq.read:*/*',
    ' read:*/*',
    'admin:*/*',
    'read:%zz/*',
    'read:%FF/*',
    'read:{/*',
    'read:a}/*',
    'read:{unknown}/*',
    'tag:administrator',
    '',
  ])('grants nothing for %j', (scope) => {
    expect(grant(scope).inVHost('/')).toBeUndefined();
    expect(grant(scope).inVHost('vhost')).toBeUndefined();
  });

  it('takes tags', () => {
    const { tags } = grant(['tag:administrator', 'tag:my own', 'read:*/*', 'tagged']);
    expect([...tags]).toEqual(['administrator', 'my own']);
  });
});

describe('variables', () => {
  it('stand for claims and the vhost', () => {
    const rights = grant('read:{vhost}/{sub}-*', { sub: 'ann' });
    expect(rights.inVHost('/')?.allows('read', 'ann-1')).toBe(true);
    expect(rights.inVHost('a b')?.allows('read', 'bob-1')).toBe(false);
  });

  it('never widen a pattern', () => {
    for (const sub of ['*', '%2A', 'a/b', '{vhost}', '..', '+']) {
      const rights = grant('write:*/{sub}', { sub }).inVHost('v')!;
      expect(rights.allows('write', sub)).toBe(true);
      expect(rights.allows('write', 'anything')).toBe(false);
    }
  });

  it('have text for a value, of the token itself', () => {
    for (const claims of [{ sub: 7 }, { sub: ['a'] }, { sub: null }, {}]) {
      expect(grant('read:*/{sub}', claims).inVHost('/')).toBeUndefined();
    }
    expect(grant('read:*/{constructor}', {}).inVHost('/')).toBeUndefined();
    expect(grant('read:*/{__proto__}', {}).inVHost('/')).toBeUndefined();
  });
});

it('takes linear time for many wildcards', () => {
  const scope = `read:*/${'a*'.repeat(2_000)}b`;
  const startedAt = cpuMs();
  expect(allows(scope, '/', 'read', 'a'.repeat(60_000))).toBe(false);
  expect(cpuMs() - startedAt).toBeLessThan(5_000);
});

describe('claims in topics', () => {
  const readsAs = (sub: string, key: string): boolean =>
    grant('read:*/amq.topic/of.{sub}.*', { sub })
      .inVHost('/')!
      .allowsTopic('read', 'amq.topic', key, true);

  it('are one level, whatever dots they have', () => {
    // The topics of/ann@example.com/x and of/ann@example/com/x.
    expect(readsAs('ann@example.com', 'of.ann@example/com.x')).toBe(true);
    expect(readsAs('ann@example.com', 'of.ann@example.com.x')).toBe(false);
  });

  it.each(['+', '#', 'a/b', 'a\0'])('with %j in them fit none', (sub) => {
    for (const key of ['of.*.x', 'of.#.x', 'of.a.b.x', `of.${sub}.x`]) {
      expect(readsAs(sub, key)).toBe(false);
    }
  });

  it('with a star in them are no wildcard of filters', () => {
    // The filter of/+/x, and the topic of/*/x.
    expect(readsAs('*', 'of.*.x')).toBe(false);
    expect(readsAs('*', 'of.+.x')).toBe(true);
  });
});

describe('the persisted form', () => {
  it('gives the same rights back', () => {
    const scopes = [
      'configure:%2F/q-*',
      'write:*/amq.topic/out.{sub}.*',
      'read:{team}/x+y/a%2Eb',
      'tag:monitoring',
      'nonsense',
    ];
    const before = new TokenGrant(scopes, { sub: 'd1', team: 'blue', list: [1] }, 12_345);
    const after = grantFromJson(JSON.parse(JSON.stringify(before.toJson())) as never);
    expect(after.expiresAtMs).toBe(12_345);
    expect([...after.tags]).toEqual(['monitoring']);
    expect(after.inVHost('/')!.allows('configure', 'q-1')).toBe(true);
    expect(after.inVHost('/')!.allowsTopic('write', 'amq.topic', 'out.d1.x')).toBe(true);
    expect(after.inVHost('/')!.allowsTopic('write', 'amq.topic', 'out.d2.x')).toBe(false);
    expect(after.inVHost('blue')!.allowsTopic('read', 'x y', 'a.b')).toBe(true);
    expect(after.toJson()).toEqual(before.toJson());
  });
});
