/**
 * The public keys that tokens are verified with, from a file or a URL.
 *
 * 1. Keys are replaced only by keys: what cannot be fetched, has a status other than 200 or holds
 *    none leaves the last good ones in service (CVE-2026-67409).
 * 2. A token that names an unknown key has the source read again, so that a new key works at once;
 *    at most once in a while, and one reading serves all who wait.
 * 3. One timer reads the source regularly.
 */
import { readFile } from 'node:fs/promises';
import { createLocalJWKSet, errors, type JWTVerifyGetKey } from 'jose';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/logger.ts';
import { parseJwks } from './jwks.ts';

/** Ms for the whole answer of a URL. */
const FETCH_TIMEOUT_MS = 5_000;
/** Bytes of the answer; 100 RSA keys with certificates have less. */
const ANSWER_BYTES_MAX = 1024 * 1024;
/** Ms between readings that unknown keys cause: of a URL ... */
const URL_COOLDOWN_MS = 10_000;
/** ... and of a file. */
const FILE_COOLDOWN_MS = 500;
/** Ms between regular readings of a file: polling sees renames and symbolic links alike. */
const FILE_REFRESH_MS = 5_000;
/** Ms until a URL that failed is read again. */
const RETRY_MS = 30_000;

export interface KeySourceOptions {
  /** A file name, or an http or https URL. */
  readonly location: string;
  /** Ms between regular readings of a URL. */
  readonly refreshMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class KeySource {
  readonly #options: KeySourceOptions;
  readonly #isUrl: boolean;
  #text: string;
  #keys: ReturnType<typeof createLocalJWKSet> | undefined;
  #reading: Promise<boolean> | undefined;
  /** Monotonic ms of the last reading. */
  #readAtMs: number;
  #timer: NodeJS.Timeout | undefined;
  #isClosed: boolean;
  /** What the last reading failed with, so that a failure is logged once. */
  #problem: string;

  private constructor(options: KeySourceOptions) {
    this.#options = options;
    this.#isUrl = isUrl(options.location);
    this.#text = '';
    this.#keys = undefined;
    this.#reading = undefined;
    this.#readAtMs = -Infinity;
    this.#timer = undefined;
    this.#isClosed = false;
    this.#problem = '';
  }

  /**
   * Reads the keys. A URL that does not answer is tried again later: until then no token is taken.
   *
   * @throws Error with a sentence for the operator when a file cannot be read or has no keys
   */
  static async open(options: KeySourceOptions): Promise<KeySource> {
    const { location, logger } = options;
    if (/^http:/i.test(location)) {
      logger.warn({ location }, 'token keys come over plain HTTP: who changes them, logs in');
    }
    const source = new KeySource(options);
    const isGood = await source.refresh();
    if (!isGood && !source.#isUrl) {
      source.close();
      throw new Error(`token-jwks: ${location} ${source.#problem}`);
    }
    return source;
  }

  /** Finds the key that a token's header asks for; jose calls it. */
  readonly getKey: JWTVerifyGetKey = async (header, token) => {
    try {
      return await this.#find(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || !(await this.#readAgain())) throw error;
      return this.#find(header, token);
    }
  };

  /** Reads the source now; false when the keys that were there stay. */
  refresh(): Promise<boolean> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #find(...[header, token]: Parameters<JWTVerifyGetKey>): ReturnType<JWTVerifyGetKey> {
    if (this.#keys === undefined) throw new errors.JWKSNoMatchingKey();
    return this.#keys(header, token);
  }

  async #readAgain(): Promise<boolean> {
    const cooldownMs = this.#isUrl ? URL_COOLDOWN_MS : FILE_COOLDOWN_MS;
    const elapsedMs = this.#options.clock.monotonicMs() - this.#readAtMs;
    if (this.#reading === undefined && elapsedMs < cooldownMs) return false;
    return this.refresh();
  }

  async #read(): Promise<boolean> {
    const { location, clock, logger } = this.#options;
    this.#readAtMs = clock.monotonicMs();
    let isGood = true;
    try {
      const text = await (this.#isUrl ? fetchText(location) : readText(location));
      this.#take(text);
      this.#problem = '';
    } catch (error) {
      isGood = false;
      const { message } = error as Error;
      if (message !== this.#problem) {
        logger.error(
          { location, problem: message },
          'token keys unusable, the last good ones stay',
        );
      }
      this.#problem = message;
    }
    this.#schedule(isGood);
    return isGood;
  }

  #take(text: string): void {
    if (text === this.#text) return;
    const jwks = parseJwks(text);
    this.#keys = createLocalJWKSet(jwks);
    this.#text = text;
    const { location, logger } = this.#options;
    logger.info({ location, keyCount: jwks.keys.length }, 'token keys read');
  }

  #schedule(isGood: boolean): void {
    clearTimeout(this.#timer);
    if (this.#isClosed) return;
    const { refreshMs } = this.#options;
    const urlMs = isGood ? refreshMs : Math.min(refreshMs, RETRY_MS);
    const waitMs = this.#isUrl ? urlMs : FILE_REFRESH_MS;
    this.#timer = setTimeout(() => void this.refresh(), waitMs).unref();
  }
}

/** What is wrong with a file of keys; a URL is asked by a start only. */
export async function findKeyFileProblems(location: string): Promise<readonly string[]> {
  if (isUrl(location)) return [];
  try {
    parseJwks(await readText(location));
    return [];
  } catch (error) {
    return [`token-jwks: ${location} ${(error as Error).message}`];
  }
}

function isUrl(location: string): boolean {
  return /^https?:\/\//i.test(location);
}

async function readText(fileName: string): Promise<string> {
  try {
    return await readFile(fileName, 'utf8');
  } catch (error) {
    throw new Error(`cannot be read: ${(error as NodeJS.ErrnoException).code}`, { cause: error });
  }
}

/** Redirects are not followed: the operator named who is trusted. */
async function fetchText(url: string): Promise<string> {
  let response: Response;
  try {
    response = await fetch(url, {
      redirect: 'error',
      signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
      headers: { accept: 'application/jwk-set+json, application/json' },
    });
  } catch (error) {
    const { message, cause } = error as Error & { cause?: Error };
    throw new Error(`cannot be fetched: ${cause?.message ?? message}`, { cause: error });
  }
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`answered with status ${response.status}`);
  }
  return readBody(response);
}

async function readBody(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let byteCount = 0;
  for await (const chunk of response.body ?? []) {
    byteCount += chunk.length;
    if (byteCount > ANSWER_BYTES_MAX) throw new Error('answered with more than 1 MiB');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
