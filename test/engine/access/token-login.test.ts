import { describe, expect, it } from 'vitest';
import { Access } from '../../../src/engine/access/access.ts';
import { TokenGrant } from '../../../src/engine/access/token-grant.ts';
import { tokenIn, type TokenLogin } from '../../../src/engine/access/token-login.ts';
import type { User } from '../../../src/engine/access/user.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { countingRandom, errorText } from '../exchange/topology-fixture.ts';

const ALL = { configure: '.*', write: '.*', read: '.*' };
/** Looks like a token; the verifier of these tests knows it by its payload. */
const token = (payload: string): string => `eyJhbGciOiJFUzI1NiJ9.${payload}.c2ln`;

/** An Access that takes the tokens in `logins`, by payload. */
function makeAccess(logins: Record<string, TokenLogin>) {
  const clock = new FakeClock();
  const access = new Access({ clock, random: countingRandom });
  access.tokenVerifier = {
    verify: (text, done) => done(logins[text.split('.')[1]!]),
  };
  return { access, clock };
}

function login(access: Access, password: string | Uint8Array): Promise<User | undefined> {
  return new Promise((resolve) => access.authenticate('ignored', password, resolve));
}

function renew(access: Access, user: User, secret: string): Promise<boolean> {
  return new Promise((resolve) => access.renew(user, Buffer.from(secret), resolve));
}

const START_MS = new FakeClock().wallMs();

function tokenLogin(name: string, scopes: string[], lifeMs = 60_000): TokenLogin {
  return { name, grant: new TokenGrant(scopes, {}, START_MS + lifeMs) };
}

describe('a login with a token', () => {
  it('has the rights of the token, in memory only, until it expires', async () => {
    const { access, clock } = makeAccess({
      a: tokenLogin('ann', ['read:v/q*', 'write:v/x/k', 'write:v/amq.default', 'tag:monitoring']),
    });
    const records: string[] = [];
    access.onRecord = (kind) => records.push(kind);
    const ann = (await login(access, token('a')))!;
    expect(ann.name).toBe('ann');
    expect([...ann.tags]).toEqual(['monitoring']);
    expect(ann.expiresAtMs).toBe(START_MS + 60_000);
    expect(access.user('ann')).toBeUndefined();
    expect([...access.users()]).toEqual([]);
    expect(records).toEqual([]);

    expect(access.mayOpenVhost(ann, 'v')).toBe(true);
    expect(access.mayOpenVhost(ann, '/')).toBe(false);
    expect(access.isAuthorized(ann, 'v', 'read', 'queue', 'q1')).toBe(true);
    expect(access.isAuthorized(ann, 'v', 'configure', 'queue', 'q1')).toBe(false);
    expect(access.isAuthorized(ann, 'v', 'write', 'exchange', '')).toBe(true);
    access.authorizeAny(ann, 'v', 'queue', 'q1');
    expect(errorText(() => access.authorizeAny(ann, 'v', 'queue', 'other'))).toMatch(/refused/);
    access.authorizeTopic(ann, 'v', 'write', 'x', 'k');
    expect(errorText(() => access.authorizeTopic(ann, 'v', 'write', 'x', 'l'))).toMatch(
      /write access to topic 'l' in exchange 'x' in vhost 'v' refused for user 'ann'/,
    );

    clock.advance(59_999);
    expect(access.mayOpenVhost(ann, 'v')).toBe(true);
    clock.advance(1);
    expect(access.mayOpenVhost(ann, 'v')).toBe(false);
    expect(access.isAuthorized(ann, 'v', 'read', 'queue', 'q1')).toBe(false);
    expect(errorText(() => access.authorizeAny(ann, 'v', 'queue', 'q1'))).toMatch(/refused/);
    expect(errorText(() => access.authorizeTopic(ann, 'v', 'write', 'x', 'k'))).toMatch(/refused/);
    expect(await login(access, token('a'))).toBeUndefined();
  });

  it('is not the user of the same name', async () => {
    const { access } = makeAccess({ g: tokenLogin('guest', ['read:/mine/*']) });
    access.putUser('guest', { tags: ['administrator'] });
    access.setPermission('guest', '/', ALL);
    access.setTopicPermission('guest', '/', 'x', { write: '', read: '' });
    const guest = (await login(access, token('g')))!;
    expect(guest.tags.size).toBe(0);
    expect(access.mayOpenVhost(guest, '/')).toBe(false);
    expect(access.isAuthorized(guest, '/', 'read', 'queue', 'q')).toBe(false);
    expect(access.deleteUser('guest')).toBe(true);
    expect(access.mayConnectFrom(guest, false)).toBe(false);
  });

  it('shares nothing with another login of the same token', async () => {
    const { access } = makeAccess({
      a: tokenLogin('ann', ['read:*/*']),
      b: tokenLogin('ann', ['write:*/*']),
    });
    const first = (await login(access, token('a')))!;
    const second = (await login(access, token('a')))!;
    expect(await renew(access, first, token('b'))).toBe(true);
    expect(access.isAuthorized(first, '/', 'read', 'queue', 'q')).toBe(false);
    expect(access.isAuthorized(second, '/', 'read', 'queue', 'q')).toBe(true);
  });

  it('is refused when the verifier refuses, and no password is tried', async () => {
    const { access } = makeAccess({});
    expect(await login(access, token('a'))).toBeUndefined();
    expect(await login(access, Buffer.from(token('a')))).toBeUndefined();
  });
});

