/**
 * What a SEND frame asks for, apart from its body.
 *
 * A program that sends to one place sends the same headers again and again. The plan made for them
 * is kept by their bytes, so that such a frame costs a hash, a comparison and the copy of its body.
 * Frames with a receipt or a transaction differ each time and are planned each time.
 */
import { textByteLength } from '../../src/base/byte-writer.ts';
import { BrokerError } from '../../src/base/errors.ts';
import type { FieldTable } from '../../src/base/field-value.ts';
import { ByteCache } from '../../src/base/intern.ts';
import { NAME_BYTES_MAX } from '../../src/base/limits.ts';
import type { CommonProperties } from '../../src/engine/ports.ts';
import type { Route } from '../../src/engine/publish.ts';
import { type Destination, parseDestination } from './destination.ts';
import type { Frame } from './frame.ts';
import { type QueueRequest, queueRequest } from './queue-request.ts';
import type { MessageHeaders } from './settings.ts';
import { NOT_USER_HEADERS, TEXT_PROPERTIES } from './spec/headers.ts';
import { StompError } from './stomp-error.ts';

/** Plans remembered per connection. */
const PLAN_SLOTS = 64;
/** Places whose routes are remembered per connection; then all are forgotten. */
const TARGETS_MAX = 1_024;
/** Bytes of headers worth remembering. */
const PLAN_BYTES_MAX = 512;
/** Ms. Largest per-message TTL, as over AMQP. */
const EXPIRATION_MS_MAX = 0xffff_ffff;

/** A place sent to: the same object for every plan that leads there. */
export interface SendTarget {
  readonly exchange: string;
  readonly key: string;
  /** Resolved by the first send. */
  route: Route | undefined;
}

export interface SendPlan {
  readonly target: SendTarget;
  /** The queue to declare before; undefined when nothing is. */
  readonly queue: QueueRequest | undefined;
  /** Header of the message, for a body of any size. */
  readonly header: Buffer;
  readonly isPersistent: boolean;
  readonly priority: number;
  readonly ttlMs: number;
  readonly receipt: string | undefined;
  readonly transaction: string | undefined;
}

/** Who sends, as far as a plan depends on it. */
export interface Sender {
  readonly userName: string;
  readonly mayImpersonate: boolean;
  /** The queue behind `/temp-queue/NAME` of a reply-to. */
  replyQueue(name: string): string;
}

export class SendPlans {
  readonly #headers: MessageHeaders;
  readonly #sender: Sender;
  #cache: ByteCache<SendPlan> | undefined;
  /** By destination header. */
  readonly #targets: Map<string, SendTarget>;

  constructor(headers: MessageHeaders, sender: Sender) {
    this.#headers = headers;
    this.#sender = sender;
    this.#cache = undefined;
    this.#targets = new Map();
  }

  /** @throws StompError, BrokerError for what cannot be sent */
  planFor(frame: Frame): SendPlan {
    const { buf, headStart, headEnd } = frame;
    const known = this.#cache?.get(buf, headStart, headEnd);
    if (known !== undefined) return known;
    const plan = this.#make(frame);
    if (plan.receipt === undefined && plan.transaction === undefined) {
      this.#cache ??= new ByteCache(PLAN_SLOTS, PLAN_BYTES_MAX);
      this.#cache.set(buf, headStart, headEnd, plan);
    }
    return plan;
  }

  #make(frame: Frame): SendPlan {
    const text = frame.header('destination');
    if (text === undefined) {
      const detail = '"SEND" must include a \'destination\' header\n';
      throw new StompError('Missing destination', detail);
    }
    if (frame.header('message-id') !== undefined) {
      throw new StompError('Invalid header', "'message-id' is not allowed on 'SEND'.\n");
    }
    const destination = parseDestination(text);
    if (destination.kind === 'temp-queue') {
      throw new StompError(
        'Invalid destination',
        `'${text}' is not a valid destination for 'SEND'\n`,
      );
    }
    checkName('destination', destination.exchange);
    checkName('destination', destination.key);
    const isPersistent = frame.booleanHeader('persistent') === true;
    const priority = frame.integerHeader('priority', 0, 255);
    const properties = this.#properties(frame, isPersistent, priority);
    return {
      target: this.#target(text, destination),
      queue: destination.kind === 'queue' ? queueRequest(frame, true) : undefined,
      header: this.#headers.encode(properties, 0),
      isPersistent,
      priority: priority ?? -1,
      ttlMs: ttlOf(properties.expiration),
      receipt: frame.header('receipt'),
      transaction: frame.header('transaction'),
    };
  }

  #target(text: string, { exchange, key }: Destination): SendTarget {
    let target = this.#targets.get(text);
    if (target !== undefined) return target;
    if (this.#targets.size === TARGETS_MAX) this.#targets.clear();
    target = { exchange, key, route: undefined };
    this.#targets.set(text, target);
    return target;
  }

  #properties(frame: Frame, isPersistent: boolean, priority: number | undefined): CommonProperties {
    const properties: { -readonly [K in keyof CommonProperties]: CommonProperties[K] } = {};
    for (const [header, name] of Object.entries(TEXT_PROPERTIES)) {
      const value = frame.header(header);
      if (value === undefined) continue;
      checkName(header, value);
      properties[name] = value;
    }
    if (properties.userId !== undefined) this.#checkUserId(properties.userId);
    if (properties.replyTo !== undefined) properties.replyTo = this.#replyTo(properties.replyTo);
    if (isPersistent) properties.deliveryMode = 2;
    if (priority !== undefined) properties.priority = priority;
    const seconds = frame.integerHeader('timestamp', 0, Number.MAX_SAFE_INTEGER);
    if (seconds !== undefined) properties.timestampSeconds = seconds;
    const headers = userHeaders(frame);
    if (headers.size > 0) properties.headers = headers;
    return properties;
  }

  #replyTo(text: string): string {
    if (!text.startsWith('/temp-queue/')) return text;
    return this.#sender.replyQueue(parseDestination(text).key);
  }

  #checkUserId(userId: string): void {
    const { userName, mayImpersonate } = this.#sender;
    if (userId === userName || mayImpersonate) return;
    throw new BrokerError(
      'PRECONDITION_FAILED',
      `user_id property set to '${userId}' but authenticated user was '${userName}'`,
    );
  }
}

function userHeaders(frame: Frame): FieldTable {
  const headers = new Map<string, string>();
  frame.forEachHeader((name, value) => {
    if (NOT_USER_HEADERS.has(name)) return;
    checkName(name.slice(0, 32), name);
    headers.set(name, value);
  });
  return headers;
}

/** @throws BrokerError PRECONDITION_FAILED unless it is a number of ms */
function ttlOf(expiration: string | undefined): number {
  if (expiration === undefined) return -1;
  const ttlMs = Number(expiration);
  if (/^\d{1,10}$/.test(expiration) && ttlMs <= EXPIRATION_MS_MAX) return ttlMs;
  const what = /^[+-]?\d/.test(expiration) ? 'out of range' : 'no_integer';
  throw new BrokerError('PRECONDITION_FAILED', `invalid expiration '${expiration}': ${what}`);
}

function checkName(header: string, text: string): void {
  if (textByteLength(text) <= NAME_BYTES_MAX) return;
  throw new StompError('Invalid header', `'${header}' has more than ${NAME_BYTES_MAX} bytes\n`);
}
