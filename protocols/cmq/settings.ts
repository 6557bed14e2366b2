import { DELAY_SECONDS_MAX } from './spec/queue-actions.ts';

/** What an operator may set about CMQ; the composition root fills it from the configuration. */
export interface CmqSettings {
  /** How far `Timestamp` may be from the server's clock, in seconds; 0: it is not looked at. */
  readonly timestampWindowSeconds: number;
  /** Whose requests need no key: a user and its vhost. Undefined: every request is signed. */
  readonly anonymous: { readonly user: string; readonly vhost: string } | undefined;
  /** Requests per second of one account and action; beyond: 4480. 0: no limit. */
  readonly requestsPerSecond: number;
  /** Sends per second of one queue, and a tenth more receives; beyond: 4420. 0: no limit. */
  readonly queueRequestsPerSecond: number;
  /** Largest `delaySeconds`. */
  readonly delaySecondsMax: number;
  /** Queues of one account (vhost); beyond: 4450. */
  readonly queuesMax: number;
  /** Delayed messages of one queue; beyond: 6070. */
  readonly delayedMax: number;
  /** Leased messages of one queue; beyond: 6070. */
  readonly inactiveMax: number;
  /** Topics of one account; beyond: 4450. */
  readonly topicsMax: number;
  /** Subscriptions of one topic; beyond: 4500. */
  readonly subscriptionsMax: number;
  /** Seconds until the name of a deleted queue may be taken again; before: 6040. */
  readonly nameCoolDownSeconds: number;
  /** A publish that no filter matches fails with 6030 instead of being dropped. */
  readonly failsUnmatched: boolean;
}

export const DEFAULT_CMQ_SETTINGS: CmqSettings = {
  timestampWindowSeconds: 300,
  anonymous: undefined,
  requestsPerSecond: 0,
  queueRequestsPerSecond: 0,
  delaySecondsMax: DELAY_SECONDS_MAX,
  queuesMax: 10_000,
  delayedMax: 10_000_000,
  inactiveMax: 1_000_000,
  topicsMax: 10_000,
  subscriptionsMax: 1_000,
  nameCoolDownSeconds: 0,
  failsUnmatched: false,
};
