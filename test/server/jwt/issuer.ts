/** An issuer of tokens for tests: keys, a key set, and tokens that are right unless told. */
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';

export const ISSUER = 'https://issuer.example';
export const AUDIENCE = 'rabbitmq';

export class Issuer {
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
  readonly #algorithm: string;
  readonly #nowMs: () => number;

  private constructor(
    privateKey: CryptoKey,
    publicJwk: JWK,
    algorithm: string,
    nowMs: () => number,
  ) {
    this.privateKey = privateKey;
    this.publicJwk = publicJwk;
    this.#algorithm = algorithm;
    this.#nowMs = nowMs;
  }

  static async make(kid: string, algorithm: string, nowMs: () => number): Promise<Issuer> {
    const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
    const publicJwk = { ...(await exportJWK(publicKey)), kid, alg: algorithm, use: 'sig' };
    return new Issuer(privateKey, publicJwk, algorithm, nowMs);
  }

  get jwks(): string {
    return JSON.stringify({ keys: [this.publicJwk] });
  }

  /** Claims of a token that is valid for a minute. */
  claims(changes: Record<string, unknown> = {}): Record<string, unknown> {
    const nowSeconds = Math.floor(this.#nowMs() / 1000);
    return {
      iss: ISSUER,
      aud: AUDIENCE,
      sub: 'ann',
      scope: 'rabbitmq.read:*/* rabbitmq.write:*/* rabbitmq.configure:*/* other.read:*/*',
      iat: nowSeconds,
      exp: nowSeconds + 60,
      ...changes,
    };
  }

  token(changes: Record<string, unknown> = {}, header: Record<string, unknown> = {}) {
    const kid = this.publicJwk.kid!;
    return new SignJWT(this.claims(changes))
      .setProtectedHeader({ alg: this.#algorithm, kid, ...header })
      .sign(this.privateKey);
  }
}

/** A token without a valid signature, from any header and claims. */
export function unsigned(
  header: Record<string, unknown>,
  claims: Record<string, unknown>,
  signature = '',
): string {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${encode(header)}.${encode(claims)}.${signature}`;
}
