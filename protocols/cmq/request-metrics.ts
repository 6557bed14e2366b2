/**
 * Counts calls: by action and code, and by queue and topic what CMQ's monitoring shows of them
 * (reference 2.8; `SendMsgNum` is `send_msg_num` here). Queues and topics that calls were never
 * made for cost nothing; deleted ones are forgotten.
 */
import type { Parameters } from './request-parameters.ts';
import type { ReplyFields } from './reply-format.ts';
import type { ActionSpec } from './spec/actions.ts';

/** One figure that only grows. */
export interface CmqSample {
  readonly name: string;
  readonly help: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A call that succeeded, or found nothing. */
export interface CountedCall {
  readonly action: ActionSpec;
  readonly vhostName: string;
  readonly parameters: Parameters;
}

/** Figures of queues and topics: name, and what it counts. */
const FIGURES = {
  send_msg_req_count: 'SendMessage and BatchSendMessage calls that succeeded',
  send_msg_num: 'Messages sent',
  recv_msg_req_count: 'ReceiveMessage and BatchReceiveMessage calls that had a message',
  recv_msg_num: 'Messages received',
  recv_null_msg_num: 'ReceiveMessage calls that had none',
  batch_recv_null_msg_num: 'BatchReceiveMessage calls that had none',
  del_msg_req_count: 'DeleteMessage and BatchDeleteMessage calls',
  del_msg_num: 'Messages deleted',
  count_of_msg_published: 'PublishMessage calls that succeeded',
  num_of_msg_published: 'Messages published one by one',
  publish_size: 'Bytes of messages published one by one',
  count_of_msg_batch_published: 'BatchPublishMessage calls that succeeded',
  num_of_msg_batch_published: 'Messages published in batches',
  batch_publish_size: 'Bytes of messages published in batches',
} as const;

type Figure = keyof typeof FIGURES;

interface Resource {
  readonly kind: 'queue' | 'topic';
  readonly vhost: string;
  /** In lower case: names of CMQ have none. */
  readonly name: string;
  readonly figures: Map<Figure, number>;
}

export class RequestMetrics {
  /** By action and code. */
  readonly #calls = new Map<string, Map<number, number>>();
  readonly #resources = new Map<string, Resource>();

  /** Every reply. */
  count(action: string, code: number): void {
    let codes = this.#calls.get(action);
    if (codes === undefined) this.#calls.set(action, (codes = new Map()));
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }

  /** A reply with code 0, or with `errorList` when a batch was deleted in part. */
  succeeded(call: CountedCall, fields: ReplyFields): void {
    const { action, parameters } = call;
    switch (action.name) {
      case 'SendMessage':
        this.#add(call, 'send_msg_req_count', 1, 'send_msg_num', 1);
        break;
      case 'BatchSendMessage':
        this.#add(call, 'send_msg_req_count', 1, 'send_msg_num', lengthOf(fields['msgList']));
        break;
      case 'ReceiveMessage':
        this.#add(call, 'recv_msg_req_count', 1, 'recv_msg_num', 1);
        break;
      case 'BatchReceiveMessage':
        this.#add(call, 'recv_msg_req_count', 1, 'recv_msg_num', lengthOf(fields['msgInfoList']));
        break;
      case 'DeleteMessage':
        this.#add(call, 'del_msg_req_count', 1, 'del_msg_num', 1);
        break;
      case 'BatchDeleteMessage': {
        const asked = parameters.list('receiptHandle').length;
        const deleted = asked - lengthOf(fields['errorList']);
        this.#add(call, 'del_msg_req_count', 1, 'del_msg_num', deleted);
        break;
      }
      case 'PublishMessage': {
        const byteCount = Buffer.byteLength(parameters.text('msgBody'));
        this.#add(call, 'count_of_msg_published', 1, 'num_of_msg_published', 1);
        this.#add(call, 'publish_size', byteCount);
        break;
      }
      case 'BatchPublishMessage': {
        const bodies = parameters.list('msgBody');
        const byteCount = bodies.reduce((sum, body) => sum + Buffer.byteLength(body), 0);
        this.#add(call, 'count_of_msg_batch_published', 1);
        this.#add(
          call,
          'num_of_msg_batch_published',
          bodies.length,
          'batch_publish_size',
          byteCount,
        );
        break;
      }
      case 'DeleteQueue':
      case 'DeleteTopic':
        this.#resources.delete(keyOf(call));
        break;
      default:
    }
  }

  /** A receive that found nothing. */
  empty(call: CountedCall): void {
    const isBatch = call.action.name === 'BatchReceiveMessage';
    this.#add(call, isBatch ? 'batch_recv_null_msg_num' : 'recv_null_msg_num', 1);
  }

  /** Every figure, those of one name together. */
  samples(): readonly CmqSample[] {
    const samples: CmqSample[] = [];
    for (const [action, codes] of this.#calls) {
      for (const [code, value] of codes) {
        const labels = { action, code: String(code) };
        samples.push({ name: 'requests', help: 'Requests by action and code', labels, value });
      }
    }
    for (const [name, help] of Object.entries(FIGURES)) {
      for (const { kind, vhost, name: resource, figures } of this.#resources.values()) {
        const value = figures.get(name as Figure);
        if (value === undefined) continue;
        samples.push({ name, help, labels: { vhost, [kind]: resource }, value });
      }
    }
    return samples;
  }

  #add(call: CountedCall, figure: Figure, by: number, more?: Figure, byMore = 0): void {
    const key = keyOf(call);
    let resource = this.#resources.get(key);
    if (resource === undefined) {
      const { action, vhostName: vhost } = call;
      const kind = action.resource;
      resource = { kind, vhost, name: nameOf(call), figures: new Map() };
      this.#resources.set(key, resource);
    }
    const { figures } = resource;
    figures.set(figure, (figures.get(figure) ?? 0) + by);
    if (more !== undefined) figures.set(more, (figures.get(more) ?? 0) + byMore);
  }
}

function nameOf({ action, parameters }: CountedCall): string {
  return parameters.text(action.resource === 'queue' ? 'queueName' : 'topicName').toLowerCase();
}

function keyOf(call: CountedCall): string {
  return `${call.action.resource}\0${call.vhostName}\0${nameOf(call)}`;
}

function lengthOf(value: unknown): number {
  return Array.isArray(value) ? value.length : 0;
}
