/**
 * JSON Web Tokens in the place of passwords (RFC 7519), with the rights of RabbitMQ's OAuth 2
 * plugin.
 *
 * A token counts when a key of the issuer signed it with one of the allowed algorithms, when `iss`
 * and `aud` are the configured ones, and between `nbf` and `exp`. Expiry is strict, to the ms and
 * by this machine's clock; the skew allowed between clocks is for `nbf`, where a token that was
 * made a moment ago would be too young. A token without `exp` is refused.
 *
 * Nothing of a token is logged but the name of the claim that is wrong.
 */
import { errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from 'jose';
import type { Clock } from '../../base/clock.ts';
import { NAME_BYTES_MAX } from '../../base/limits.ts';
import type { Logger } from '../../base/logger.ts';
import { TokenGrant } from '../../engine/access/token-grant.ts';
import type { TokenLogin, TokenVerifier } from '../../engine/access/token-login.ts';
import { scopesOf } from './token-scopes.ts';

/** Tokens being verified at once; more are refused. Each takes some 0.1 ms. */
const PENDING_MAX = 10_000;
/** Scopes of one token, as in RabbitMQ. */
const SCOPES_MAX = 2_048;

export interface JwtSettings {
  readonly issuer: string;
  /** Also the key of our scopes in claims that hold those of several services. */
  readonly audience: string;
  readonly algorithms: readonly string[];
  /** Claim that holds the user name. */
  readonly userClaim: string;
  /** Claims that hold scopes; dots lead into objects. */
  readonly scopeClaims: readonly string[];
  /** Scopes without it are not ours. */
  readonly scopePrefix: string;
  /** Ms by which the clock of the issuer may be ahead. */
  readonly clockSkewMs: number;
}

export interface JwtVerifierDeps {
  readonly settings: JwtSettings;
  readonly getKey: JWTVerifyGetKey;
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'info'>;
}

/** A token that is signed well and still will not do; the text holds nothing of it. */
class TokenRefusal extends Error {}

export class JwtVerifier implements TokenVerifier {
  readonly #deps: JwtVerifierDeps;
  #pendingCount: number;

  constructor(deps: JwtVerifierDeps) {
    this.#deps = deps;
    this.#pendingCount = 0;
  }

  verify(token: string, done: (login: TokenLogin | undefined) => void): void {
    if (this.#pendingCount >= PENDING_MAX) {
      done(undefined);
      return;
    }
    this.#pendingCount += 1;
    void this.#answer(token, done);
  }

  async #answer(token: string, done: (login: TokenLogin | undefined) => void): Promise<void> {
    const login = await this.#login(token);
    this.#pendingCount -= 1;
    done(login);
  }

  async #login(token: string): Promise<TokenLogin | undefined> {
    try {
      return this.#loginOf(await this.#payloadOf(token));
    } catch (error) {
      this.#deps.logger.info(describe(error), 'token refused');
      return undefined;
    }
  }

  async #payloadOf(token: string): Promise<JWTPayload> {
    const { settings, getKey, clock } = this.#deps;
    const { payload } = await jwtVerify(token, getKey, {
      algorithms: [...settings.algorithms],
      issuer: settings.issuer,
      audience: settings.audience,
      requiredClaims: ['exp'],
      clockTolerance: settings.clockSkewMs / 1000,
      currentDate: new Date(clock.wallMs()),
    });
    return payload;
  }

  #loginOf(payload: JWTPayload): TokenLogin {
    const { settings, clock } = this.#deps;
    const expiresAtMs = Math.floor(payload.exp! * 1000);
    // JSON has numbers beyond all dates: 1e999 is Infinity.
    if (!Number.isSafeInteger(expiresAtMs)) throw new TokenRefusal('exp is no date');
    if (expiresAtMs <= clock.wallMs()) throw new TokenRefusal('expired');
    const name = Object.hasOwn(payload, settings.userClaim)
      ? payload[settings.userClaim]
      : undefined;
    if (typeof name !== 'string' || !isUserName(name)) {
      throw new TokenRefusal('the claim of the user name is missing or no name');
    }
    const scopes = scopesOf(payload, settings);
    if (scopes.length > SCOPES_MAX) throw new TokenRefusal('too many scopes');
    return { name, grant: new TokenGrant(scopes, payload, expiresAtMs) };
  }
}

/** A name that fits into a short string, and into one line of a log. */
function isUserName(name: string): boolean {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return name !== '' && Buffer.byteLength(name) <= NAME_BYTES_MAX && !/[\x00-\x1f\x7f]/.test(name);
}

/** What a log may say; messages of other errors could hold parts of the token. */
function describe(error: unknown): object {
  if (error instanceof TokenRefusal) return { reason: error.message };
  if (error instanceof errors.JWTClaimValidationFailed || error instanceof errors.JWTExpired) {
    return { reason: error.code, claim: error.claim, detail: error.reason };
  }
  return { reason: error instanceof errors.JOSEError ? error.code : 'unusable key or token' };
}
