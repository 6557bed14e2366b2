/** The same cycle against a stand-in for SQS that checks no signature: ElasticMQ. */
import type { Worker } from './cycle.ts';
import { HttpLink } from './http-link.ts';

interface SqsReply {
  readonly QueueUrl: string;
  readonly Messages?: readonly { readonly ReceiptHandle: string }[];
}

export class SqsWorker implements Worker {
  readonly #http: HttpLink;
  readonly #host: string;
  readonly #body: string;
  #queueUrl: string;

  private constructor(http: HttpLink, port: number, bodyBytes: number) {
    this.#http = http;
    this.#host = `127.0.0.1:${port}`;
    this.#body = 'm'.repeat(bodyBytes);
    this.#queueUrl = '';
  }

  static async open(port: number, queue: string, bodyBytes: number): Promise<SqsWorker> {
    const worker = new SqsWorker(await HttpLink.open(port), port, bodyBytes);
    worker.#queueUrl = (await worker.#call('CreateQueue', { QueueName: queue })).QueueUrl;
    return worker;
  }

  async cycle(): Promise<number> {
    const QueueUrl = this.#queueUrl;
    await this.#call('SendMessage', { QueueUrl, MessageBody: this.#body });
    const received = await this.#call('ReceiveMessage', { QueueUrl, WaitTimeSeconds: 10 });
    const handle = received.Messages?.[0]?.ReceiptHandle;
    if (handle === undefined) throw new Error('ReceiveMessage found nothing');
    await this.#call('DeleteMessage', { QueueUrl, ReceiptHandle: handle });
    return 1;
  }

  close(): void {
    this.#http.close();
  }

  async #call(action: string, parameters: object): Promise<SqsReply> {
    const headers =
      `Host: ${this.#host}\r\nContent-Type: application/x-amz-json-1.0\r\n` +
      `X-Amz-Target: AmazonSQS.${action}\r\n`;
    const text = await this.#http.post('/', headers, JSON.stringify(parameters));
    return (text === '' ? {} : JSON.parse(text)) as SqsReply;
  }
}
