import type { Json } from '../definitions.ts';
import type { PasswordHash } from './password.ts';

/** Caps of one user; undefined is none. */
export interface UserLimits {
  readonly maxConnections?: number;
  readonly maxChannels?: number;
}

/**
 * A login. Identity matters: a user who was deleted and made again is another one, and connections
 * of the first have lost their rights. Only `Access` changes it.
 */
export class User {
  readonly name: string;
  /** Undefined: cannot log in with a password (client certificates only). */
  password: PasswordHash | undefined;
  /** `administrator`, `monitoring`, `policymaker`, `management`, `impersonator`, or own words. */
  tags: ReadonlySet<string>;
  limits: UserLimits;

  constructor(
    name: string,
    password: PasswordHash | undefined,
    tags: ReadonlySet<string>,
    limits: UserLimits,
  ) {
    this.name = name;
    this.password = password;
    this.tags = tags;
    this.limits = limits;
  }
}

/** The persisted form, with the names of RabbitMQ's definitions files. */
export function userToJson(user: User): Json {
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
  readonly tags: readonly string[];
  readonly limits: { readonly 'max-connections'?: number; readonly 'max-channels'?: number };
}

/** The reverse of `userToJson`; the JSON is our own. */
export function userFromJson(name: string, json: Json): User {
  const record = json as unknown as UserRecord;
  const algorithm = record.hashing_algorithm;
  const password =
    algorithm === '' || record.password_hash === ''
      ? undefined
      : { algorithm, hash: record.password_hash };
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
