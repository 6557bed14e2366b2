/**
 * Classes exchange and queue (spec 1.6, 1.7): every method is one call of the vhost and one reply,
 * held until the change is on disk.
 */
import { BrokerError } from '../../src/base/errors.ts';
import type { FieldTable } from '../../src/base/field-value.ts';
import type { Ticket } from '../../src/engine/ports.ts';
import { isReplyKey, REPLY_TO_NAME } from '../../src/engine/reply-target.ts';
import type { Channel } from './channel.ts';
import {
  writeExchangeBindOk,
  writeExchangeDeclareOk,
  writeExchangeDeleteOk,
  writeExchangeUnbindOk,
  writeQueueBindOk,
  writeQueueDeclareOk,
  writeQueueDeleteOk,
  writeQueuePurgeOk,
  writeQueueUnbindOk,
} from './codec.generated.ts';
import type { FrameSink } from './frame-writer.ts';

/** Flags and arguments of exchange.declare. */
export interface ExchangeDeclare {
  readonly type: string;
  readonly passive: boolean;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly internal: boolean;
  readonly arguments: FieldTable;
}

/** Flags and arguments of queue.declare. */
export interface QueueDeclare {
  readonly passive: boolean;
  readonly durable: boolean;
  readonly exclusive: boolean;
  readonly autoDelete: boolean;
  readonly arguments: FieldTable;
}

/** The topology methods of one channel. */
export class ChannelTopology {
  readonly #channel: Channel;
  /** Stands for "" as a queue name (spec 1.7.2.3); "" while none was declared here. */
  #lastQueue: string;

  constructor(channel: Channel) {
    this.#channel = channel;
    this.#lastQueue = '';
  }

  declareExchange(name: string, options: ExchangeDeclare, noWait: boolean): void {
    const { actor, vhost } = this.#channel;
    const ticket = vhost.declareExchange(actor, stripLineBreaks(name), options);
    this.#reply(ticket, noWait, writeExchangeDeclareOk);
  }

  deleteExchange(name: string, ifUnused: boolean, noWait: boolean): void {
    const { actor, vhost } = this.#channel;
    const ticket = vhost.deleteExchange(actor, stripLineBreaks(name), ifUnused);
    this.#reply(ticket, noWait, writeExchangeDeleteOk);
  }

  bindExchange(
    destination: string,
    source: string,
    key: string,
    noWait: boolean,
    args: FieldTable,
  ): void {
    const { actor, vhost } = this.#channel;
    const [to, from] = [stripLineBreaks(destination), stripLineBreaks(source)];
    const ticket = vhost.bindExchange(actor, to, from, key, args);
    this.#reply(ticket, noWait, writeExchangeBindOk);
  }

  unbindExchange(
    destination: string,
    source: string,
    key: string,
    noWait: boolean,
    args: FieldTable,
  ): void {
    const { actor, vhost } = this.#channel;
    const [to, from] = [stripLineBreaks(destination), stripLineBreaks(source)];
    const ticket = vhost.unbindExchange(actor, to, from, key, args);
    this.#reply(ticket, noWait, writeExchangeUnbindOk);
  }

  declareQueue(requestedName: string, options: QueueDeclare, noWait: boolean): void {
    const name = stripLineBreaks(requestedName);
    if (name === REPLY_TO_NAME || isReplyKey(name)) {
      this.#declareReplyTarget(name, noWait);
      return;
    }
    const { actor, vhost } = this.#channel;
    const { queue, ticket } = vhost.declareQueue(actor, name, options);
    this.#lastQueue = queue.name;
    if (noWait) return;
    const { readyCount, consumerCount } = queue;
    this.#reply(ticket, false, (out, id) =>
      writeQueueDeclareOk(out, id, queue.name, readyCount, consumerCount),
    );
  }

  bindQueue(queue: string, exchange: string, key: string, noWait: boolean, args: FieldTable): void {
    const { actor, vhost } = this.#channel;
    const name = stripLineBreaks(this.queueName(queue));
    const bindingKey = this.#bindingKey(queue, key);
    const source = stripLineBreaks(exchange);
    const ticket = vhost.bindQueue(actor, name, source, bindingKey, args);
    this.#reply(ticket, noWait, writeQueueBindOk);
  }

  unbindQueue(queue: string, exchange: string, key: string, args: FieldTable): void {
    const { actor, vhost } = this.#channel;
    const name = stripLineBreaks(this.queueName(queue));
    const bindingKey = this.#bindingKey(queue, key);
    const source = stripLineBreaks(exchange);
    const ticket = vhost.unbindQueue(actor, name, source, bindingKey, args);
    this.#reply(ticket, false, writeQueueUnbindOk);
  }

  purgeQueue(queue: string, noWait: boolean): void {
    const { actor, vhost } = this.#channel;
    const { count, ticket } = vhost.purgeQueue(actor, this.queueName(queue));
    this.#reply(ticket, noWait, (out, id) => writeQueuePurgeOk(out, id, count));
  }

  deleteQueue(queue: string, ifUnused: boolean, ifEmpty: boolean, noWait: boolean): void {
    const { actor, vhost } = this.#channel;
    const name = stripLineBreaks(this.queueName(queue));
    const { count, ticket } = vhost.deleteQueue(actor, name, ifUnused, ifEmpty);
    this.#reply(ticket, noWait, (out, id) => writeQueueDeleteOk(out, id, count));
  }

  /**
   * The queue that `name` means: "" is the one this channel declared last.
   * @throws BrokerError NOT_FOUND when there was none
   */
  queueName(name: string): string {
    if (name !== '') return name;
    if (this.#lastQueue === '') throw new BrokerError('NOT_FOUND', 'no previously declared queue');
    return this.#lastQueue;
  }

  /** With neither queue nor key given, the key is the name of the queue as well. */
  #bindingKey(queue: string, key: string): string {
    return queue === '' && key === '' ? this.#lastQueue : key;
  }

  /** Declaring a reply address is how clients ask whether somebody still listens there. */
  #declareReplyTarget(name: string, noWait: boolean): void {
    const { vhost } = this.#channel;
    if (name !== REPLY_TO_NAME && !vhost.replyTargets.has(name)) {
      throw new BrokerError('NOT_FOUND', `no queue '${name}' in vhost '${vhost.name}'`);
    }
    this.#reply(0, noWait, (out, id) => writeQueueDeclareOk(out, id, name, 0, 1));
  }

  #reply(ticket: Ticket, noWait: boolean, write: (out: FrameSink, id: number) => void): void {
    if (!noWait) this.#channel.reply(ticket, write);
  }
}

/** RabbitMQ strips line breaks from the names of what is declared, deleted or bound. */
function stripLineBreaks(name: string): string {
  return name.includes('\n') || name.includes('\r') ? name.replace(/[\r\n]/g, '') : name;
}
