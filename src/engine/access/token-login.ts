import type { TokenGrant } from './token-grant.ts';

/** Whom a token names, and what it allows. */
export interface TokenLogin {
  readonly name: string;
  readonly grant: TokenGrant;
}

/** The port to whatever understands tokens. */
export interface TokenVerifier {
  /**
   * Checks signature, issuer, audience and times. Calls `done` once, now or in a later turn; with
   * undefined when the token is refused, for whatever reason. Never throws.
   */
  verify(token: string, done: (login: TokenLogin | undefined) => void): void;
}

/** Bytes. Longer passwords are no tokens; AMQP takes 8 KiB before the login, MQTT 64 KiB. */
const TOKEN_BYTES_MAX = 32 * 1024;
/** A JWS in compact form: its header is a JSON object, hence begins with `eyJ` in base64url. */
const COMPACT_JWS = /^eyJ[\w-]*\.[\w-]*\.[\w-]*$/;

/** The token in the place of a password, undefined when it is a password. */
export function tokenIn(password: string | Uint8Array): string | undefined {
  if (password.length > TOKEN_BYTES_MAX) return undefined;
  const text = typeof password === 'string' ? password : Buffer.from(password).toString('latin1');
  return COMPACT_JWS.test(text) ? text : undefined;
}
