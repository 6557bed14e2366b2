/**
 * The port through which a topic's push subscriptions leave the gateway.
 *
 * The engine decides what is sent, in which order and when it is tried again; the transport makes
 * one attempt and says how it ended. It never retries by itself.
 */

/** How a pushed message is written (reference 2.6). */
export type PushFormat = 'JSON' | 'SIMPLIFIED';

/** How failed attempts are repeated (reference 2.6). */
export type PushStrategy = 'BACKOFF_RETRY' | 'EXPONENTIAL_DECAY_RETRY';

/** Where a push subscription leads; one object per state of the subscription. */
export interface PushTarget {
  readonly protocol: 'http' | 'function';
  /**
   * `http://...` or `https://...`; for `function` also `local:NAME` or `function:NAME`. At most 500
   * bytes.
   */
  readonly endpoint: string;
  readonly format: PushFormat;
  /** Key of the signature header; undefined: no such header. */
  readonly secret: string | undefined;
  readonly vhostName: string;
  readonly topicName: string;
  readonly subscriptionName: string;
}

/** One message of one subscription, as the transport writes it down. */
export interface PushMessage {
  /** Decimal uint64. */
  readonly msgId: string;
  readonly tags: readonly string[];
  /** Routing key it was published with; empty when there was none. */
  readonly routingKey: string;
  /** Read only. A view into the message's memory: valid as long as it is referred to. */
  readonly body: Buffer;
  /** Wall ms of the publish. */
  readonly publishedAtMs: number;
  readonly topicName: string;
  /** Name of the account: the vhost's user that made the topic. */
  readonly topicOwner: string;
  readonly subscriptionName: string;
  /** Of this attempt. */
  readonly requestId: string;
  /** 1 for the first attempt. */
  readonly attempt: number;
}

export interface PushAttempt {
  readonly subscription: PushTarget;
  readonly message: PushMessage;
}

export type PushOutcome = 'ok' | 'failed';

/** An attempt under way. */
export interface PushHandle {
  /** Ends it without calling `done`: the subscription is gone. Fine after its end too. */
  abort(): void;
}

/** Makes attempts. Implemented outside the engine. */
export interface PushTransport {
  /**
   * Makes one attempt.
   *
   * @param done called exactly once unless aborted, never from within `send`; `detail` is for the
   *   log and the subscription's attributes: status code or cause, without a newline
   */
  send(attempt: PushAttempt, done: (outcome: PushOutcome, detail: string) => void): PushHandle;
}
