/**
 * Keys that sign requests in the place of a login: an id that everyone may see, a secret that never
 * travels, and the user and vhost it stands for. A key has the rights of its user, no others.
 *
 * The secret is kept as it is: an HMAC cannot be checked with less. It is as safe as the data
 * directory; logs and errors never hold it.
 */
import { BrokerError } from '../../base/errors.ts';
import type { RandomSource } from '../../base/random.ts';
import type { Json } from '../definitions.ts';

/** One key. Replaced as a whole when it changes. */
export interface AccessKey {
  /** SecretId: by custom `AKID` and 32 letters and digits. */
  readonly id: string;
  /** SecretKey. */
  readonly secret: string;
  readonly user: string;
  /** The account. */
  readonly vhost: string;
  /** A disabled key stays known, so that its users are told why it fails. */
  readonly isEnabled: boolean;
}

/** How ids begin. */
export const KEY_ID_PREFIX = 'AKID';

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
/** Letters of an id behind its prefix, and of a secret: 190 bits. */
const LETTER_COUNT = 32;
/** What a key may be made of: it travels in forms and in headers. */
const KEY_ID = /^[A-Za-z0-9_-]{1,64}$/;
/** Characters of a secret. */
const SECRET_MIN = 8;
const SECRET_MAX = 256;

interface AccessKeysDeps {
  hasUser(name: string): boolean;
  /** Told of each changed record; `value` undefined: it is gone. */
  onRecord(names: readonly string[], value: Json | undefined): void;
}

/** Every key of the broker. */
export class AccessKeys {
  readonly #keys = new Map<string, AccessKey>();
  readonly #deps: AccessKeysDeps;

  constructor(deps: AccessKeysDeps) {
    this.#deps = deps;
  }

  find(id: string): AccessKey | undefined {
    return this.#keys.get(id);
  }

  all(): Iterable<AccessKey> {
    return this.#keys.values();
  }

  /**
   * Makes a key or replaces the one of the same id. The caller knows that the vhost exists.
   * @throws BrokerError NOT_FOUND without such a user, PRECONDITION_FAILED for a bad id or secret
   */
  put(key: AccessKey): void {
    const problem = keyProblem(key);
    if (problem !== undefined) throw new BrokerError('PRECONDITION_FAILED', problem);
    if (!this.#deps.hasUser(key.user)) {
      throw new BrokerError('NOT_FOUND', `no user '${key.user}'`);
    }
    this.#keys.set(key.id, key);
    this.#deps.onRecord([key.id], keyToJson(key));
  }

  /** Returns false when there was none. */
  delete(id: string): boolean {
    if (!this.#keys.delete(id)) return false;
    this.#deps.onRecord([id], undefined);
    return true;
  }

  /** The user is being deleted: so are its keys. */
  removeUser(name: string): void {
    this.#remove((key) => key.user === name);
  }

  /** The vhost is being deleted: so are its keys. */
  removeVHost(name: string): void {
    this.#remove((key) => key.vhost === name);
  }

  /** Puts a persisted key back at start-up. */
  restore(id: string, json: Json): void {
    this.#keys.set(id, keyFromJson(id, json));
  }

  #remove(isGone: (key: AccessKey) => boolean): void {
    for (const key of [...this.#keys.values()]) if (isGone(key)) this.delete(key.id);
  }
}

/** What is wrong with a key by itself; undefined when nothing is. */
export function keyProblem({ id, secret }: Pick<AccessKey, 'id' | 'secret'>): string | undefined {
  if (!KEY_ID.test(id)) return 'a key id has 1 to 64 letters, digits, - and _';
  if (secret.length < SECRET_MIN || secret.length > SECRET_MAX) {
    return `the secret of a key has ${SECRET_MIN} to ${SECRET_MAX} characters`;
  }
  return undefined;
}

/** A new id and secret. */
export function newKeyPair(random: RandomSource): Pick<AccessKey, 'id' | 'secret'> {
  return { id: KEY_ID_PREFIX + randomLetters(random), secret: randomLetters(random) };
}

/** The persisted form; definitions files have an `id` besides. */
export function keyToJson(key: AccessKey): Json {
  const { secret, user, vhost, isEnabled: enabled } = key;
  return { secret, user, vhost, enabled };
}

function keyFromJson(id: string, json: Json): AccessKey {
  const { enabled, ...record } = json as Omit<AccessKey, 'id' | 'isEnabled'> & {
    readonly enabled: boolean;
  };
  return { id, ...record, isEnabled: enabled };
}

/** Every letter is as likely as any other. */
function randomLetters(random: RandomSource): string {
  const fair = 256 - (256 % LETTERS.length);
  let text = '';
  while (text.length < LETTER_COUNT) {
    for (const byte of random.bytes(LETTER_COUNT)) {
      if (byte < fair && text.length < LETTER_COUNT) text += LETTERS[byte % LETTERS.length]!;
    }
  }
  return text;
}
