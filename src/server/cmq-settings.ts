import { type CmqSettings, DEFAULT_CMQ_SETTINGS } from '../../protocols/cmq/settings.ts';
import { BrokerError } from '../base/errors.ts';
import type { Broker } from '../engine/broker.ts';
import type { Config } from './config.ts';

/** The part of the configuration that CMQ takes. */
export function cmqSettings(config: Config): CmqSettings {
  const { cmqAnonymousUser: user, defaultVhost: vhost } = config;
  return {
    ...DEFAULT_CMQ_SETTINGS,
    timestampWindowSeconds: config.cmqTimestampWindow / 1000,
    anonymous: user === undefined ? undefined : { user, vhost },
    requestsPerSecond: config.cmqRequestsPerSecond,
    queueRequestsPerSecond: config.cmqQueueRequestsPerSecond,
    delaySecondsMax: Math.floor(config.cmqDelayMax / 1000),
    queuesMax: config.cmqQueuesMax,
    delayedMax: config.cmqDelayedMax,
    inactiveMax: config.cmqInactiveMax,
    topicsMax: config.cmqTopicsMax,
    subscriptionsMax: config.cmqSubscriptionsMax,
    nameCoolDownSeconds: config.cmqNameCoolDown / 1000,
    failsUnmatched: config.cmqFailUnmatched,
  };
}

/**
 * Makes sure of the key that the configuration names. Costs no write when it is there already.
 *
 * @throws Error with a sentence for the operator
 */
export function defineConfiguredKey(broker: Broker, config: Config): void {
  const { cmqSecretId: id, cmqSecretKey: secret } = config;
  if (id === undefined || secret === undefined) return;
  const user = config.cmqKeyUser ?? config.defaultUser;
  const vhost = config.cmqKeyVhost ?? config.defaultVhost;
  const key = { id, secret, user, vhost, isEnabled: true };
  const existing = broker.access.keys.find(id);
  if (existing !== undefined && JSON.stringify(existing) === JSON.stringify(key)) return;
  if (broker.vhost(vhost) === undefined) {
    throw new Error(`cmq-key-vhost: there is no vhost '${vhost}'`);
  }
  try {
    broker.access.keys.put(key);
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error;
    throw new Error(`cmq-secret-id: ${error.message}`, { cause: error });
  }
}
