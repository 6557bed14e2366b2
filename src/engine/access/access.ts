/**
 * Who may do what: users, permissions, topic permissions, logins. All protocols ask here, through
 * one authorisation function, and everything is denied that is not allowed.
 *
 * 1. Every change bumps `revision`; whoever caches an answer keeps the revision with it.
 * 2. A user object that was deleted has no rights, even if the name was taken again.
 * 3. Every change of a persisted record is told to `onRecord`, once, after it is in force; what
 *    `restore` puts back is not.
 * 4. Unknown users and wrong passwords take the same time and give the same answer.
 * 5. A login with a token has the rights of the token and no others, in memory only, until it
 *    expires.
 */
import type { Clock } from '../../base/clock.ts';
import { BrokerError } from '../../base/errors.ts';
import type { RandomSource } from '../../base/random.ts';
import type { Json } from '../definitions.ts';
import { AccessKeys } from './access-key.ts';
import { LoginCache } from './login-cache.ts';
import { DUMMY_PASSWORD, hashPassword, verifyPassword, type PasswordHash } from './password.ts';
import {
  Permission,
  TopicPermission,
  type PermissionKind,
  type PermissionPatterns,
  type TopicPatterns,
} from './permission.ts';
import { ScryptLane } from './scrypt-lane.ts';
import type { TokenGrant } from './token-grant.ts';
import { tokenIn, type TokenVerifier } from './token-login.ts';
import { tokenUser, User, userFromJson, userRecord, type UserLimits } from './user.ts';

export type ResourceKind = 'exchange' | 'queue';
export type AccessRecordKind = 'user' | 'permission' | 'topic_permission' | 'access_key';

/** Told of each changed record; `value` undefined: it is gone. */
export type AccessRecordListener = (
  kind: AccessRecordKind,
  names: readonly string[],
  value: Json | undefined,
) => void;

export interface AccessDeps {
  readonly clock: Clock;
  readonly random: RandomSource;
  /** Users who may log in from this machine only. */
  readonly loopbackUsers?: readonly string[];
}

/** What to change of a user; what is left out stays, or starts empty. */
export interface UserChange {
  readonly password?: PasswordHash | undefined;
  readonly tags?: Iterable<string>;
  readonly limits?: UserLimits;
}

type LoginDone = (user: User | undefined) => void;

interface LoginAttempt {
  readonly name: string;
  readonly password: string | Uint8Array;
  readonly from: string;
}

/** What a user may do with the resources of one vhost. */
interface VHostRights {
  allows(kind: PermissionKind, name: string): boolean;
}

export class Access {
  onRecord: AccessRecordListener;
  /** Set when tokens are taken in the place of passwords. */
  tokenVerifier: TokenVerifier | undefined;
  /** Keys that sign requests; each stands for a user. */
  readonly keys: AccessKeys;
  readonly #clock: Clock;
  readonly #random: RandomSource;
  readonly #users = new Map<string, User>();
  /** By user name, then vhost. */
  readonly #permissions = new Map<string, Map<string, Permission>>();
  /** By user name, then vhost and exchange. */
  readonly #topics = new Map<string, Map<string, Map<string, TopicPermission>>>();
  readonly #loopbackUsers: ReadonlySet<string>;
  readonly #lane = new ScryptLane();
  readonly #logins: LoginCache;
  /** Logins being verified, so that a storm of equal ones pays once. */
  readonly #verifying = new Map<string, LoginDone[]>();
  #revision = 1;

  constructor(deps: AccessDeps) {
    this.onRecord = () => {};
    this.tokenVerifier = undefined;
    this.keys = new AccessKeys({
      hasUser: (name) => this.#users.has(name),
      onRecord: (names, value) => this.#changed('access_key', names, value),
    });
    this.#clock = deps.clock;
    this.#random = deps.random;
    this.#loopbackUsers = new Set(deps.loopbackUsers ?? ['guest']);
    this.#logins = new LoginCache(deps.clock, deps.random);
  }

  /** Grows with every change of users, permissions and topic permissions. */
  get revision(): number {
    return this.#revision;
  }

  // Users

  user(name: string): User | undefined {
    return this.#users.get(name);
  }

  users(): Iterable<User> {
    return this.#users.values();
  }

