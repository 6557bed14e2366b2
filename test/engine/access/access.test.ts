import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Clock } from '../../../src/base/clock.ts';
import { Access, type AccessRecordKind } from '../../../src/engine/access/access.ts';
import { hashAsRabbit, type PasswordHash } from '../../../src/engine/access/password.ts';
import type { User } from '../../../src/engine/access/user.ts';
import type { Json } from '../../../src/engine/definitions.ts';
import { countingRandom, errorText } from '../exchange/topology-fixture.ts';

class HandClock implements Clock {
  nowMs = 0;
  wallMs(): number {
    return this.nowMs;
  }
  monotonicMs(): number {
    return this.nowMs;
  }
}

const ALL = { configure: '.*', write: '.*', read: '.*' };

function makeAccess(clock: Clock = new HandClock()): Access {
  return new Access({ clock, random: countingRandom });
}

function login(access: Access, name: string, password: string): Promise<User | undefined> {
  return new Promise((resolve) => access.authenticate(name, password, resolve));
}

function hash(access: Access, password: string): Promise<PasswordHash | undefined> {
  return new Promise((resolve) => access.hashPassword(password, resolve));
}

describe('login', () => {
  it('verifies scrypt hashes and nothing else passes', async () => {
    const access = makeAccess();
    const ann = access.putUser('ann', { password: await hash(access, 'secret') });
    expect(await login(access, 'ann', 'secret')).toBe(ann);
    expect(await login(access, 'ann', 'Secret')).toBeUndefined();
    expect(await login(access, 'ann', '')).toBeUndefined();
    expect(await login(access, 'bob', 'secret')).toBeUndefined();
    access.putUser('cert', {});
    expect(await login(access, 'cert', 'secret')).toBeUndefined();
  });

  it("verifies RabbitMQ's salted hashes as imported", async () => {
    const access = makeAccess();
    // From RabbitMQ's documentation of the algorithm: salt 908DC60A, password test12.
    const salt = Buffer.from('908dc60a', 'hex');
    const known = 'kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR';
    const sha256 = createHash('sha256').update(salt).update('test12').digest();
    expect(Buffer.concat([salt, sha256]).toString('base64')).toBe(known);
    access.putUser('old', {
      password: { algorithm: 'rabbit_password_hashing_sha256', hash: known },
    });
    expect((await login(access, 'old', 'test12'))?.name).toBe('old');
    expect(await login(access, 'old', 'test13')).toBeUndefined();
    const sha512 = createHash('sha512').update(salt).update('test12').digest();
    access.putUser('older', {
      password: {
        algorithm: 'rabbit_password_hashing_sha512',
        hash: Buffer.concat([salt, sha512]).toString('base64'),
      },
    });
    expect((await login(access, 'older', 'test12'))?.name).toBe('older');
    access.putUser('own', { password: hashAsRabbit(countingRandom, 'pw') });
    expect((await login(access, 'own', 'pw'))?.name).toBe('own');
    access.putUser('broken', {
      password: { algorithm: 'rabbit_password_hashing_sha256', hash: 'AAAA' },
    });
    expect(await login(access, 'broken', '')).toBeUndefined();
    expect(await login(access, 'broken', 'x')).toBeUndefined();
  });

  it('remembers a good login for a minute, at most until something changes', async () => {
    const clock = new HandClock();
    const access = makeAccess(clock);
    access.putUser('ann', { password: await hash(access, 'secret') });
    const isImmediate = (): boolean => {
      let isDone = false;
      access.authenticate('ann', 'secret', () => {
        isDone = true;
      });
      return isDone;
    };
    expect(isImmediate()).toBe(false);
    await login(access, 'ann', 'secret');
    expect(isImmediate()).toBe(true);
    clock.nowMs = 59_999;
    expect(isImmediate()).toBe(true);
    clock.nowMs = 60_000;
    expect(isImmediate()).toBe(false);
    await login(access, 'ann', 'secret');
    expect(isImmediate()).toBe(true);
    access.putUser('ann', { password: await hash(access, 'other') });
    expect(await login(access, 'ann', 'secret')).toBeUndefined();
    expect(await login(access, 'ann', 'other')).toBeDefined();
  });

  it('refuses a login whose user changes while it is verified', async () => {
    const access = makeAccess();
    access.putUser('ann', { password: await hash(access, 'secret') });
    const pending = login(access, 'ann', 'secret');
    access.deleteUser('ann');
    expect(await pending).toBeUndefined();
  });

  it('answers many equal logins together', async () => {
    const access = makeAccess();
    access.putUser('ann', { password: await hash(access, 'secret') });
    const logins = Array.from({ length: 500 }, () => login(access, 'ann', 'secret'));
    expect((await Promise.all(logins)).every((user) => user?.name === 'ann')).toBe(true);
  });

  it('keeps guest on this machine', () => {
    const access = makeAccess();
    const [guest, ann] = [access.putUser('guest', {}), access.putUser('ann', {})];
    expect(access.mayConnectFrom(guest, true)).toBe(true);
    expect(access.mayConnectFrom(guest, false)).toBe(false);
    expect(access.mayConnectFrom(ann, false)).toBe(true);
  });
});

