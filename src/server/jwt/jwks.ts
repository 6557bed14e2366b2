import type { JSONWebKeySet, JWK } from 'jose';

/** Keys of one set; issuers have a handful, old ones among them. */
const KEYS_MAX = 100;
/** Asymmetric ones. A symmetric key would let everyone who can verify tokens make them. */
const KEY_TYPES: ReadonlySet<unknown> = new Set(['RSA', 'EC', 'OKP']);

/**
 * Reads a JSON Web Key Set (RFC 7517). Keys that are not for verifying signatures are left out:
 * symmetric ones, private ones, those for encryption.
 *
 * @throws Error with a sentence that says what is wrong with the text, never with its contents
 */
export function parseJwks(text: string): JSONWebKeySet {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new Error('is not JSON');
  }
  const listed = isObject(json) ? json['keys'] : undefined;
  if (!Array.isArray(listed)) throw new Error('is not a key set: it has no list `keys`');
  if (listed.length > KEYS_MAX) throw new Error(`has more than ${KEYS_MAX} keys`);
  const keys = listed.filter(isVerificationKey);
  if (keys.length === 0) throw new Error('has no public key for signatures');
  return { keys };
}

function isVerificationKey(key: unknown): key is JWK {
  return isObject(key) && KEY_TYPES.has(key['kty']) && key['use'] !== 'enc' && !('d' in key);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
