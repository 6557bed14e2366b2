/**
 * Class tx (spec 1.9): publishes and settlements of a channel, applied together.
 *
 * Everything is buffered until tx.commit and then applied in one synchronous run; what the store
 * is told in one run is one atomic commit. commit-ok waits for that commit. Routing and rights are
 * checked when a message is published, returns are written with the commit (RabbitMQ).
 */
import { BrokerError } from '../../src/base/errors.ts';
import type { Message } from '../../src/engine/message.ts';
import { PUBLISH_DURABLE, PUBLISH_REJECTED, PUBLISH_ROUTED } from '../../src/engine/publish.ts';
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
   * Publishes everything, in order, and returns the PUBLISH_* bits of all together.
   *
   * @throws BrokerError what became of a target since it was checked; nothing is published then
   */
  commit(): number {
    const publishes = this.#publishes;
    this.#publishes = [];
    const { publisher, vhost } = this.#channel;
    for (const { target } of publishes) publisher.routeOf(target);
    let all = 0;
    for (const { target, message, extraKeys, isMandatory } of publishes) {
      const bits = vhost.publish(publisher.routeOf(target), message, extraKeys);
      if (isMandatory && (bits & PUBLISH_ROUTED) === 0) publisher.returnUnroutable(message);
      all |= bits;
    }
    return all;
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
