/**
 * Password hashes. Our own are scrypt; RabbitMQ's salted SHA-256 and SHA-512 are kept and verified
 * as imported, so that definitions files travel both ways.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { RandomSource } from '../../base/random.ts';
import { deriveScramKeys, scramKeysToText } from './scram.ts';
import { SCRYPT_KEY_BYTES, type ScryptLane } from './scrypt-lane.ts';

/** Names as in RabbitMQ's definitions files, and our own. */
export type PasswordAlgorithm =
  | 'scrypt'
  | 'rabbit_password_hashing_sha256'
  | 'rabbit_password_hashing_sha512';

export interface PasswordHash {
  readonly algorithm: PasswordAlgorithm;
  /** base64 of salt and digest: 16 + 32 bytes for scrypt, 4 + 32 or 4 + 64 for RabbitMQ's. */
  readonly hash: string;
  /** Keys for SCRAM-SHA-256 (scram.ts), of passwords that were set here. */
  readonly scram?: string;
}

const SCRYPT_SALT_BYTES = 16;
const RABBIT_SALT_BYTES = 4;

/** In the lane, whoever sets passwords. */
const OPERATOR = '';

/** Hashes a new password with scrypt; undefined when the lane is full. */
export function hashPassword(
  lane: ScryptLane,
  random: RandomSource,
  password: string | Uint8Array,
  done: (hash: PasswordHash | undefined) => void,
): void {
  const salt = Buffer.from(random.bytes(SCRYPT_SALT_BYTES));
  const scramSalt = Buffer.from(random.bytes(SCRYPT_SALT_BYTES));
  lane.derive(Buffer.from(password as string), salt, OPERATOR, (key) => {
    if (key === undefined) {
      done(undefined);
      return;
    }
    const hash = Buffer.concat([salt, key]).toString('base64');
    deriveScramKeys(Buffer.from(password as string), scramSalt, (keys) => {
      const scram = keys === undefined ? {} : { scram: scramKeysToText(keys) };
      done({ algorithm: 'scrypt', hash, ...scram });
    });
  });
}

/** RabbitMQ's own form, for definitions that must load there: salt and SHA-256(salt, password). */
export function hashAsRabbit(random: RandomSource, password: string | Uint8Array): PasswordHash {
  const salt = Buffer.from(random.bytes(RABBIT_SALT_BYTES));
  const digest = createHash('sha256').update(salt).update(password).digest();
  return {
    algorithm: 'rabbit_password_hashing_sha256',
    hash: Buffer.concat([salt, digest]).toString('base64'),
  };
}

/** Stands in for the hash of a user who does not exist, so that both answers take the same time. */
export const DUMMY_PASSWORD: PasswordHash = {
  algorithm: 'scrypt',
  hash: Buffer.alloc(SCRYPT_SALT_BYTES + SCRYPT_KEY_BYTES).toString('base64'),
};

/**
 * Compares in constant time. Calls `done` at once for RabbitMQ's hashes, from a later turn for
 * scrypt. A malformed hash matches nothing.
 *
 * @param from  address of who asks: each has its share of the lane
 */
export function verifyPassword(
  lane: ScryptLane,
  stored: PasswordHash,
  password: string | Uint8Array,
  from: string,
  done: (isMatch: boolean) => void,
): void {
  const bytes = Buffer.from(stored.hash, 'base64');
  if (stored.algorithm === 'scrypt') {
    const expected = bytes.subarray(SCRYPT_SALT_BYTES);
    const salt = bytes.subarray(0, SCRYPT_SALT_BYTES);
    lane.derive(Buffer.from(password as string), salt, from, (key) => {
      done(key !== undefined && isSame(key, expected));
    });
    return;
  }
  const name = stored.algorithm === 'rabbit_password_hashing_sha512' ? 'sha512' : 'sha256';
  const salt = bytes.subarray(0, RABBIT_SALT_BYTES);
  const digest = createHash(name).update(salt).update(password).digest();
  done(isSame(digest, bytes.subarray(RABBIT_SALT_BYTES)));
}

/** True when this is a hash we can verify: known algorithm, right length. */
export function isPasswordHash(algorithm: string, hash: string): boolean {
  const byteCount = Buffer.from(hash, 'base64').length;
  switch (algorithm) {
    case 'scrypt':
      return byteCount === SCRYPT_SALT_BYTES + SCRYPT_KEY_BYTES;
    case 'rabbit_password_hashing_sha256':
      return byteCount === RABBIT_SALT_BYTES + 32;
    case 'rabbit_password_hashing_sha512':
      return byteCount === RABBIT_SALT_BYTES + 64;
    default:
      return false;
  }
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