describe('authorisation', () => {
  it('denies what is not allowed, in the words of RabbitMQ', () => {
    const access = makeAccess();
    const ann = access.putUser('ann', {});
    const configure = (name: string): string =>
      errorText(() => access.authorize(ann, '/', 'configure', 'queue', name));
    expect(access.mayOpenVhost(ann, '/')).toBe(false);
    expect(errorText(() => access.authorizeVhost(ann, '/'))).toBe(
      "access to vhost '/' refused for user 'ann'",
    );
    expect(configure('q')).toBe(
      "configure access to queue 'q' in vhost '/' refused for user 'ann'",
    );
    access.setPermission('ann', '/', { configure: '^ann-', write: '', read: '.*' });
    expect(access.mayOpenVhost(ann, '/')).toBe(true);
    expect(configure('ann-q')).toBe('no error');
    expect(configure('q')).toContain('refused');
    expect(errorText(() => access.authorize(ann, '/', 'write', 'exchange', ''))).toBe(
      "write access to exchange 'amq.default' in vhost '/' refused for user 'ann'",
    );
    expect(errorText(() => access.authorize(ann, '/', 'read', 'queue', 'q'))).toBe('no error');
    expect(errorText(() => access.authorize(ann, 'other', 'read', 'queue', 'q'))).toContain(
      "in vhost 'other' refused",
    );
  });

  it('checks the default exchange as amq.default', () => {
    const access = makeAccess();
    const ann = access.putUser('ann', {});
    access.setPermission('ann', '/', { configure: '', write: '^amq\\.default$', read: '' });
    expect(access.isAuthorized(ann, '/', 'write', 'exchange', '')).toBe(true);
    expect(access.isAuthorized(ann, '/', 'write', 'queue', '')).toBe(false);
  });

  it('needs any permission for a passive look', () => {
    const access = makeAccess();
    const ann = access.putUser('ann', {});
    const look = (): string => errorText(() => access.authorizeAny(ann, '/', 'queue', 'q'));
    access.setPermission('ann', '/', { configure: '', write: '', read: '' });
    expect(look()).toBe("configure access to queue 'q' in vhost '/' refused for user 'ann'");
    access.setPermission('ann', '/', { configure: '', write: 'q', read: '' });
    expect(look()).toBe('no error');
  });

  it('takes all rights from a deleted user, even when the name comes back', () => {
    const access = makeAccess();
    const first = access.putUser('ann', {});
    access.setPermission('ann', '/', ALL);
    access.deleteUser('ann');
    const second = access.putUser('ann', {});
    expect(access.mayOpenVhost(second, '/')).toBe(false);
    access.setPermission('ann', '/', ALL);
    expect(access.isAuthorized(second, '/', 'read', 'queue', 'q')).toBe(true);
    expect(access.isAuthorized(first, '/', 'read', 'queue', 'q')).toBe(false);
    expect(errorText(() => access.authorizeTopic(first, '/', 'read', 'x', 'k'))).toContain(
      'refused',
    );
  });

  it('checks topics only where a topic permission exists', () => {
    const access = makeAccess();
    const ann = access.putUser('ann', {});
    const write = (key: string): string =>
      errorText(() => access.authorizeTopic(ann, '/', 'write', 'amq.topic', key, 'c1'));
    expect(write('any.thing')).toBe('no error');
    access.setTopicPermission('ann', '/', 'amq.topic', { write: '^{username}\\.', read: '' });
    expect(write('ann.x')).toBe('no error');
    expect(write('bob.x')).toBe(
      "write access to topic 'bob.x' in exchange 'amq.topic' in vhost '/' refused for user 'ann'",
    );
    access.clearTopicPermission('ann', '/', 'amq.topic');
    expect(write('bob.x')).toBe('no error');
  });

  it('bumps the revision with every change', () => {
    const access = makeAccess();
    let last = access.revision;
    const expectBump = (run: () => unknown): void => {
      run();
      expect(access.revision).toBeGreaterThan(last);
      last = access.revision;
    };
    expectBump(() => access.putUser('ann', {}));
    expectBump(() => access.setPermission('ann', '/', ALL));
    expectBump(() => access.setTopicPermission('ann', '/', 'x', { write: '', read: '' }));
    expectBump(() => access.clearPermission('ann', '/'));
    expectBump(() => access.clearTopicPermission('ann', '/', 'x'));
    expectBump(() => access.deleteUser('ann'));
  });

  it('refuses rights for nobody and dangerous patterns', () => {
    const access = makeAccess();
    expect(errorText(() => access.setPermission('nobody', '/', ALL))).toBe("no user 'nobody'");
    access.putUser('ann', {});
    expect(errorText(() => access.setPermission('ann', '/', { ...ALL, read: '(?=a)' }))).toContain(
      'invalid regular expression',
    );
    expect(access.permission('ann', '/')).toBeUndefined();
  });
});

