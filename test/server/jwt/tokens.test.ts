import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../../src/base/logger.ts';
import { Access } from '../../../src/engine/access/access.ts';
import type { User } from '../../../src/engine/access/user.ts';
import { ConfigError, loadConfig } from '../../../src/server/config-loader.ts';
import { startTokens } from '../../../src/server/jwt/tokens.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { SeededRandom } from '../../support/seeded-random.ts';
import { AUDIENCE, Issuer, ISSUER } from './issuer.ts';

const clock = new FakeClock();
let directory: string;
let issuer: Issuer;
let stop: (() => void) | undefined;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tokens-'));
  issuer = await Issuer.make('k1', 'ES256', () => clock.wallMs());
  writeFileSync(join(directory, 'keys.json'), issuer.jwks);
});

afterEach(() => {
  stop?.();
  rmSync(directory, { recursive: true });
});

function configOf(flags: Record<string, string>) {
  return loadConfig({ flags: new Map(Object.entries(flags)), environment: {} }).config;
}

async function access(flags: Record<string, string>): Promise<Access> {
  const made = new Access({ clock, random: new SeededRandom(1) });
  stop = await startTokens(configOf(flags), made, clock, silentLogger);
  return made;
}

function login(from: Access, token: string): Promise<User | undefined> {
  return new Promise((resolve) => from.authenticate('', token, resolve));
}

function complete(): Record<string, string> {
  return {
    'token-jwks': join(directory, 'keys.json'),
    'token-issuer': ISSUER,
    'token-audience': AUDIENCE,
  };
}

describe('the configuration', () => {
  it('takes tokens when it is complete', async () => {
    const ann = await login(await access(complete()), await issuer.token());
    expect(ann?.name).toBe('ann');
    expect(ann?.grant?.inVHost('/')?.allows('read', 'q')).toBe(true);
  });

  it('takes none by default', async () => {
    const made = await access({});
    expect(made.tokenVerifier).toBeUndefined();
    expect(await login(made, await issuer.token())).toBeUndefined();
  });

  it.each([
    ['none', 'read:*/*', true],
    ['none', 'rabbitmq.read:*/*', false],
    ['mine/', 'mine/read:*/*', true],
    ['mine/', 'rabbitmq.read:*/*', false],
  ])('with the prefix %s reads %s: %s', async (prefix, scope, isAllowed) => {
    const made = await access({ ...complete(), 'token-scope-prefix': prefix });
    const ann = await login(made, await issuer.token({ scope }));
    expect(ann?.grant?.inVHost('/') !== undefined).toBe(isAllowed);
  });

  it.each([
    [{ 'token-jwks': 'keys.json' }, /tokens need all three/],
    [{ 'token-jwks': 'keys.json', 'token-issuer': ISSUER }, /tokens need all three/],
    [{ 'token-audience': AUDIENCE }, /tokens need all three/],
    [{ 'token-algorithms': 'HS256' }, /token-algorithms: expected one of RS256/],
    [{ 'token-algorithms': 'none' }, /token-algorithms: at least one is needed/],
  ] as const)('refuses %j', (flags, problem) => {
    expect(() => configOf(flags)).toThrow(ConfigError);
    expect(() => configOf(flags)).toThrow(problem);
  });
});
