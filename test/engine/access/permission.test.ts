import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NamePattern, TopicPattern } from '../../../src/engine/access/permission.ts';

describe('NamePattern', () => {
  it('searches unanchored and denies when empty', () => {
    expect(new NamePattern('').matches('')).toBe(false);
    expect(new NamePattern('').matches('q')).toBe(false);
    expect(new NamePattern('.*').matches('')).toBe(true);
    expect(new NamePattern('.*').matches('any thing')).toBe(true);
    expect(new NamePattern('log').matches('my-logs')).toBe(true);
    expect(new NamePattern('^log').matches('my-logs')).toBe(false);
    expect(new NamePattern('^$').matches('')).toBe(true);
  });

  it('answers the same from memory, for more names than it remembers', () => {
    const pattern = new NamePattern('^q[0-4]');
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 3000; i++) {
        expect(pattern.matches(`q${i}`)).toBe(/^q[0-4]/.test(`q${i}`));
      }
    }
    expect(pattern.matches(`q1${'x'.repeat(1000)}`)).toBe(true);
  });
});

describe('TopicPattern', () => {
  const variables = { username: 'ann', vhost: '/', clientId: 'c1' };

  it('puts values in the place of variables', () => {
    const pattern = new TopicPattern('^{vhost}.{username}\\.{client_id}$');
    expect(pattern.matches('/.ann.c1', variables)).toBe(true);
    expect(pattern.matches('/.ann.c2', variables)).toBe(false);
    expect(pattern.matches('/.ann.c2', { ...variables, clientId: 'c2' })).toBe(true);
  });

  it('lets a value match itself only, whatever it holds', () => {
    const name = fc.string({ minLength: 1, maxLength: 12 });
    const hostile = fc.constantFrom(
      '.*',
      'a|b',
      '(',
      '[',
      '\\',
      '^',
      '$',
      'a{2}',
      'x)|(.*',
      '.',
      '|',
    );
    fc.assert(
      fc.property(fc.oneof(name, hostile), fc.oneof(name, hostile), (username, key) => {
        const pattern = new TopicPattern('^{username}$');
        const isUsable = !/[+#/\0]/.test(username);
        expect(pattern.matches(key, { username, vhost: '/' })).toBe(isUsable && key === username);
        expect(pattern.matches(username, { username, vhost: '/' })).toBe(isUsable);
      }),
    );
  });

  it('takes a dot in a name for a dot within a topic level, where there is a client id', () => {
    const pattern = new TopicPattern('^{username}\\..*$');
    const ann = { username: 'ann@example.com', vhost: '/' };
    expect(pattern.matches('ann@example.com.x', ann)).toBe(true);
    const device = { ...ann, clientId: 'c1' };
    // The topic ann@example.com/x, and the topic ann@example/com/x.
    expect(pattern.matches('ann@example/com.x', device)).toBe(true);
    expect(pattern.matches('ann@example.com.x', device)).toBe(false);
  });

  it('denies without a client id and with wildcards in a name', () => {
    const pattern = new TopicPattern('^{client_id}\\.|^{username}\\.');
    expect(pattern.matches('ann.x', { username: 'ann', vhost: '/' })).toBe(false);
    for (const clientId of ['#', '+', 'a/b', 'a\0']) {
      expect(pattern.matches('ann.x', { ...variables, clientId })).toBe(false);
    }
    expect(pattern.matches('ann.x', variables)).toBe(true);
  });

  it('refuses bad patterns when made', () => {
    expect(() => new TopicPattern('({username}')).toThrow();
    expect(() => new TopicPattern('(?={username})')).toThrow();
  });
});
