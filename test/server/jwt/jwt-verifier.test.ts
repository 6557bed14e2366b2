import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { createLocalJWKSet, type CryptoKey, exportJWK, exportSPKI, importJWK } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import type { TokenLogin } from '../../../src/engine/access/token-login.ts';
import { TOKEN_ALGORITHMS } from '../../../src/server/jwt/algorithms.ts';
import { JwtVerifier, type JwtSettings } from '../../../src/server/jwt/jwt-verifier.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { AUDIENCE, Issuer, ISSUER, unsigned } from './issuer.ts';

const SETTINGS: JwtSettings = {
  issuer: ISSUER,
  audience: AUDIENCE,
  algorithms: TOKEN_ALGORITHMS,
  userClaim: 'sub',
  scopeClaims: ['scope'],
  scopePrefix: 'rabbitmq.',
  clockSkewMs: 5_000,
};

const clock = new FakeClock();
const nowSeconds = clock.wallMs() / 1000;
let issuer: Issuer;
let stranger: Issuer;
let logged: object[];

beforeAll(async () => {
  issuer = await Issuer.make('k1', 'ES256', () => clock.wallMs());
  stranger = await Issuer.make('k1', 'ES256', () => clock.wallMs());
});

function verify(
  token: string,
  settings: Partial<JwtSettings> = {},
  keys = [issuer.publicJwk],
): Promise<TokenLogin | undefined> {
  logged = [];
  const verifier = new JwtVerifier({
    settings: { ...SETTINGS, ...settings },
    getKey: createLocalJWKSet({ keys }),
    clock,
    logger: { info: (fields) => logged.push(fields) },
  });
  return new Promise((resolve) => verifier.verify(token, resolve));
}

describe('a good token', () => {
  it('names the user, the rights and the end', async () => {
    const login = (await verify(await issuer.token()))!;
    expect(login.name).toBe('ann');
    expect(login.grant.expiresAtMs).toBe(clock.wallMs() + 60_000);
    expect(login.grant.inVHost('/')?.allows('read', 'q')).toBe(true);
    expect(logged).toEqual([]);
  });

  it.each<[string, Record<string, unknown>]>([
    ['an audience among others', { aud: ['other', AUDIENCE] }],
    ['a float exp', { exp: nowSeconds + 0.5 }],
    ['nbf now', { nbf: nowSeconds }],
    ['nbf within the skew', { nbf: nowSeconds + 5 }],
    ['no scope at all', { scope: undefined }],
  ])('may have %s', async (_name, claims) => {
    expect(await verify(await issuer.token(claims))).toBeDefined();
  });

  it('expires to the ms, with a float exp too', async () => {
    const login = await verify(await issuer.token({ exp: nowSeconds + 1.75 }));
    expect(login?.grant.expiresAtMs).toBe(clock.wallMs() + 1_750);
  });

  it.each(TOKEN_ALGORITHMS)('may be signed with %s', async (algorithm) => {
    const other = await Issuer.make('k', algorithm, () => clock.wallMs());
    expect(await verify(await other.token(), {}, [other.publicJwk])).toBeDefined();
  });

  it('need not name its key when there is one only', async () => {
    const token = await issuer.token({}, { kid: undefined });
    expect(await verify(token)).toBeDefined();
    const another = await Issuer.make('k2', 'ES256', () => clock.wallMs());
    expect(await verify(token, {}, [issuer.publicJwk, another.publicJwk])).toBeUndefined();
  });

  it('may name the user in another claim', async () => {
    const token = await issuer.token({ preferred_username: 'Ann Onymous' });
    const login = await verify(token, { userClaim: 'preferred_username' });
    expect(login?.name).toBe('Ann Onymous');
  });
});

