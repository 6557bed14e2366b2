/**
 * What a published header asks for beyond passing through: reply-to, expiration, CC and BCC,
 * user-id, checked in RabbitMQ's order.
 *
 * One object per channel is used again for every publish that has any of them, so that the checks
 * allocate nothing when there is nothing to change.
 */
import { BrokerError } from '../../src/base/errors.ts';
import type { User } from '../../src/engine/access/user.ts';
import { REPLY_TO_NAME } from '../../src/engine/reply-target.ts';
import { editHeader, joinContent } from './amqp-message-format.ts';
import { expirationMs, extraRoutingKeys, type HeaderScan, propertyText } from './content-header.ts';

/** A user with this tag may publish in another's name. */
const IMPERSONATOR_TAG = 'impersonator';

const NO_BYTES = Buffer.alloc(0);

/** One content under inspection; the fields describe it as it shall be published. */
export class PublishContent {
  bytes: Buffer;
  start: number;
  headerBytes: number;
  /** Per-message TTL in ms; -1 when there is none. */
  ttlMs: number;
  /** Routing keys of CC and BCC; undefined when there are none. */
  extraKeys: readonly string[] | undefined;
  /** Its header has some of them that nobody may see. */
  isBlind: boolean;

  constructor() {
    this.bytes = NO_BYTES;
    this.start = 0;
    this.headerBytes = 0;
    this.ttlMs = -1;
    this.extraKeys = undefined;
    this.isBlind = false;
  }

  /**
   * Inspects a content; the fields are valid until `release`.
   *
   * @param bytes     owned; header at `start`, body behind it
   * @param replyKey  routing key of the channel's reply consumer, if it has one
   * @throws BrokerError PRECONDITION_FAILED (channel)
   */
  inspect(
    bytes: Buffer,
    start: number,
    headerBytes: number,
    bodyBytes: number,
    header: HeaderScan,
    user: User,
    replyKey: string | undefined,
  ): void {
    this.bytes = bytes;
    this.start = start;
    this.headerBytes = headerBytes;
    this.extraKeys = undefined;
    const newReplyTo = header.hasReplyTo ? replyTo(bytes, start, header, replyKey) : undefined;
    this.ttlMs = header.hasExpiration ? expirationMs(bytes, start, header) : -1;
    const extra = header.hasHeaders ? extraRoutingKeys(bytes, start, header) : undefined;
    if (header.hasUserId) checkUserId(bytes, start, header, user);
    this.extraKeys = extra?.keys;
    this.isBlind = extra?.hasBcc === true;
    if (newReplyTo !== undefined) {
      const edited = editHeader(bytes, start, start + headerBytes, { replyTo: newReplyTo });
      this.#replaceHeader(edited, bodyBytes);
    }
  }

  /** Lets go of the memory. */
  release(): void {
    this.bytes = NO_BYTES;
    this.extraKeys = undefined;
  }

  #replaceHeader(header: Buffer, bodyBytes: number): void {
    const bodyStart = this.start + this.headerBytes;
    this.bytes = joinContent(header, this.bytes, bodyStart, bodyStart + bodyBytes);
    this.start = 0;
    this.headerBytes = header.length;
  }
}

/** The opaque name to put for the pseudo-queue; undefined when reply-to is anything else. */
function replyTo(
  bytes: Buffer,
  start: number,
  header: HeaderScan,
  replyKey: string | undefined,
): string | undefined {
  const text = propertyText(bytes, start, header.replyToAt, header.replyToEnd);
  if (text !== REPLY_TO_NAME) return undefined;
  if (replyKey !== undefined) return replyKey;
  throw new BrokerError('PRECONDITION_FAILED', 'fast reply consumer does not exist');
}

/** A user-id must be the publisher's own. */
function checkUserId(bytes: Buffer, start: number, header: HeaderScan, user: User): void {
  const userId = propertyText(bytes, start, header.userIdAt, header.userIdEnd);
  if (userId === user.name || user.tags.has(IMPERSONATOR_TAG)) return;
  throw new BrokerError(
    'PRECONDITION_FAILED',
    `user_id property set to '${userId}' but authenticated user was '${user.name}'`,
  );
}
