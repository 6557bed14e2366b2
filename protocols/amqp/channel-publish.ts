/**
 * basic.publish: from the bytes of a method frame to the queues (spec 1.8.3.7).
 *
 *     begin()      the names' bytes -> target (last one, then a bounded cache)
 *     onContent()  checks in RabbitMQ's order, one Message, vhost.publish, return, confirm
 *
 * A target is one (exchange, routing key) this channel publishes to: its decoded names and the
 * route the engine resolved for them. A route goes stale with any change of topology or rights and
 * is resolved anew by the next publish; so rights are enforced at the price of one comparison.
 * The normal publish makes one object, the Message.
 */
import { BrokerError } from '../../src/base/errors.ts';
import { ByteCache } from '../../src/base/intern.ts';
import type { ConfirmLedger } from '../../src/engine/confirm-ledger.ts';
import { FORMAT_AMQP, FORMAT_BLIND, Message } from '../../src/engine/message.ts';
import {
  PUBLISH_DURABLE,
  PUBLISH_REJECTED,
  PUBLISH_ROUTED,
  type Route,
} from '../../src/engine/publish.ts';
import type { Channel } from './channel.ts';
import type { ContentHandler } from './content-assembler.ts';
import type { HeaderScan } from './content-header.ts';
import type { PublishTransaction } from './channel-tx.ts';
import type { PublishFields } from './method-reader.ts';
import { PublishContent } from './publish-content.ts';

/** Targets remembered per channel: a hundred queues in turn fit with few collisions. */
const TARGET_SLOTS = 256;
/** Two names of 255 bytes and their length octets. */
const TARGET_BYTES_MAX = 512;

const NO_ROUTE_CODE = 312;
const NO_ROUTE_TEXT = 'NO_ROUTE';

/** One (exchange, routing key) and where it leads. */
export interface PublishTarget {
  /** The names as they stand in a publish: both short strings. */
  readonly bytes: Uint8Array;
  readonly exchange: string;
  readonly routingKey: string;
  /** undefined until the first publish. */
  route: Route | undefined;
}

/** The publishing side of one channel. */
export class ChannelPublish implements ContentHandler {
  readonly #channel: Channel;
  #cache: ByteCache<PublishTarget> | undefined;
  /** Target of the publish under way; the last one otherwise. */
  #target: PublishTarget | undefined;
  #isMandatory: boolean;
  /** Made by the first publish whose header asks for something. */
  #content: PublishContent | undefined;
  #hasPublished: boolean;
  /** Set by confirm.select. */
  #ledger: ConfirmLedger | undefined;
  #lastSequence: number;
  /** Set by tx.select. */
  #transaction: PublishTransaction | undefined;

  constructor(channel: Channel) {
    this.#channel = channel;
    this.#cache = undefined;
    this.#target = undefined;
    this.#isMandatory = false;
    this.#content = undefined;
    this.#hasPublished = false;
    this.#ledger = undefined;
    this.#lastSequence = 0;
    this.#transaction = undefined;
  }

  /** Publishes from now on are numbered from 1 and confirmed through `ledger`. */
  confirmThrough(ledger: ConfirmLedger): void {
    this.#ledger = ledger;
  }

  /** Publishes from now on wait in `transaction`. */
  collectInto(transaction: PublishTransaction): void {
    this.#transaction = transaction;
  }

  /**
   * The method frame was read; `fields` and `buf` are borrowed.
   *
   * @throws BrokerError NOT_IMPLEMENTED (connection) for `immediate`, as RabbitMQ
   */
  begin(buf: Buffer, fields: PublishFields): void {
    if (fields.immediate) throw new BrokerError('NOT_IMPLEMENTED', 'immediate=true');
    if (!this.#hasPublished) {
      this.#hasPublished = true;
      this.#channel.host.becamePublisher();
    }
    this.#isMandatory = fields.mandatory;
    const last = this.#target;
    if (last === undefined || !isAt(buf, fields.routeStart, fields.routeEnd, last.bytes)) {
      this.#target = this.#find(buf, fields);
    }
  }

