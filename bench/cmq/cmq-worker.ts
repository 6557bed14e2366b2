import { CmqLink, deleteAll } from './cmq-link.ts';
import type { Worker } from './cycle.ts';
import type { Key } from './signed-form.ts';

/** SendMessage, ReceiveMessage, DeleteMessage. */
export class SingleWorker implements Worker {
  readonly #link: CmqLink;
  readonly #queue: string;
  readonly #body: string;

  constructor(link: CmqLink, queue: string, body: string) {
    this.#link = link;
    this.#queue = queue;
    this.#body = body;
  }

  async cycle(): Promise<number> {
    const queueName = ['queueName', this.#queue] as const;
    await this.#link.ok('SendMessage', [queueName, ['msgBody', this.#body]]);
    const { receiptHandle } = await this.#link.ok('ReceiveMessage', [
      queueName,
      ['pollingWaitSeconds', '10'],
    ]);
    await this.#link.ok('DeleteMessage', [queueName, ['receiptHandle', receiptHandle]]);
    return 1;
  }

  close(): void {
    this.#link.close();
  }
}

/** The same sixteen at a time. */
export class BatchWorker implements Worker {
  readonly #link: CmqLink;
  readonly #queue: string;
  readonly #bodies: readonly (readonly [string, string])[];

  constructor(link: CmqLink, queue: string, body: string, count: number) {
    this.#link = link;
    this.#queue = queue;
    this.#bodies = Array.from({ length: count }, (_, n) => [`msgBody.${n}`, body] as const);
  }

  async cycle(): Promise<number> {
    const queueName = ['queueName', this.#queue] as const;
    await this.#link.ok('BatchSendMessage', [queueName, ...this.#bodies]);
    const { msgInfoList = [] } = await this.#link.ok('BatchReceiveMessage', [
      queueName,
      ['numOfMsg', String(this.#bodies.length)],
      ['pollingWaitSeconds', '10'],
    ]);
    await deleteAll(this.#link, this.#queue, msgInfoList);
    return msgInfoList.length;
  }

  close(): void {
    this.#link.close();
  }
}

/** Opens `count` workers on one queue; `batch` 1 is single calls. */
export function openCmqWorkers(
  port: number,
  key: Key,
  queue: string,
  count: number,
  bodyBytes: number,
  batch: number,
): Promise<Worker[]> {
  const body = 'm'.repeat(bodyBytes);
  const open = async (): Promise<Worker> => {
    const link = await CmqLink.open(port, key);
    return batch === 1
      ? new SingleWorker(link, queue, body)
      : new BatchWorker(link, queue, body, batch);
  };
  return Promise.all(Array.from({ length: count }, open));
}
