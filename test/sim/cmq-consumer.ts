/** An AMQP consumer of the simulation: takes what its credit allows and settles it later, or never. */
import { EMPTY_TABLE } from '../../src/base/field-value.ts';
import type { Actor } from '../../src/engine/actor.ts';
import type { Entry } from '../../src/engine/message.ts';
import type { Consumer } from '../../src/engine/queue/consumer.ts';
import type { Queue } from '../../src/engine/queue/queue.ts';

export class CmqConsumer implements Consumer {
  readonly tag = 'consumer';
  readonly exclusive = false;
  readonly priority = 0;
  readonly arguments = EMPTY_TABLE;
  readonly prefetchCount = 0;
  // Queues ask it for traces only.
  readonly actor = undefined as unknown as Actor;
  readonly noAck: boolean;
  credit: number;
  readonly #onDelivery: (entry: Entry, consumer: CmqConsumer) => void;

  constructor(
    noAck: boolean,
    credit: number,
    onDelivery: (entry: Entry, consumer: CmqConsumer) => void,
  ) {
    this.noAck = noAck;
    this.credit = credit;
    this.#onDelivery = onDelivery;
  }

  hasCredit(): boolean {
    return this.credit > 0;
  }

  deliver(_queue: Queue, entry: Entry): void {
    this.credit -= 1;
    this.#onDelivery(entry, this);
  }

  cancelled(): void {}
}
