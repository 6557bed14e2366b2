/**
 * Follows the trace of a queue, which the server keeps as a stream, and checks that at no instant a
 * message had two live leases: it may be received again only after its lease was released.
 */
import type { Channel, ChannelModel } from 'amqplib';

interface Event {
  readonly kind: string;
  readonly msgId?: string;
}

export class LeaseLedger {
  /** What must not be, the first few. */
  readonly faults: string[];
  /** Leases that ended without a deletion: each allows one more receive. */
  released: number;
  received: number;
  deleted: number;
  readonly #leased: Set<string>;
  readonly #channel: Channel;

  private constructor(channel: Channel) {
    this.faults = [];
    this.released = 0;
    this.received = 0;
    this.deleted = 0;
    this.#leased = new Set();
    this.#channel = channel;
  }

  /** From the first event of `queueName` on; at least one must have been traced. */
  static async follow(connection: ChannelModel, queueName: string): Promise<LeaseLedger> {
    const channel = await connection.createChannel();
    const ledger = new LeaseLedger(channel);
    await channel.prefetch(1_000);
    await channel.consume(
      `amq.cmq-trace.${queueName}`,
      (message) => {
        if (message === null) return;
        ledger.#note(JSON.parse(message.content.toString()) as Event);
        channel.ack(message);
      },
      { arguments: { 'x-stream-offset': 'first' } },
    );
    return ledger;
  }

  /** Messages that are leased now. */
  get leasedCount(): number {
    return this.#leased.size;
  }

  async stop(): Promise<void> {
    await this.#channel.close();
  }

  #note({ kind, msgId }: Event): void {
    if (msgId === undefined) return;
    switch (kind) {
      case 'received':
        this.received += 1;
        if (this.#leased.has(msgId)) this.#fault(`${msgId} was leased twice at once`);
        this.#leased.add(msgId);
        break;
      case 'released':
        this.released += 1;
        if (!this.#leased.delete(msgId)) this.#fault(`${msgId} was released without a lease`);
        break;
      case 'deleted':
        this.deleted += 1;
        if (!this.#leased.delete(msgId)) this.#fault(`${msgId} was deleted without a lease`);
        break;
      default:
    }
  }

  #fault(text: string): void {
    if (this.faults.length < 10) this.faults.push(text);
  }
}
