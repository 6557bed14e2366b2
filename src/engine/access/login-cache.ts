import { createHmac } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import type { RandomSource } from '../../base/random.ts';
import type { User } from './user.ts';

/** How long a verified password stays valid without being verified again. */
const LIFETIME_MS = 60_000;
/** Logins remembered. At about 200 bytes each: 2 MB. */
const ENTRIES_MAX = 10_000;

interface CachedLogin {
  readonly user: User;
  readonly validUntilMs: number;
}

/**
 * Remembers good logins, so that a reconnect does not pay for scrypt. Passwords are not kept: the
 * key is an HMAC of name and password under a secret of this process.
 */
export class LoginCache {
  readonly #clock: Clock;
  readonly #secret: Uint8Array;
  readonly #logins = new Map<string, CachedLogin>();

  constructor(clock: Clock, random: RandomSource) {
    this.#clock = clock;
    this.#secret = random.bytes(32);
  }

  /** Key of a login; the name's length keeps ('ab', 'c') and ('a', 'bc') apart. */
  keyOf(name: string, password: string | Uint8Array): string {
    const hmac = createHmac('sha256', this.#secret);
    return hmac.update(`${name.length}:${name}:`).update(password).digest('base64');
  }

  find(key: string): User | undefined {
    const login = this.#logins.get(key);
    if (login === undefined) return undefined;
    if (login.validUntilMs > this.#clock.monotonicMs()) return login.user;
    this.#logins.delete(key);
    return undefined;
  }

  remember(key: string, user: User): void {
    if (this.#logins.size >= ENTRIES_MAX) this.#logins.clear();
    this.#logins.set(key, { user, validUntilMs: this.#clock.monotonicMs() + LIFETIME_MS });
  }

  clear(): void {
    this.#logins.clear();
  }
}