describe('a bad token', () => {
  it.each<[string, Record<string, unknown>, string]>([
    ['expired', { exp: nowSeconds - 60 }, 'ERR_JWT_EXPIRED'],
    ['expired a moment ago', { exp: nowSeconds - 1 }, 'expired'],
    ['expired now', { exp: nowSeconds }, 'expired'],
    ['expired, as a float', { exp: nowSeconds - 0.001 }, 'expired'],
    ['expired long ago, as a float', { exp: nowSeconds - 60.5 }, 'ERR_JWT_EXPIRED'],
    ['without exp', { exp: undefined }, 'ERR_JWT_CLAIM_VALIDATION_FAILED'],
    ['with a text for exp', { exp: `${nowSeconds + 60}` }, 'ERR_JWT_CLAIM_VALIDATION_FAILED'],
    ['with an exp of null', { exp: null }, 'ERR_JWT_CLAIM_VALIDATION_FAILED'],
    ['with an exp beyond all dates', { exp: 1e300 }, 'exp is no date'],
    ['not yet valid', { nbf: nowSeconds + 6 }, 'ERR_JWT_CLAIM_VALIDATION_FAILED'],
    ['with a text for nbf', { nbf: 'now' }, 'ERR_JWT_CLAIM_VALIDATION_FAILED'],
    ['of another issuer', { iss: `${ISSUER}/` }, 'ERR_JWT_CLAIM_VALIDATION_FAILED'],
    ['without issuer', { iss: undefined }, 'ERR_JWT_CLAIM_VALIDATION_FAILED'],
    ['for another audience', { aud: 'rabbitmq2' }, 'ERR_JWT_CLAIM_VALIDATION_FAILED'],
    ['for other audiences', { aud: ['a', 'b'] }, 'ERR_JWT_CLAIM_VALIDATION_FAILED'],
    ['without audience', { aud: undefined }, 'ERR_JWT_CLAIM_VALIDATION_FAILED'],
    ['without a user', { sub: undefined }, 'the claim of the user name is missing or no name'],
    ['with an empty user', { sub: '' }, 'the claim of the user name is missing or no name'],
    ['with a number for user', { sub: 7 }, 'the claim of the user name is missing or no name'],
    ['with a line end', { sub: 'a\nb' }, 'the claim of the user name is missing or no name'],
    [
      'with a long user',
      { sub: 'é'.repeat(128) },
      'the claim of the user name is missing or no name',
    ],
    [
      'with too many scopes',
      { scope: Array.from({ length: 2_049 }, (_, index) => `rabbitmq.read:*/q${index}`) },
      'too many scopes',
    ],
  ])('%s is refused', async (_name, claims, reason) => {
    expect(await verify(await issuer.token(claims))).toBeUndefined();
    expect(logged).toEqual([expect.objectContaining({ reason })]);
  });

  it('signed with another key is refused', async () => {
    expect(await verify(await stranger.token())).toBeUndefined();
    expect(logged).toEqual([{ reason: 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED' }]);
  });

  it('whose payload was changed is refused', async () => {
    const [header, , signature] = (await issuer.token()).split('.');
    const forged = unsigned({}, issuer.claims({ sub: 'root' })).split('.')[1];
    expect(await verify(`${header}.${forged}.${signature}`)).toBeUndefined();
  });

  it.each(['none', 'None', 'NONE', ''])('with the algorithm %j is refused', async (alg) => {
    const signature = (await issuer.token()).split('.')[2]!;
    for (const end of ['', signature]) {
      expect(await verify(unsigned({ alg, kid: 'k1' }, issuer.claims(), end))).toBeUndefined();
    }
  });

  it('signed with a public key as a shared secret is refused', async () => {
    const rsa = await Issuer.make('k1', 'RS256', () => clock.wallMs());
    const spki = await exportSPKI((await importJWK(rsa.publicJwk, 'RS256')) as CryptoKey);
    const secrets = [spki, spki.trim(), rsa.jwks, rsa.publicJwk.n!];
    for (const [alg, hash] of [
      ['HS256', 'sha256'],
      ['HS512', 'sha512'],
    ] as const) {
      for (const secret of secrets) {
        const text = unsigned({ alg, kid: 'k1' }, rsa.claims()).slice(0, -1);
        const signature = createHmac(hash, secret).update(text).digest('base64url');
        expect(await verify(`${text}.${signature}`, {}, [rsa.publicJwk])).toBeUndefined();
        expect(logged).toEqual([{ reason: 'ERR_JOSE_ALG_NOT_ALLOWED' }]);
      }
    }
  });

  it('signed with an RSA key of 1024 bits is refused', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const keys = [{ ...(await exportJWK(publicKey)), kid: 'k1', alg: 'RS256' }];
    const text = unsigned({ alg: 'RS256', kid: 'k1' }, issuer.claims()).slice(0, -1);
    const signature = sign('sha256', Buffer.from(text), privateKey).toString('base64url');
    expect(await verify(`${text}.${signature}`, {}, keys)).toBeUndefined();
    expect(logged).toEqual([{ reason: 'unusable key or token' }]);
  });

  it('with an algorithm the operator left out is refused', async () => {
    const token = await issuer.token();
    expect(await verify(token, { algorithms: ['RS256'] })).toBeUndefined();
  });

  it('with another algorithm than its key has is refused', async () => {
    const keys = [{ ...issuer.publicJwk, alg: 'ES384' }];
    expect(await verify(await issuer.token(), {}, keys)).toBeUndefined();
  });

  it('that brings its own key, or a place to fetch it, is refused', async () => {
    const header = { jwk: stranger.publicJwk, jku: 'http://127.0.0.1:9/keys', x5u: 'file:///etc' };
    expect(await verify(await stranger.token({}, header))).toBeUndefined();
  });

  it('with an extension that is not understood is refused', async () => {
    const token = await issuer.token();
    const header = { alg: 'ES256', kid: 'k1', crit: ['x'], x: 1 };
    const forged = `${unsigned(header, {}).split('.')[0]}.${token.split('.')[1]}.${token.split('.')[2]}`;
    expect(await verify(forged)).toBeUndefined();
  });

  it.each(['', 'eyJ', 'eyJ9..', 'eyJ.e30.', `${'eyJ'.repeat(5)}.e30.c2ln`, 'e30.e30.e30'])(
    'that is none (%j) is refused',
    async (text) => {
      expect(await verify(text)).toBeUndefined();
    },
  );

  it('leaves nothing of itself in the log', async () => {
    const secret = 'planted-secret';
    const good = await issuer.token({ sub: secret, iss: secret, jti: secret });
    const tokens = [good, await stranger.token({ sub: secret }), `${good}x`, good.slice(0, -40)];
    for (const token of tokens) {
      expect(await verify(token)).toBeUndefined();
      const text = JSON.stringify(logged);
      for (const part of [secret, ...token.split('.')]) expect(text).not.toContain(part);
    }
  });
});

describe('scopes', () => {
  async function reads(
    claims: Record<string, unknown>,
    settings: Partial<JwtSettings>,
    name: string,
  ): Promise<boolean> {
    const login = await verify(await issuer.token({ scope: undefined, ...claims }), settings);
    return login!.grant.inVHost('/')?.allows('read', name) === true;
  }

  it.each<[string, Record<string, unknown>, Partial<JwtSettings>, boolean]>([
    ['a text', { scope: 'openid rabbitmq.read:*/q' }, {}, true],
    ['a list', { scope: ['openid', 7, 'rabbitmq.read:*/q'] }, {}, true],
    ['another prefix', { scope: 'other.read:*/q' }, {}, false],
    ['no prefix', { scope: 'read:*/q' }, {}, false],
    ['no prefix wanted', { scope: 'read:*/q' }, { scopePrefix: '' }, true],
    ['a prefix not wanted', { scope: 'rabbitmq.read:*/q' }, { scopePrefix: '' }, false],
    ['another claim', { roles: ['rabbitmq.read:*/q'] }, { scopeClaims: ['scope', 'roles'] }, true],
    ['a claim not asked for', { roles: ['rabbitmq.read:*/q'] }, {}, false],
    [
      'a path',
      { realm_access: { roles: ['rabbitmq.read:*/q'] } },
      { scopeClaims: ['realm_access.roles'] },
      true,
    ],
    [
      'a path through a list',
      { permissions: [{ scopes: ['a'] }, 'b', { scopes: 'rabbitmq.read:*/q' }] },
      { scopeClaims: ['permissions.scopes'] },
      true,
    ],
    ['an object of services', { scope: { rabbitmq: 'read:*/q', other: 'x' } }, {}, true],
    ['an object of other services', { scope: { other: ['read:*/q'] } }, {}, false],
    ['a number', { scope: 7 }, {}, false],
    ['null', { scope: null }, {}, false],
  ])('in %s', async (_name, claims, settings, isAllowed) => {
    expect(await reads(claims, settings, 'q')).toBe(isAllowed);
    expect(await reads(claims, settings, 'other')).toBe(false);
  });

  it('may name claims', async () => {
    const claims = { scope: 'rabbitmq.read:*/{sub}.*', sub: 'ann' };
    expect(await reads(claims, {}, 'ann.1')).toBe(true);
    expect(await reads(claims, {}, 'bob.1')).toBe(false);
  });
});
