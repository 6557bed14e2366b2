/**
 * A message on its way through a topic: what the topic adds to its header, and what a push reads
 * from it.
 *
 * Whoever published it, over CMQ, AMQP or MQTT: every copy carries the same `x-msg-id`, and the
 * copy of a queue subscription `x-subscription` as well. Without anything to add the message passes
 * as it is, so that it is stored once however many subscriptions push it.
 */
import type { FieldTable, FieldValue } from '../../base/field-value.ts';
import { MESSAGE_TAGS, tagsOf } from '../exchange/tags-exchange.ts';
import type { Message } from '../message.ts';
import { copyMessage } from '../message-copy.ts';
import type { MessageFormat } from '../ports.ts';
import { type HeaderHost, idOf, withId } from '../queue/entry-headers.ts';

/** Header of a queue subscription's copy: `TOPIC/SUBSCRIPTION`. */
export const SUBSCRIPTION_HEADER = 'x-subscription';

/** Gives the messages of a vhost's topics their id. */
export class TopicStamp implements HeaderHost {
  readonly #formats: readonly MessageFormat[];
  readonly #nextId: () => string;
  /** By message, which goes to the next subscription at once; holds none of them. */
  readonly #stamped: WeakMap<Message, Message>;

  constructor(formats: readonly MessageFormat[], nextId: () => string) {
    this.#formats = formats;
    this.#nextId = nextId;
    this.#stamped = new WeakMap();
  }

  /** The message with an id; the same object when it has one. One id however often it is asked. */
  stamp(message: Message): Message {
    const known = this.#stamped.get(message);
    if (known !== undefined) return known;
    const hasId = idOf(this, message) !== undefined;
    const stamped = hasId ? message : withId(this, message, this.#nextId());
    this.#stamped.set(message, stamped);
    return stamped;
  }

  /** A copy with some headers set and, when given, another address. */
  edit(
    message: Message,
    set: readonly (readonly [string, FieldValue])[],
    exchange = message.exchange,
    routingKey = message.routingKey,
  ): Message {
    const header = this.#formats[message.format]!.edit(message, { set: new Map(set) });
    return copyMessage(message, { header, exchange, routingKey });
  }

  withHeaders(message: Message, set: readonly (readonly [string, FieldValue])[]): Message {
    return this.edit(message, set);
  }

  headersOf(message: Message): FieldTable | undefined {
    return this.#formats[message.format]!.headers(message);
  }

  /** What a push shows of a stamped message. */
  read(message: Message): { msgId: string; tags: readonly string[]; body: Buffer } {
    const headers = this.headersOf(message);
    return { msgId: idOf(this, message) ?? '', tags: tagsOf(headers), body: bodyOf(message) };
  }
}

/** The header pair that carries tags. */
export function tagsHeader(tags: readonly string[]): readonly [string, FieldValue] {
  return [MESSAGE_TAGS, [...tags]];
}

/** The body, as a view. */
export function bodyOf(message: Message): Buffer {
  const from = message.start + message.headerBytes;
  return message.bytes.subarray(from, from + message.bodyBytes);
}
