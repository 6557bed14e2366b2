/**
 * Direct reply-to: answers that go straight to a waiting consumer, through no queue.
 *
 * A client consumes from `amq.rabbitmq.reply-to`; its requests carry a routing key made here; the
 * replier publishes to the default exchange with that key. The key holds 128 random bits, so it
 * cannot be guessed (CVE-2026-57215 of a peer), and it dies with the consumer.
 */
import type { RandomSource } from '../base/random.ts';
import type { Message } from './message.ts';

export const REPLY_TO_NAME = 'amq.rabbitmq.reply-to';
const KEY_PREFIX = `${REPLY_TO_NAME}.`;
const KEY_RANDOM_BYTES = 16;

/** True for the opaque names made here (whether or not one is open). */
export function isReplyKey(name: string): boolean {
  return name.startsWith(KEY_PREFIX);
}

export class ReplyTargets {
  readonly #random: RandomSource;
  readonly #targets: Map<string, (message: Message) => void>;

  constructor(random: RandomSource) {
    this.#random = random;
    this.#targets = new Map();
  }

  /** Opens a target; returns the routing key that reaches `deliver`. */
  open(deliver: (message: Message) => void): string {
    const token = Buffer.from(this.#random.bytes(KEY_RANDOM_BYTES)).toString('base64url');
    const key = KEY_PREFIX + token;
    this.#targets.set(key, deliver);
    return key;
  }

  close(key: string): void {
    this.#targets.delete(key);
  }

  has(key: string): boolean {
    return this.#targets.has(key);
  }

  /** Hands a reply over; false when nobody waits any more. */
  deliver(key: string, message: Message): boolean {
    const target = this.#targets.get(key);
    if (target === undefined) return false;
    target(message);
    return true;
  }
}
