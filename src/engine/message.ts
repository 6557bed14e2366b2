/**
 * A message: what was published, once, whatever the number of queues it lies in.
 *
 * Header and body lie one after the other in owned memory (`bytes`), which may be a slab shared
 * with other messages; nobody writes to it after construction:
 *
 *     bytes:  ... | header (headerBytes) | body (bodyBytes) | ...
 *                 ^ start
 *
 * The header is opaque here: it is the publisher's own encoding, named by `format`, and passes
 * through to a consumer of the same protocol byte for byte. For AMQP it is the whole payload of
 * the content-header frame (class-id, weight, body-size, property flags, properties).
 */

/** Which protocol encoded the header bytes; each has a `MessageFormat` in `ports.ts`. */
export const FORMAT_AMQP = 0;
/** The same, of a message that was dead-lettered: the x-death in it is ours, not a client's. */
export const FORMAT_AMQP_DEAD = 1;
/** Added to either: a copy for one session's own queue, which says how to deliver it there. */
export const FORMAT_REPLAY = 2;
/** Added to any: the x-msg-id in it is ours. */
export const FORMAT_NAMED = 4;
/** Added to any: its header has routing keys that only dead-lettering may see (BCC). */
export const FORMAT_BLIND = 8;
/** All of them are below this. */
export const FORMATS_END = 16;

export class Message {
  readonly exchange: string;
  readonly routingKey: string;
  readonly format: number;
  /** Owned memory; see the drawing above. */
  readonly bytes: Buffer;
  readonly start: number;
  readonly headerBytes: number;
  readonly bodyBytes: number;
  /** delivery-mode 2: survives a restart when it lies in a durable queue. */
  readonly isPersistent: boolean;
  /** 0 to 255; -1 when the publisher set none. */
  readonly priority: number;
  /** Per-message TTL in ms; -1 when the publisher set none. */
  readonly expirationMs: number;
  /** Wall-clock ms at which the gateway accepted it. */
  readonly publishedAtMs: number;

  constructor(
    exchange: string,
    routingKey: string,
    format: number,
    bytes: Buffer,
    start: number,
    headerBytes: number,
    bodyBytes: number,
    isPersistent: boolean,
    priority: number,
    expirationMs: number,
    publishedAtMs: number,
  ) {
    this.exchange = exchange;
    this.routingKey = routingKey;
    this.format = format;
    this.bytes = bytes;
    this.start = start;
    this.headerBytes = headerBytes;
    this.bodyBytes = bodyBytes;
    this.isPersistent = isPersistent;
    this.priority = priority;
    this.expirationMs = expirationMs;
    this.publishedAtMs = publishedAtMs;
  }

  /** It was dead-lettered: the x-death in it is ours, not a client's. */
  get isDeadLetter(): boolean {
    return (this.format & FORMAT_AMQP_DEAD) !== 0;
  }

  /** It is ours how it says it is to be delivered, not a client's. */
  get isReplay(): boolean {
    return (this.format & FORMAT_REPLAY) !== 0;
  }

  /** It has routing keys that nobody may be shown. */
  get isBlind(): boolean {
    return (this.format & FORMAT_BLIND) !== 0;
  }

  /** It carries its id: the x-msg-id in it is ours, not a client's. */
  get isNamed(): boolean {
    return (this.format & FORMAT_NAMED) !== 0;
  }

  /** Bytes of header and body. */
  get byteCount(): number {
    return this.headerBytes + this.bodyBytes;
  }
}

/** Where the store stands with an entry; written by the store only. */
export const STORE_NONE = 0;
/** In the write buffer, not yet encoded: a settle now makes it vanish without touching the disk. */
export const STORE_PENDING = 1;
/** Encoded into the commit at the disk, or committed: a settle must be recorded. */
export const STORE_WRITTEN = 2;
/** Settled while pending: the commit loop skips it. */
export const STORE_CANCELLED = 3;

/** States of an entry (docs/ARCHITECTURE.md, "One state machine"). */
export const ENTRY_READY = 0;
export const ENTRY_LEASED = 1;
export const ENTRY_SETTLED = 2;
export const ENTRY_DELAYED = 3;

/** A message's place in one queue. */
export class Entry {
  /** Replaced only by the same message under an edited header (delivery count). */
  message: Message;
  /** 1-based, grows by one per entry of this queue, never reused. */
  readonly sequence: number;
  state: number;
  /** Delivered before, or possibly delivered before a crash. */
  isRedelivered: boolean;
  /** Wall-clock ms at which the entry's TTL ends; Infinity when it has none. */
  expiresAtMs: number;
  /**
   * Wall-clock ms before which it is delayed; of a ready one out of the order of publishing the
   * time its age counts from; else 0.
   */
  notBeforeMs: number;
  /** Hand-overs that count: failed ones, or all where the queue counts receives. */
  receiveCount: number;
  /** Grows with each hand-over; settling with an older one is stale. */
  generation: number;
  /**
   * Wall-clock ms at which the present lease ends; Infinity without deadline. On disk: only of a
   * lease by handle, which lasts over a restart, as lease-record.ts has it.
   */
  leaseUntilMs: number;
  /** Who has the present lease, as his protocol names him; '' when it does not. */
  holder: string;
  /** Wall-clock ms of the first hand-over; 0 before it. */
  firstReceivedAtMs: number;
  /** One of STORE_*; owned by the store. */
  storeState: number;

  constructor(message: Message, sequence: number, expiresAtMs: number) {
    this.message = message;
    this.sequence = sequence;
    this.state = ENTRY_READY;
    this.isRedelivered = false;
    this.expiresAtMs = expiresAtMs;
    this.notBeforeMs = 0;
    this.receiveCount = 0;
    this.generation = 0;
    this.leaseUntilMs = Infinity;
    this.holder = '';
    this.firstReceivedAtMs = 0;
    this.storeState = STORE_NONE;
  }
}
