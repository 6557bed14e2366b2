import type { Message } from '../../src/engine/message.ts';
import type { ReplyTargets } from '../../src/engine/reply-target.ts';
import { DeliverTemplate } from './delivery-writer.ts';

/** Who writes the replies: the channel's consumer side. */
export interface ReplyConsumerHost {
  deliverReply(consumer: ReplyConsumer, message: Message): void;
}

/** A consumer of `amq.rabbitmq.reply-to`: replies reach it through no queue. */
export class ReplyConsumer {
  readonly tag: string;
  /** Routing key, on the default exchange, that reaches it. */
  readonly key: string;
  readonly template: DeliverTemplate;
  readonly #targets: ReplyTargets;

  constructor(tag: string, channelId: number, targets: ReplyTargets, host: ReplyConsumerHost) {
    this.tag = tag;
    this.template = new DeliverTemplate(channelId, tag);
    this.#targets = targets;
    this.key = targets.open((message) => host.deliverReply(this, message));
  }

  close(): void {
    this.#targets.close(this.key);
  }
}