describe('persistence', () => {
  it('tells every change, and restores from what it told', async () => {
    const access = makeAccess();
    const records = new Map<string, [AccessRecordKind, readonly string[], Json]>();
    access.onRecord = (kind, names, value) => {
      const key = JSON.stringify([kind, ...names]);
      if (value === undefined) records.delete(key);
      else records.set(key, [kind, names, JSON.parse(JSON.stringify(value)) as Json]);
    };
    access.putUser('ann', {
      password: await hash(access, 'secret'),
      tags: ['management', 'own'],
      limits: { maxConnections: 5 },
    });
    access.putUser('gone', {});
    access.setPermission('gone', '/', ALL);
    access.setTopicPermission('gone', '/', 'x', { write: '', read: '' });
    access.setPermission('ann', '/', { ...ALL, read: '^a' });
    access.setPermission('ann', 'v2', ALL);
    access.setTopicPermission('ann', '/', 'x', { write: 'w', read: 'r' });
    access.deleteUser('gone');
    access.removeVHost('v2');
    expect([...records.keys()].sort()).toEqual([
      '["permission","ann","/"]',
      '["topic_permission","ann","/","x"]',
      '["user","ann"]',
    ]);

    const restored = makeAccess();
    restored.onRecord = () => expect.fail('restoring must not persist again');
    for (const [kind, names, value] of records.values()) restored.restore(kind, names, value);
    const ann = await login(restored, 'ann', 'secret');
    expect([...(ann?.tags ?? [])]).toEqual(['management', 'own']);
    expect(ann?.limits).toEqual({ maxConnections: 5 });
    expect(restored.permission('ann', '/')?.toJson()).toEqual({ ...ALL, read: '^a' });
    expect(restored.topicPermissionsOf('ann', '/').get('x')?.toJson()).toEqual({
      write: 'w',
      read: 'r',
    });
  });
});
