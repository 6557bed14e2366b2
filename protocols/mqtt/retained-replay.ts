/**
 * Retained messages on their way to new subscriptions of one session (3.3.1.3).
 *
 *     SUBSCRIBE --> pending, by filter --> walked --> some in the session's own queue --> client
 *
 * A packet of eight bytes may ask for all retained messages, and for all of them again. So a
 * session has only a few of them in its queue, and the rest is walked as the client takes them:
 * what waits is a place in the tree, once per filter. What is retained meanwhile may be among them.
 *
 * Each has the QoS and identifier of the subscription that called for it. Those that are left when
 * the connection ends stay with a session that stays, up to REPLAY_LEFT_BYTES_MAX.
 */
import type { Actor } from '../../src/engine/actor.ts';
import type { Broker } from '../../src/engine/broker.ts';
import type { Message } from '../../src/engine/message.ts';
import type { Session } from '../../src/engine/session/session.ts';
import type { Subscription } from '../../src/engine/session/subscription.ts';
import type { MessageView } from './message-view.ts';
import { replayOf } from './replay-message.ts';
import { isSysFilter, type SysTopics } from './sys-topics.ts';

/** Messages of the session's own queue above which no more are put there ... */
const REPLAY_AHEAD_MESSAGES = 256;
/** ... and their bytes. */
const REPLAY_AHEAD_BYTES = 1024 * 1024;
/** Bytes that may be in the queue when the connection ends before they were sent. */
const REPLAY_LEFT_BYTES_MAX = 16 * 1024 * 1024;

/** What a replay needs of its connection. */
export interface ReplayHost {
  readonly actor: Actor;
  readonly session: Session;
  readonly broker: Broker;
  readonly view: MessageView;
  readonly sys: SysTopics;
}

/** The replay under way. */
interface Walk {
  readonly subscription: Subscription;
  readonly messages: Iterator<[topic: string, message: Message]>;
}

export class RetainedReplay {
  readonly #host: ReplayHost;
  /** By filter, the oldest request first. */
  readonly #pending: Map<string, Subscription>;
  #walk: Walk | undefined;

  constructor(host: ReplayHost) {
    this.#host = host;
    this.#pending = new Map();
    this.#walk = undefined;
  }

  /** Nothing is left to be sent. */
  get isDone(): boolean {
    return this.#walk === undefined && this.#pending.size === 0;
  }

  /** What is retained for a subscription goes out; an earlier request ends with it. */
  begin(subscription: Subscription): void {
    const { filter } = subscription;
    if (this.#walk?.subscription.filter === filter) this.#walk = undefined;
    this.#pending.delete(filter);
    this.#pending.set(filter, subscription);
    this.proceed();
  }

  /** The client has taken something, or time has passed. */
  proceed(): void {
    const { queue } = this.#host.session;
    const hasRoom = () =>
      queue.readyCount < REPLAY_AHEAD_MESSAGES && queue.readyBytes < REPLAY_AHEAD_BYTES;
    this.#send(hasRoom);
  }

  /** The connection ends, and the session stays. */
  leave(): void {
    const { queue } = this.#host.session;
    this.#send(() => queue.readyBytes < REPLAY_LEFT_BYTES_MAX);
    this.#walk = undefined;
    this.#pending.clear();
  }

  #send(hasRoom: () => boolean): void {
    const { queue } = this.#host.session;
    while (!queue.isDeleted && hasRoom()) {
      const walk = (this.#walk ??= this.#next());
      if (walk === undefined) return;
      const { value, done } = walk.messages.next();
      if (done === true) this.#walk = undefined;
      else this.#enqueue(value[1], walk.subscription);
    }
  }

  #next(): Walk | undefined {
    const { actor, session } = this.#host;
    for (const [filter, subscription] of this.#pending) {
      this.#pending.delete(filter);
      if (session.subscriptions.get(filter) !== subscription) continue;
      // A commit lies between SUBSCRIBE and this: the right may have gone.
      if (!actor.vhost.sessions.mayRead(actor, session, subscription)) continue;
      return { subscription, messages: this.#messagesOf(subscription) };
    }
    return undefined;
  }

  #messagesOf({ topicFilter }: Subscription): Iterator<[topic: string, message: Message]> {
    const { actor, broker, sys } = this.#host;
    if (isSysFilter(topicFilter)) return sys.match(topicFilter).values();
    return actor.vhost.retained.walk(topicFilter, () => broker.clock.wallMs());
  }

  #enqueue(message: Message, { qos, identifier }: Subscription): void {
    const { broker, view, session } = this.#host;
    if (!view.aim(message)) return;
    const replay = { qos: Math.min(qos, view.qos), isRetained: true, identifier };
    session.queue.publish(replayOf(broker.formats, message, replay, true));
  }
}
