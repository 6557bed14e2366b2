/** The ceiling: the same cycle over AMQP, a confirmed publish, basic.get and an ack. */
import * as encode from '../wire/encode.ts';
import { CHANNEL, Link } from '../wire/link.ts';
import type { Worker } from './cycle.ts';

const BASIC_GET_OK = encode.methodKey(60, 71);
const BASIC_GET_EMPTY = encode.methodKey(60, 72);

export class AmqpWorker implements Worker {
  readonly #link: Link;
  readonly #publish: Buffer;
  readonly #get: Buffer;
  readonly #ack: Buffer;
  #confirmed: (() => void) | undefined;
  #got: (() => void) | undefined;

  private constructor(link: Link, queue: string, bodyBytes: number) {
    this.#link = link;
    this.#publish = encode.publish(CHANNEL, '', queue, true, bodyBytes, link.frameMaxBytes).bytes;
    this.#get = basicGet(queue);
    this.#ack = encode.basicAck(CHANNEL, false);
    this.#confirmed = undefined;
    this.#got = undefined;
    link.onData = (type, key, bytes, start) => this.#onData(type, key, bytes, start);
  }

  static async open(url: string, queue: string, bodyBytes: number): Promise<AmqpWorker> {
    const link = await Link.open(url);
    const declare = encode.queueDeclare(CHANNEL, queue, { isDurable: true });
    await link.call(declare, encode.QUEUE_DECLARE_OK);
    await link.call(encode.confirmSelect(CHANNEL), encode.CONFIRM_SELECT_OK);
    return new AmqpWorker(link, queue, bodyBytes);
  }

  async cycle(): Promise<number> {
    await new Promise<void>((resolve) => {
      this.#confirmed = resolve;
      this.#link.write(this.#publish);
    });
    await new Promise<void>((resolve) => {
      this.#got = resolve;
      this.#link.write(this.#get);
    });
    this.#link.write(Buffer.from(this.#ack));
    return 1;
  }

  async close(): Promise<void> {
    await this.#link.close();
  }

  #onData(type: number, key: number, bytes: Buffer, start: number): boolean {
    if (type === encode.FRAME_HEADER) return true;
    if (type === encode.FRAME_BODY) {
      this.#got?.();
      return true;
    }
    if (key === encode.BASIC_ACK) {
      this.#confirmed?.();
      return true;
    }
    if (key === BASIC_GET_OK) {
      // The delivery tag follows class and method.
      bytes.copy(this.#ack, encode.ACK_TAG_OFFSET, start + 4, start + 12);
      return true;
    }
    if (key !== BASIC_GET_EMPTY) return false;
    throw new Error('basic.get found nothing');
  }
}

function basicGet(queue: string): Buffer {
  const name = Buffer.from(queue);
  const arguments_ = Buffer.concat([Buffer.from([0, 0, name.length]), name, Buffer.from([0])]);
  return encode.method(CHANNEL, 60, 70, arguments_);
}
