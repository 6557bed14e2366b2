/**
 * Class tx (spec 1.9): publishes and settlements of a channel, applied together.
 *
 * Everything is buffered until tx.commit and then applied in one synchronous run; what the store
 * is told in one run is one atomic commit. commit-ok waits for that commit. Exchange and rights are
 * checked when a message is published; it is routed, returned and begins to live with the commit.
 *
 * What waits for its commit is in no queue, so no limit of a queue holds for it; and a publisher
 * that is not read any more cannot commit. So a connection whose transactions grow too large is
 * refused the next publish: its channel ends, and all that it had not committed with it.
 */
import { BrokerError } from '../../src/base/errors.ts';
import { ENTRY_OVERHEAD_BYTES } from '../../src/base/limits.ts';
import type { Message } from '../../src/engine/message.ts';
import { messageAt } from '../../src/engine/message-at.ts';
import {
  PUBLISH_DURABLE,
  PUBLISH_REJECTED,
  PUBLISH_ROUTED,
  type Route,
} from '../../src/engine/publish.ts';
import type { Channel } from './channel.ts';
import type { PublishTarget } from './channel-publish.ts';
import { TRANSACTION_BYTES_MAX } from './limits.ts';

interface BufferedPublish {
  readonly target: PublishTarget;
  readonly message: Message;
  readonly extraKeys: readonly string[] | undefined;
  readonly isMandatory: boolean;
}

/** Memory in use by the open transactions of one connection. */
export class TransactionMemory {
  #bytes: number;

  constructor() {
    this.#bytes = 0;
  }

  /**
   * A message that is alone is never too large here.
   *
   * @throws BrokerError PRECONDITION_FAILED (channel)
   */
  take(byteCount: number): void {
    if (this.#bytes > 0 && this.#bytes + byteCount > TRANSACTION_BYTES_MAX) {
      throw new BrokerError(
        'PRECONDITION_FAILED',
        `transaction too large: a connection may have ${TRANSACTION_BYTES_MAX} bytes uncommitted`,
      );
    }
    this.#bytes += byteCount;
  }

  give(byteCount: number): void {
    this.#bytes -= byteCount;
  }
}

/** The publishes of an open transaction. */
export class PublishTransaction {
  readonly #channel: Channel;
  readonly #memory: TransactionMemory;
  #publishes: BufferedPublish[];
  /** Taken of the connection's. */
  #bytes: number;

  constructor(channel: Channel, memory: TransactionMemory) {
    this.#channel = channel;
    this.#memory = memory;
    this.#publishes = [];
    this.#bytes = 0;
  }

  /** @throws BrokerError PRECONDITION_FAILED (channel) when it grows too large */
  add(
    target: PublishTarget,
    message: Message,
    extraKeys: readonly string[] | undefined,
    isMandatory: boolean,
  ): void {
    const byteCount = message.byteCount + ENTRY_OVERHEAD_BYTES;
    this.#memory.take(byteCount);
    this.#bytes += byteCount;
    this.#publishes.push({ target, message, extraKeys, isMandatory });
  }

  /**
   * Publishes everything, in order, and returns the PUBLISH_* bits of all together. What was for an
   * exchange that has gone meanwhile reaches no queue.
   *
   * @throws BrokerError when a right was withdrawn meanwhile; nothing is published then
   */
  commit(): number {
    const publishes = this.#publishes;
    this.rollback();
    const { publisher, vhost, host } = this.#channel;
    const routes = publishes.map(({ target }) => this.#routeOf(target));
    let all = 0;
    for (let index = 0; index < publishes.length; index += 1) {
      const { message: buffered, extraKeys, isMandatory } = publishes[index]!;
      const route = routes[index];
      const message = messageAt(buffered, host.chunkAtMs);
      const bits = route === undefined ? 0 : vhost.publish(route, message, extraKeys);
      if (isMandatory && (bits & PUBLISH_ROUTED) === 0) publisher.returnUnroutable(message);
      all |= bits;
    }
    return all;
  }

  #routeOf(target: PublishTarget): Route | undefined {
    try {
      return this.#channel.publisher.routeOf(target);
    } catch (error) {
      if (error instanceof BrokerError && error.code === 'NOT_FOUND') return undefined;
      throw error;
    }
  }

  /** Forgets what waits. */
  rollback(): void {
    this.#publishes = [];
    this.#memory.give(this.#bytes);
    this.#bytes = 0;
  }
}

/**
 * Applies a whole transaction.
 *
 * @returns true when something of it must reach the disk before commit-ok
 * @throws BrokerError PRECONDITION_FAILED when a queue refused a message
 */
export function commitTransaction(channel: Channel, publishes: PublishTransaction): boolean {
  const bits = publishes.commit();
  const settledCount = channel.settle.commit();
  if ((bits & PUBLISH_REJECTED) !== 0) {
    throw new BrokerError('PRECONDITION_FAILED', 'partial tx completion');
  }
  return settledCount > 0 || (bits & PUBLISH_DURABLE) !== 0;
}
