import { readU32 } from '../../src/base/byte-reader.ts';
import { BrokerError } from '../../src/base/errors.ts';
import { Channel } from './channel.ts';
import type { ChannelHost } from './channel-host.ts';
import { TransactionMemory } from './channel-tx.ts';
import { writeChannelOpenOk } from './codec.generated.ts';
import {
  FRAME_HEARTBEAT,
  FRAME_METHOD,
  METHOD_BASIC_ACK,
  METHOD_BASIC_NACK,
  METHOD_BASIC_REJECT,
  METHOD_CHANNEL_CLOSE_OK,
  METHOD_CHANNEL_OPEN,
} from './spec/constants.ts';

/** How many channels a login may have open, over all its connections. */
export interface ChannelQuota {
  /** @throws BrokerError NOT_ALLOWED (connection) */
  take(): void;
  give(): void;
}

/** The channels of one connection, by number. */
export class ChannelTable {
  readonly #host: ChannelHost;
  readonly #quota: ChannelQuota;
  readonly #transactionMemory: TransactionMemory;
  /** Highest channel number and count of channels, as negotiated. */
  readonly #channelMax: number;
  /** null: was open once. */
  readonly #channels: (Channel | null | undefined)[];
  #count: number;

  constructor(host: ChannelHost, quota: ChannelQuota, channelMax: number) {
    this.#host = host;
    this.#quota = quota;
    this.#transactionMemory = new TransactionMemory();
    this.#channelMax = channelMax;
    this.#channels = [];
    this.#count = 0;
  }

  get count(): number {
    return this.#count;
  }

  /** Hot: once per frame. */
  get(id: number): Channel | undefined {
    return this.#channels[id] ?? undefined;
  }

  /** The open channels. */
  all(): Channel[] {
    return this.#channels.filter((channel) => channel instanceof Channel);
  }

  /**
   * A frame for a channel that is not open: channel.open, or a settlement that was on its way when
   * the channel ended, which harms nobody.
   *
   * @throws BrokerError CHANNEL_ERROR, NOT_ALLOWED, UNEXPECTED_FRAME (connection)
   */
  onStrayFrame(id: number, type: number, buf: Buffer, start: number, end: number): void {
    if (type === FRAME_HEARTBEAT) {
      throw new BrokerError('UNEXPECTED_FRAME', `heartbeat frame on channel ${id}`);
    }
    const method = type === FRAME_METHOD && end - start >= 4 ? readU32(buf, start) : 0;
    if (method === METHOD_CHANNEL_OPEN) this.#open(id);
    else if (this.#channels[id] !== null || !isHarmless(method)) {
      throw new BrokerError('CHANNEL_ERROR', "expected 'channel.open'");
    }
  }

  /** The number is free again. */
  remove(id: number): void {
    if (!(this.#channels[id] instanceof Channel)) return;
    this.#channels[id] = null;
    this.#count -= 1;
    this.#quota.give();
  }

  /** Ends every channel, silently. */
  abortAll(): void {
    for (const channel of this.all()) {
      this.remove(channel.id);
      channel.abort();
    }
  }

  #open(id: number): void {
    if (this.#channelMax > 0 && (this.#count >= this.#channelMax || id > this.#channelMax)) {
      throw new BrokerError(
        'NOT_ALLOWED',
        `number of channels opened (${this.#count}) has reached the negotiated ` +
          `channel_max (${this.#channelMax})`,
      );
    }
    this.#quota.take();
    this.#count += 1;
    this.#channels[id] = new Channel(id, this.#host, this.#transactionMemory);
    writeChannelOpenOk(this.#host.outbound, id);
  }
}

/** What a client may have sent before it learned that its channel had ended. */
function isHarmless(method: number): boolean {
  return (
    method === METHOD_BASIC_ACK ||
    method === METHOD_BASIC_NACK ||
    method === METHOD_BASIC_REJECT ||
    method === METHOD_CHANNEL_CLOSE_OK
  );
}
