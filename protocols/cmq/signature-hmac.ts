import { createHmac, hash as digest } from 'node:crypto';

/** Hashes of API 2.0's signatures. */
export type HmacHash = 'sha1' | 'sha256';

/** Bytes of a block of both hashes (RFC 2104, B). */
const BLOCK = 64;
const INNER_PAD = 0x36;
const OUTER_PAD = 0x5c;
/** Bytes of the longest text that is hashed here; with longer ones nothing is gained. */
export const TEXT_BYTES_MAX = 64 * 1024;
/** Bytes that a UTF-16 unit takes in UTF-8 at most. */
const BYTES_PER_UNIT = 3;

/** Used by one call at a time, which never waits. */
const inner = Buffer.alloc(BLOCK + TEXT_BYTES_MAX);
const outer = Buffer.alloc(BLOCK + 32);

/** A text of at most TEXT_BYTES_MAX that is put together piece by piece; one at a time. */
export class HmacText {
  #end: number;

  constructor() {
    this.#end = BLOCK;
  }

  /** UTF-8 of `text`. */
  add(text: string): void {
    this.#end += inner.write(text, this.#end, 'utf8');
  }

  /** Bytes as they are, [start, end). */
  addBytes(bytes: Buffer, start: number, end: number): void {
    this.#end += bytes.copy(inner, this.#end, start, end);
  }

  /** As `hmacBase64`; the secret must be short. */
  base64(hash: HmacHash, secret: string): string {
    return seal(hash, secret, this.#end);
  }
}

/** Whether HMACs of that secret can be made of an `HmacText`. */
export function isShortSecret(secret: string): boolean {
  return secret.length * BYTES_PER_UNIT <= BLOCK;
}

/**
 * Base64 of the HMAC (RFC 2104) of the text's UTF-8.
 *
 * By two plain hashes: these take two thirds of the time of an `Hmac` object, which every request
 * would make, fill and leave to the collector.
 */
export function hmacBase64(hash: HmacHash, secret: string, text: string): string {
  if (text.length * BYTES_PER_UNIT > TEXT_BYTES_MAX || !isShortSecret(secret)) {
    return createHmac(hash, secret).update(text).digest('base64');
  }
  return seal(hash, secret, BLOCK + inner.write(text, BLOCK, 'utf8'));
}

/** The HMAC of what lies in `inner` from BLOCK to `end`. */
function seal(hash: HmacHash, secret: string, end: number): string {
  const secretBytes = inner.write(secret, 0, 'utf8');
  for (let at = 0; at < BLOCK; at += 1) {
    const byte = at < secretBytes ? inner[at]! : 0;
    inner[at] = byte ^ INNER_PAD;
    outer[at] = byte ^ OUTER_PAD;
  }
  const innerHash = digest(hash, inner.subarray(0, end), 'binary');
  const outerEnd = BLOCK + outer.write(innerHash, BLOCK, 'latin1');
  return digest(hash, outer.subarray(0, outerEnd), 'base64');
}
