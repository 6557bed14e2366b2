import type { Broker } from '../../src/engine/broker.ts';
import { type AccessKey, KEY_ID_PREFIX } from '../../src/engine/access/access-key.ts';
import type { Actor } from '../../src/engine/actor.ts';
import { CmqFailure } from './error-mapper.ts';

/**
 * The key of a SecretId.
 * @throws CmqFailure SECRET_ID_PREFIX, SECRET_ID_UNKNOWN, KEY_DISABLED
 */
export function findKey(broker: Broker, secretId: string): AccessKey {
  const key = broker.access.keys.find(secretId);
  if (key === undefined) {
    const hasPrefix = secretId.startsWith(KEY_ID_PREFIX);
    throw new CmqFailure(hasPrefix ? 'SECRET_ID_UNKNOWN' : 'SECRET_ID_PREFIX');
  }
  if (!key.isEnabled) throw new CmqFailure('KEY_DISABLED');
  return key;
}

/** Characters of an id in the log; no key's is longer. */
const LOGGED_ID_MAX = 64;

/**
 * An id as the log may have it: of a key, or of what must have been one. Any other text may be the
 * secret, of a client that has the two the wrong way round.
 */
export function loggableId(broker: Broker, secretId: string): string | undefined {
  const isId =
    secretId.startsWith(KEY_ID_PREFIX) || broker.access.keys.find(secretId) !== undefined;
  return isId ? secretId.slice(0, LOGGED_ID_MAX) : undefined;
}

/** Why a key that was good when its request came is not so now; undefined when it is. */
export function refusalOf(broker: Broker, { id }: Account): CmqFailure | undefined {
  if (id === undefined) return undefined;
  try {
    findKey(broker, id);
    return undefined;
  } catch (error) {
    return error as CmqFailure;
  }
}

/** Whom a request acts for: the user of a key, or of the anonymous mode, in its vhost. */
export interface Account {
  /** Of its key; undefined in the anonymous mode. */
  readonly id?: string;
  readonly user: string;
  readonly vhost: string;
}

/**
 * Who a request acts as.
 * @throws CmqFailure ACCOUNT_ILLEGAL when the user or the vhost is gone, or it may not be used
 */
export function actorOf(
  broker: Broker,
  account: Account,
  connectionId: number,
  isLoopback: boolean,
): Actor {
  const { access } = broker;
  const user = access.user(account.user);
  const vhost = broker.vhost(account.vhost);
  const isAllowed =
    user !== undefined &&
    vhost !== undefined &&
    access.mayOpenVhost(user, vhost.name) &&
    access.mayConnectFrom(user, isLoopback);
  if (!isAllowed) throw new CmqFailure('ACCOUNT_ILLEGAL');
  return { user, vhost, connectionId };
}
