/**
 * What SCRAM needs of a password (RFC 5802, SHA-256 as in RFC 7677): with these keys the server
 * checks a proof without knowing the password, and proves in turn that it knows them.
 */
import { createHash, createHmac, pbkdf2 } from 'node:crypto';

export interface ScramKeys {
  readonly salt: Buffer;
  readonly iterations: number;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

/** RFC 7677 asks for 4,096 at least. Some 2 ms on the thread pool. */
const ITERATIONS = 4_096;
const KEY_BYTES = 32;
const DIGEST = 'sha256';

/** The keys of a password; undefined when there is no memory for it. */
export function deriveScramKeys(
  password: Buffer,
  salt: Buffer,
  done: (keys: ScramKeys | undefined) => void,
): void {
  // RFC 5802 wants SASLprep'd text; NFKC is what that comes to for printable text.
  const prepared = password.toString('utf8').normalize('NFKC');
  pbkdf2(prepared, salt, ITERATIONS, KEY_BYTES, DIGEST, (error, salted) => {
    if (error !== null) {
      done(undefined);
      return;
    }
    const storedKey = sha256(hmac(salted, 'Client Key'));
    done({ salt, iterations: ITERATIONS, storedKey, serverKey: hmac(salted, 'Server Key') });
  });
}

/** Keys as one word, as they are persisted: iterations, salt, stored key, server key. */
export function scramKeysToText({ iterations, salt, storedKey, serverKey }: ScramKeys): string {
  return [iterations, ...[salt, storedKey, serverKey].map((b) => b.toString('base64'))].join('$');
}

/** The reverse; undefined for what is none. */
export function scramKeysFromText(text: string): ScramKeys | undefined {
  const [count = '', ...rest] = text.split('$');
  const [salt, storedKey, serverKey] = rest.map((part) => Buffer.from(part, 'base64'));
  const iterations = Number(count);
  if (!(iterations > 0) || salt === undefined) return undefined;
  if (storedKey?.length !== KEY_BYTES || serverKey?.length !== KEY_BYTES) return undefined;
  return { salt, iterations, storedKey, serverKey };
}

export function hmac(key: Buffer, text: string): Buffer {
  return createHmac(DIGEST, key).update(text).digest();
}

export function sha256(bytes: Buffer): Buffer {
  return createHash(DIGEST).update(bytes).digest();
}
