/**
 * `$SYS/broker/...`: what the broker says about itself, under the names Mosquitto made usual.
 *
 * Nothing is counted or published for them unless somebody subscribes. They are not routed: the
 * values go straight into the queues of the sessions that want them, so no publisher can fake one.
 */
import type { Broker } from '../../src/engine/broker.ts';
import { FORMAT_AMQP, Message } from '../../src/engine/message.ts';
import type { Session } from '../../src/engine/session/session.ts';
import { putBodySize, templateOf } from './amqp-header.ts';
import { topicToKey } from '../../src/engine/session/routing-key.ts';
import type { MqttSettings } from './settings.ts';
import { topicMatches } from './topic-name.ts';

/** What connections count. */
export interface MqttCounters {
  received: number;
  sent: number;
  tooLarge: number;
  bytesReceived: number;
  bytesSent: number;
  connectionCount: number;
  connectionsTotal: number;
}

/** True for filters that can match the topics here: they begin with `$SYS`. */
export function isSysFilter(filter: string): boolean {
  return filter.startsWith('$SYS/');
}

export class SysTopics {
  readonly #broker: Broker;
  readonly #settings: MqttSettings;
  readonly #counters: MqttCounters;
  readonly #sessions: Set<Session>;
  readonly #startedAtMs: number;
  #nextAtMs: number;

  constructor(broker: Broker, settings: MqttSettings, counters: MqttCounters) {
    this.#broker = broker;
    this.#settings = settings;
    this.#counters = counters;
    this.#sessions = new Set();
    this.#startedAtMs = broker.clock.wallMs();
    this.#nextAtMs = 0;
  }

  add(session: Session): void {
    this.#sessions.add(session);
  }

  remove(session: Session): void {
    this.#sessions.delete(session);
  }

  /** Present values for a new subscription. */
  match(filter: string): [topic: string, message: Message][] {
    return this.#values()
      .filter(([topic]) => topicMatches(filter, topic))
      .map(([topic, text]) => [topic, this.#message(topic, text)]);
  }

  /** Publishes every value to whom it concerns when it is time. */
  tick(nowMs: number): void {
    if (this.#sessions.size === 0 || nowMs < this.#nextAtMs) return;
    this.#nextAtMs = nowMs + this.#settings.sysIntervalSeconds * 1000;
    const values = this.#values();
    for (const session of this.#sessions) {
      for (const [topic, text] of values) {
        if (session.match(topic).count === 0) continue;
        session.queue.publish(this.#message(topic, text));
      }
    }
  }

  #values(): [topic: string, text: string][] {
    const { product, version } = this.#settings;
    const counters = this.#counters;
    const upSeconds = Math.floor((this.#broker.clock.wallMs() - this.#startedAtMs) / 1000);
    let sessionCount = 0;
    let subscriptionCount = 0;
    let retainedCount = 0;
    for (const vhost of this.#broker.vhosts()) {
      sessionCount += vhost.sessions.count;
      subscriptionCount += vhost.sessions.subscriptionCount;
      retainedCount += vhost.retained.count;
    }
    const values: [string, number | string][] = [
      ['version', `${product} version ${version}`],
      ['uptime', `${upSeconds} seconds`],
      ['clients/connected', counters.connectionCount],
      ['clients/total', sessionCount],
      ['clients/disconnected', Math.max(0, sessionCount - counters.connectionCount)],
      ['connections/total', counters.connectionsTotal],
      ['messages/received', counters.received],
      ['messages/sent', counters.sent],
      ['bytes/received', counters.bytesReceived],
      ['bytes/sent', counters.bytesSent],
      ['messages/dropped/too-large', counters.tooLarge],
      ['retained messages/count', retainedCount],
      ['subscriptions/count', subscriptionCount],
    ];
    return values.map(([name, value]) => [`$SYS/broker/${name}`, String(value)]);
  }

  #message(topic: string, text: string): Message {
    const header = templateOf(0, false);
    const body = Buffer.from(text);
    const bytes = Buffer.concat([header, body]);
    putBodySize(bytes, 0, body.length);
    const atMs = this.#broker.clock.wallMs();
    const key = topicToKey(topic);
    return new Message(
      '',
      key,
      FORMAT_AMQP,
      bytes,
      0,
      header.length,
      body.length,
      false,
      -1,
      -1,
      atMs,
    );
  }
}