describe('another token for a login', () => {
  const logins = {
    a: tokenLogin('ann', ['read:*/*', 'tag:administrator']),
    later: tokenLogin('ann', ['write:*/*'], 120_000),
    bob: tokenLogin('bob', ['configure:*/*'], 120_000),
    old: tokenLogin('ann', ['configure:*/*'], 0),
  };

  it('replaces rights, tags and expiry, and voids cached answers', async () => {
    const { access, clock } = makeAccess(logins);
    const ann = (await login(access, token('a')))!;
    const { revision } = access;
    expect(await renew(access, ann, token('later'))).toBe(true);
    expect(access.revision).toBeGreaterThan(revision);
    expect(ann.tags.size).toBe(0);
    expect(access.isAuthorized(ann, '/', 'read', 'queue', 'q')).toBe(false);
    clock.advance(100_000);
    expect(access.isAuthorized(ann, '/', 'write', 'queue', 'q')).toBe(true);
  });

  it.each(['bob', 'old', 'unknown', 'password'])('changes nothing when it is %s', async (which) => {
    const { access } = makeAccess(logins);
    const ann = (await login(access, token('a')))!;
    const secret = which === 'password' ? 'secret' : token(which);
    expect(await renew(access, ann, secret)).toBe(false);
    expect(access.isAuthorized(ann, '/', 'read', 'queue', 'q')).toBe(true);
    expect(access.isAuthorized(ann, '/', 'configure', 'queue', 'q')).toBe(false);
    expect(ann.expiresAtMs).toBe(START_MS + 60_000);
  });

  it('means nothing to a user with a password', async () => {
    const { access } = makeAccess(logins);
    const ann = access.putUser('ann', {});
    expect(await renew(access, ann, token('a'))).toBe(true);
    expect(ann.grant).toBeUndefined();
    expect(access.mayOpenVhost(ann, '/')).toBe(false);
  });
});

it('knows a token by its form', () => {
  expect(tokenIn('eyJhbGciOiJub25lIn0.e30.')).toBe('eyJhbGciOiJub25lIn0.e30.');
  expect(tokenIn(Buffer.from('eyJ9.e30.c2ln'))).toBe('eyJ9.e30.c2ln');
  for (const text of [
    'secret',
    'a.b.c',
    'eyJ9.e30',
    'eyJ9.e30.c2ln.more',
    'eyJ9.e30.c2ln\n',
    'é',
  ]) {
    expect(tokenIn(text)).toBeUndefined();
  }
  expect(tokenIn(`eyJ.${'a'.repeat(40_000)}.`)).toBeUndefined();
});