  /** The content is complete: `bytes` are owned, `header` is borrowed. */
  onContent(
    bytes: Buffer,
    start: number,
    headerBytes: number,
    bodyBytes: number,
    header: HeaderScan,
  ): void {
    const target = this.#target!;
    const route = this.routeOf(target);
    let message: Message;
    let extraKeys: readonly string[] | undefined;
    if (header.hasReplyTo || header.hasExpiration || header.hasHeaders || header.hasUserId) {
      const content = (this.#content ??= new PublishContent());
      const { actor, consume } = this.#channel;
      content.inspect(bytes, start, headerBytes, bodyBytes, header, actor.user, consume.replyKey);
      extraKeys = content.extraKeys;
      if (extraKeys !== undefined) this.#authorizeExtraKeys(target, extraKeys);
      message = this.#message(
        content.bytes,
        content.start,
        content.headerBytes,
        bodyBytes,
        header,
        content.ttlMs,
        content.isBlind ? FORMAT_AMQP | FORMAT_BLIND : FORMAT_AMQP,
      );
      content.release();
    } else {
      message = this.#message(bytes, start, headerBytes, bodyBytes, header, -1, FORMAT_AMQP);
    }
    if (this.#transaction !== undefined) {
      this.#transaction.add(target, message, extraKeys, this.#isMandatory);
      return;
    }
    const bits = this.#channel.vhost.publish(route, message, extraKeys);
    if (this.#isMandatory && (bits & PUBLISH_ROUTED) === 0) this.returnUnroutable(message);
    if (this.#ledger !== undefined) this.#confirm(this.#ledger, bits);
  }

  /** @throws BrokerError ACCESS_REFUSED, NOT_FOUND (channel) */
  routeOf(target: PublishTarget): Route {
    const { actor, vhost } = this.#channel;
    let route = target.route;
    if (route === undefined || !vhost.isCurrent(route)) {
      target.route = undefined;
      route = vhost.resolveRoute(actor, target.exchange, target.routingKey);
      target.route = route;
    }
    return route;
  }

  /** basic.return of a mandatory message that reached no queue. */
  returnUnroutable(message: Message): void {
    const { id, host } = this.#channel;
    host.writer.returnMessage(id, NO_ROUTE_CODE, NO_ROUTE_TEXT, message);
  }

  #message(
    bytes: Buffer,
    start: number,
    headerBytes: number,
    bodyBytes: number,
    header: HeaderScan,
    ttlMs: number,
    format: number,
  ): Message {
    const target = this.#target!;
    return new Message(
      target.exchange,
      target.routingKey,
      format,
      bytes,
      start,
      headerBytes,
      bodyBytes,
      header.isPersistent,
      header.priority,
      ttlMs,
      this.#channel.host.chunkAtMs,
    );
  }

  #confirm(ledger: ConfirmLedger, bits: number): void {
    this.#lastSequence += 1;
    const ticket = (bits & PUBLISH_DURABLE) === 0 ? 0 : this.#channel.host.broker.ticket;
    ledger.add(this.#lastSequence, ticket, (bits & PUBLISH_REJECTED) !== 0);
  }

  #find(buf: Buffer, fields: PublishFields): PublishTarget {
    const { routeStart, routeEnd } = fields;
    if (this.#cache === undefined && this.#target !== undefined) {
      this.#cache = new ByteCache(TARGET_SLOTS, TARGET_BYTES_MAX);
      this.#remember(this.#target);
    }
    const known = this.#cache?.get(buf, routeStart, routeEnd);
    if (known !== undefined) return known;
    const { reader } = this.#channel.host;
    const target: PublishTarget = {
      bytes: new Uint8Array(buf.subarray(routeStart, routeEnd)),
      exchange: reader.text(buf, fields.exchangeStart, fields.exchangeEnd),
      routingKey: reader.text(buf, fields.routingKeyStart, fields.routingKeyEnd),
      route: undefined,
    };
    if (this.#cache !== undefined) this.#remember(target);
    return target;
  }

  #remember(target: PublishTarget): void {
    this.#cache!.set(target.bytes, 0, target.bytes.length, target);
  }

  /** Topic permissions hold for the keys of CC and BCC too. */
  #authorizeExtraKeys(target: PublishTarget, keys: readonly string[]): void {
    const { actor, vhost } = this.#channel;
    for (const key of keys) vhost.resolveRoute(actor, target.exchange, key);
  }
}

/** True when [start, end) of `buf` equals `bytes`. */
function isAt(buf: Buffer, start: number, end: number, bytes: Uint8Array): boolean {
  const length = bytes.length;
  if (end - start !== length) return false;
  // From the end: keys of one exchange differ there.
  for (let index = length - 1; index >= 0; index -= 1) {
    if (buf[start + index] !== bytes[index]) return false;
  }
  return true;
}
