import type { Json } from '../definitions.ts';
import type { PasswordHash } from './password.ts';
import type { TokenGrant } from './token-grant.ts';

/** Caps of one user; undefined is none. */
export interface UserLimits {
  readonly maxConnections?: number;
  readonly maxChannels?: number;
}

/**
 * A login. Identity matters: a user who was deleted and made again is another one, and connections
 * of the first have lost their rights. Only `Access` changes it, but for the count of connections.
 *
 * A user with a grant is one login with a token. No record of it exists; it is not the user of the
 * same name that `Access` may know, and has none of that one's rights.
 */
export class User {
  readonly name: string;
  /** Undefined: cannot log in with a password (client certificates only). */
  password: PasswordHash | undefined;
  /** `administrator`, `monitoring`, `policymaker`, `management`, `impersonator`, or own words. */
  tags: ReadonlySet<string>;
  limits: UserLimits;
  /** Rights of a login with a token; another token of the same login may replace them. */
  grant: TokenGrant | undefined;
  /** It was deleted: nothing is left of its rights, and its connections end. */
  isDeleted: boolean;
  /** Connections it has open, over all protocols: each adds itself and takes itself off. */
  connectionCount: number;

  constructor(
    name: string,
    password: PasswordHash | undefined,
    tags: ReadonlySet<string>,
    limits: UserLimits,
    grant?: TokenGrant,
  ) {
    this.name = name;
    this.password = password;
    this.tags = tags;
    this.limits = limits;
    this.grant = grant;
    this.isDeleted = false;
    this.connectionCount = 0;
  }

  /** Room for one more connection. */
  get mayConnect(): boolean {
    const max = this.limits.maxConnections;
    return max === undefined || this.connectionCount < max;
  }

  /** Wall-clock ms at which connections of this login must end; Infinity for one that stays. */
  get expiresAtMs(): number {
    if (this.isDeleted) return 0;
    return this.grant === undefined ? Infinity : this.grant.expiresAtMs;
  }
}

/** One login with a token. */
export function tokenUser(name: string, grant: TokenGrant): User {
  return new User(name, undefined, grant.tags, {}, grant);
}

/** The persisted form, with the names of RabbitMQ's definitions files. */
export function userToJson(user: Pick<User, 'password' | 'tags' | 'limits'>): Json {
  return {
    password_hash: user.password?.hash ?? '',
    hashing_algorithm: user.password?.algorithm ?? '',
    tags: [...user.tags],
    limits: {
      ...(user.limits.maxConnections !== undefined && {
        'max-connections': user.limits.maxConnections,
      }),
      ...(user.limits.maxChannels !== undefined && { 'max-channels': user.limits.maxChannels }),
    },
  };
}

interface UserRecord {
  readonly password_hash: string;
  readonly hashing_algorithm: PasswordHash['algorithm'] | '';
  readonly scram?: string;
  readonly tags: readonly string[];
  readonly limits: { readonly 'max-connections'?: number; readonly 'max-channels'?: number };
}

/** What is persisted of a user: also what definitions files have no name for. */
export function userRecord(user: Pick<User, 'password' | 'tags' | 'limits'>): Json {
  const scram = user.password?.scram;
  return { ...(userToJson(user) as object), ...(scram !== undefined && { scram }) };
}

/** The reverse of `userRecord`; the JSON is our own. */
export function userFromJson(name: string, json: Json): User {
  const record = json as unknown as UserRecord;
  const algorithm = record.hashing_algorithm;
  const password =
    algorithm === '' || record.password_hash === ''
      ? undefined
      : {
          algorithm,
          hash: record.password_hash,
          ...(record.scram !== undefined && { scram: record.scram }),
        };
  const limits = {
    ...(record.limits['max-connections'] !== undefined && {
      maxConnections: record.limits['max-connections'],
    }),
    ...(record.limits['max-channels'] !== undefined && {
      maxChannels: record.limits['max-channels'],
    }),
  };
  return new User(name, password, new Set(record.tags), limits);
}
