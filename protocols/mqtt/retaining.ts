/**
 * RETAIN: what a topic retains becomes what was published (3.3.1.3), as long as there is room.
 *
 * A publish that cannot be retained is refused where its acknowledgement can say so. Elsewhere (QoS
 * 0, 3.x, a will) it is published nevertheless, the topic retains nothing from then on rather than
 * something older, and the log has a line.
 */
import type { ProtocolLogger } from '../../src/base/logger.ts';
import type { Message } from '../../src/engine/message.ts';
import type { VHost } from '../../src/engine/vhost.ts';

/** Ms between two lines of the log: whoever publishes would fill it. */
const WARNING_INTERVAL_MS = 60_000;
/** Characters of a topic in the log. */
const LOGGED_TOPIC_LENGTH = 256;

export class Retaining {
  readonly #logger: ProtocolLogger;
  /** Messages not retained since the last line of the log. */
  #untoldCount: number;
  /** Wall ms of the next line. */
  #nextLineAtMs: number;

  constructor(logger: ProtocolLogger) {
    this.#logger = logger;
    this.#untoldCount = 0;
    this.#nextLineAtMs = 0;
  }

  /** Whether `retain` would do what RETAIN asks for. */
  isPossible(vhost: VHost, topic: string, message: Message): boolean {
    return message.bodyBytes === 0 || vhost.retained.hasRoom(topic, message);
  }

  /** Retains `message`; one without payload ends what is retained. */
  retain(vhost: VHost, topic: string, message: Message): void {
    const { retained } = vhost;
    if (message.bodyBytes > 0 && retained.set(topic, message)) return;
    // [MQTT-3.3.1-7] of 3.1.1: the one before must not come back as if it were the last.
    retained.clear(topic);
    if (message.bodyBytes > 0) this.#warn(vhost, topic, message.publishedAtMs);
  }

  #warn(vhost: VHost, topic: string, nowMs: number): void {
    this.#untoldCount += 1;
    const isClockBack = nowMs < this.#nextLineAtMs - WARNING_INTERVAL_MS;
    if (nowMs < this.#nextLineAtMs && !isClockBack) return;
    const { count, bytes } = vhost.retained;
    const fields = {
      vhost: vhost.name,
      topic: topic.slice(0, LOGGED_TOPIC_LENGTH),
      notRetained: this.#untoldCount,
      retained: { count, bytes },
    };
    this.#logger.warn(fields, 'mqtt messages were not retained: a limit is reached');
    this.#untoldCount = 0;
    this.#nextLineAtMs = nowMs + WARNING_INTERVAL_MS;
  }
}