  /** Hashes a password for `putUser`; undefined when too many logins are waiting. */
  hashPassword(
    password: string | Uint8Array,
    done: (hash: PasswordHash | undefined) => void,
  ): void {
    hashPassword(this.#lane, this.#random, password, done);
  }

  /** Makes a user or changes one. */
  putUser(name: string, change: UserChange): User {
    let user = this.#users.get(name);
    if (user === undefined) {
      user = new User(name, change.password, new Set(change.tags ?? []), change.limits ?? {});
      this.#users.set(name, user);
    } else {
      if ('password' in change) user.password = change.password;
      if (change.tags !== undefined) user.tags = new Set(change.tags);
      if (change.limits !== undefined) user.limits = change.limits;
    }
    this.#changed('user', [name], userRecord(user));
    return user;
  }

  /** Deletes a user with all permissions and keys, and ends its connections. False without one. */
  deleteUser(name: string): boolean {
    const user = this.#users.get(name);
    if (user === undefined) return false;
    this.#users.delete(name);
    user.isDeleted = true;
    for (const vhost of [...(this.#permissions.get(name)?.keys() ?? [])]) {
      this.clearPermission(name, vhost);
    }
    for (const [vhost, exchanges] of [...(this.#topics.get(name) ?? [])]) {
      for (const exchange of [...exchanges.keys()]) {
        this.clearTopicPermission(name, vhost, exchange);
      }
    }
    this.keys.removeUser(name);
    this.#changed('user', [name], undefined);
    return true;
  }

  // Permissions

  permission(userName: string, vhost: string): Permission | undefined {
    return this.#permissions.get(userName)?.get(vhost);
  }

  /** Every permission of a user, by vhost. */
  permissionsOf(userName: string): ReadonlyMap<string, Permission> {
    return this.#permissions.get(userName) ?? new Map();
  }

  /** @throws BrokerError NOT_FOUND without such a user, PRECONDITION_FAILED for a bad pattern */
  setPermission(userName: string, vhost: string, patterns: PermissionPatterns): void {
    this.#requireUser(userName);
    const permission = new Permission(patterns);
    subMap(this.#permissions, userName).set(vhost, permission);
    this.#changed('permission', [userName, vhost], permission.toJson());
  }

  clearPermission(userName: string, vhost: string): boolean {
    const byVhost = this.#permissions.get(userName);
    if (byVhost?.delete(vhost) !== true) return false;
    if (byVhost.size === 0) this.#permissions.delete(userName);
    this.#changed('permission', [userName, vhost], undefined);
    return true;
  }

  /** Topic permissions of a user in a vhost, by exchange. */
  topicPermissionsOf(userName: string, vhost: string): ReadonlyMap<string, TopicPermission> {
    return this.#topics.get(userName)?.get(vhost) ?? new Map();
  }

  /** @throws BrokerError NOT_FOUND without such a user, PRECONDITION_FAILED for a bad pattern */
  setTopicPermission(
    userName: string,
    vhost: string,
    exchange: string,
    patterns: TopicPatterns,
  ): void {
    this.#requireUser(userName);
    const permission = new TopicPermission(patterns);
    subMap(subMap(this.#topics, userName), vhost).set(exchange, permission);
    this.#changed('topic_permission', [userName, vhost, exchange], permission.toJson());
  }

  clearTopicPermission(userName: string, vhost: string, exchange: string): boolean {
    const byVhost = this.#topics.get(userName);
    const byExchange = byVhost?.get(vhost);
    if (byVhost === undefined || byExchange?.delete(exchange) !== true) return false;
    if (byExchange.size === 0) byVhost.delete(vhost);
    if (byVhost.size === 0) this.#topics.delete(userName);
    this.#changed('topic_permission', [userName, vhost, exchange], undefined);
    return true;
  }

  /** A vhost is being deleted: so are the rights in it. */
  removeVHost(vhost: string): void {
    this.keys.removeVHost(vhost);
    for (const name of [...this.#permissions.keys()]) this.clearPermission(name, vhost);
    for (const [name, byVhost] of [...this.#topics]) {
      for (const exchange of [...(byVhost.get(vhost)?.keys() ?? [])]) {
        this.clearTopicPermission(name, vhost, exchange);
      }
    }
  }

  // Login

  /**
   * Checks name and password. Calls `done` at once when the answer is remembered or cheap, else
   * from a later turn; with undefined when the login is refused, for whatever reason. A token in
   * the place of the password names the user itself; `name` does not count then.
   *
   * @param from  address of the client: passwords of one wait for each other, not for all
   */
  authenticate(name: string, password: string | Uint8Array, done: LoginDone, from = ''): void {
    if (password.length === 0) {
      done(undefined);
      return;
    }
    const token = this.tokenVerifier === undefined ? undefined : tokenIn(password);
    if (token !== undefined) {
      this.#tokenLogin(token, done);
      return;
    }
    const key = this.#logins.keyOf(name, password);
    const cached = this.#logins.find(key);
    if (cached !== undefined) {
      done(cached);
      return;
    }
    const waiting = this.#verifying.get(key);
    if (waiting !== undefined) waiting.push(done);
    else this.#verify({ name, password, from }, key, done);
  }

  #tokenLogin(token: string, done: LoginDone): void {
    this.tokenVerifier!.verify(token, (login) => {
      if (login === undefined || !this.#isValid(login.grant)) done(undefined);
      else done(tokenUser(login.name, login.grant));
    });
  }

  /**
   * A client has new credentials for its login. With a valid token for the same name the rights of
   * the old one are replaced; `done(false)`, now or in a later turn, when they are not. A login
   * with a password has nothing to renew: `done(true)`, as in RabbitMQ.
   *
   * The caller looks again at what the connection already has, its vhost and its consumers.
   */
  renew(user: User, secret: string | Uint8Array, done: (isRenewed: boolean) => void): void {
    if (user.grant === undefined) {
      done(true);
      return;
    }
    const token = this.tokenVerifier === undefined ? undefined : tokenIn(secret);
    if (token === undefined) {
      done(false);
      return;
    }
    this.tokenVerifier!.verify(token, (login) => {
      const isGood = login?.name === user.name && this.#isValid(login.grant);
      if (isGood) {
        user.grant = login.grant;
        user.tags = login.grant.tags;
        this.#revision++;
      }
      done(isGood);
    });
  }

  #verify({ name, password, from }: LoginAttempt, key: string, done: LoginDone): void {
    const callbacks = [done];
    this.#verifying.set(key, callbacks);
    const user = this.#users.get(name);
    const stored = user?.password;
    verifyPassword(this.#lane, stored ?? DUMMY_PASSWORD, password, from, (isMatch) => {
      this.#verifying.delete(key);
      // The user may have been deleted or given another password meanwhile.
      const isStill = user !== undefined && this.#users.get(name) === user;
      const isGood = isMatch && isStill && stored !== undefined && user.password === stored;
      if (isGood) this.#logins.remember(key, user);
      for (const callback of callbacks) callback(isGood ? user : undefined);
    });
  }

  /** False when the user may log in from this machine only and the peer is elsewhere. */
  mayConnectFrom(user: User, isLoopback: boolean): boolean {
    return isLoopback || !this.#loopbackUsers.has(user.name);
  }

  // Authorisation

  /** True when the user has any right in the vhost (and still exists). */
  mayOpenVhost(user: User, vhost: string): boolean {
    return this.#rightsIn(user, vhost) !== undefined;
  }

  /** @throws BrokerError NOT_ALLOWED when the user may not use the vhost */
  authorizeVhost(user: User, vhost: string): void {
    if (this.mayOpenVhost(user, vhost)) return;
    const text = `access to vhost '${vhost}' refused for user '${user.name}'`;
    throw new BrokerError('NOT_ALLOWED', text);
  }

  isAuthorized(
    user: User,
    vhost: string,
    permission: PermissionKind,
    kind: ResourceKind,
    name: string,
  ): boolean {
    return this.#rightsIn(user, vhost)?.allows(permission, checkedName(kind, name)) === true;
  }

  /**
   * The one gate. The default exchange counts as `amq.default`.
   * @throws BrokerError ACCESS_REFUSED
   */
  authorize(
    user: User,
    vhost: string,
    permission: PermissionKind,
    kind: ResourceKind,
    name: string,
  ): void {
    if (!this.isAuthorized(user, vhost, permission, kind, name)) {
      throw refusal(user, vhost, permission, kind, name);
    }
  }

  /**
   * For passive declares: any of the three permissions will do.
   * @throws BrokerError ACCESS_REFUSED
   */
  authorizeAny(user: User, vhost: string, kind: ResourceKind, name: string): void {
    const rights = this.#rightsIn(user, vhost);
    const checked = checkedName(kind, name);
    const isAllowed =
      rights !== undefined &&
      (rights.allows('read', checked) ||
        rights.allows('write', checked) ||
        rights.allows('configure', checked));
    if (!isAllowed) throw refusal(user, vhost, 'configure', kind, name);
  }

  /**
   * For topic exchanges: publishing needs `write`, binding needs `read` on the routing key. Without
   * a topic permission for the exchange all keys are allowed; a token must allow the key.
   * @throws BrokerError ACCESS_REFUSED
   */
  authorizeTopic(
    user: User,
    vhost: string,
    permission: 'write' | 'read',
    exchange: string,
    routingKey: string,
    clientId?: string,
  ): void {
    if (this.#allowsTopic(user, vhost, permission, exchange, routingKey, clientId)) return;
    throw new BrokerError(
      'ACCESS_REFUSED',
      `${permission} access to topic '${routingKey}' in exchange '${exchange}' in vhost ` +
        `'${vhost}' refused for user '${user.name}'`,
    );
  }

  // Persistence

  /**
   * Puts a persisted record back at start-up.
   * @throws BrokerError PRECONDITION_FAILED when a pattern is refused by now
   */
  restore(kind: AccessRecordKind, names: readonly string[], value: Json): void {
    const [name = '', vhost = '', exchange = ''] = names;
    this.#revision++;
    if (kind === 'access_key') {
      this.keys.restore(name, value);
    } else if (kind === 'user') {
      this.#users.set(name, userFromJson(name, value));
    } else if (kind === 'permission') {
      const permission = new Permission(value as unknown as PermissionPatterns);
      subMap(this.#permissions, name).set(vhost, permission);
    } else {
      const permission = new TopicPermission(value as unknown as TopicPatterns);
      subMap(subMap(this.#topics, name), vhost).set(exchange, permission);
    }
  }

  #allowsTopic(
    user: User,
    vhost: string,
    permission: 'write' | 'read',
    exchange: string,
    routingKey: string,
    clientId: string | undefined,
  ): boolean {
    if (!this.#isCurrent(user)) return false;
    if (user.grant !== undefined) {
      const grant = user.grant.inVHost(vhost);
      const isTopic = clientId !== undefined;
      return grant?.allowsTopic(permission, exchange, routingKey, isTopic) === true;
    }
    const rights = this.#topics.get(user.name)?.get(vhost)?.get(exchange);
    if (rights === undefined) return true;
    return rights.allows(permission, routingKey, { username: user.name, vhost, clientId });
  }

  /** Whether the login still counts: the user exists, or the token is valid. */
  #isCurrent(user: User): boolean {
    if (user.grant !== undefined) return this.#isValid(user.grant);
    return this.#users.get(user.name) === user;
  }

  #isValid(grant: TokenGrant): boolean {
    return grant.expiresAtMs > this.#clock.wallMs();
  }

  #rightsIn(user: User, vhost: string): VHostRights | undefined {
    if (!this.#isCurrent(user)) return undefined;
    if (user.grant !== undefined) return user.grant.inVHost(vhost);
    return this.#permissions.get(user.name)?.get(vhost);
  }

  #requireUser(name: string): void {
    if (!this.#users.has(name)) throw new BrokerError('NOT_FOUND', `no user '${name}'`);
  }

  #changed(kind: AccessRecordKind, names: readonly string[], value: Json | undefined): void {
    this.#revision++;
    this.#logins.clear();
    this.onRecord(kind, names, value);
  }
}

function checkedName(kind: ResourceKind, name: string): string {
  return kind === 'exchange' && name === '' ? 'amq.default' : name;
}

function refusal(
  user: User,
  vhost: string,
  permission: PermissionKind,
  kind: ResourceKind,
  name: string,
): BrokerError {
  const resource = `${kind} '${checkedName(kind, name)}' in vhost '${vhost}'`;
  const text = `${permission} access to ${resource} refused for user '${user.name}'`;
  return new BrokerError('ACCESS_REFUSED', text);
}

function subMap<K, V>(map: Map<string, Map<K, V>>, key: string): Map<K, V> {
  let sub = map.get(key);
  if (sub === undefined) map.set(key, (sub = new Map()));
  return sub;
}
