/**
 * Class tx (spec 1.9): publishes and settlements of a channel, applied together.
 *
 * Everything is buffered until tx.commit and then applied in one synchronous run; what the store
 * is told in one run is one atomic commit. commit-ok waits for that commit. Exchange and rights are
 * checked when a message is published; it is routed, returned and begins to live with the commit.
 */
import { BrokerError } from '../../src/base/errors.ts';
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

interface BufferedPublish {
  readonly target: PublishTarget;
  readonly message: Message;
  readonly extraKeys: readonly string[] | undefined;
  readonly isMandatory: boolean;
}

/** The publishes of an open transaction. */
export class PublishTransaction {
  readonly #channel: Channel;
  #publishes: BufferedPublish[];

  constructor(channel: Channel) {
    this.#channel = channel;
    this.#publishes = [];
  }

  add(
    target: PublishTarget,
    message: Message,
    extraKeys: readonly string[] | undefined,
    isMandatory: boolean,
  ): void {
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
    this.#publishes = [];
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

  rollback(): void {
    this.#publishes = [];
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
