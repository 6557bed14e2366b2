/**
 * A scripted CMQ client for the conformance suites: API 2.0 in every form its stock clients use
 * (GET, POST, both algorithms, either path, host with and without port), and API 3.0. It signs by
 * itself and checks nothing but the shape every reply must have, so that limits can be crossed.
 */
import http from 'node:http';
import {
  authorization,
  type CmqAlgorithm,
  type CmqKey,
  signature,
  stringToSign,
} from './cmq-sign.ts';
import { within } from './inbox.ts';

const CALL_TIMEOUT_MS = 60_000;

export type CmqValue = string | number | boolean | readonly (string | number)[];

export type CmqParameters = Readonly<Record<string, CmqValue | undefined>>;

/** One received message as the wire names it; times are Unix seconds. */
export interface CmqMessage {
  readonly msgBody: string;
  readonly msgId: string;
  readonly receiptHandle: string;
  readonly enqueueTime: number;
  readonly firstDequeueTime: number;
  readonly nextVisibleTime: number;
  readonly dequeueCount: number;
}

/** A reply of API 2.0. Which fields it has depends on the action. */
export interface CmqReply extends CmqMessage {
  readonly code: number;
  readonly message: string;
  readonly requestId: string;
  readonly msgList: readonly { readonly msgId: string }[];
  readonly msgInfoList: readonly CmqMessage[];
  readonly errorList: readonly {
    readonly code: number;
    readonly message: string;
    readonly receiptHandle: string;
  }[];
  readonly [field: string]: unknown;
}

/** A reply of API 3.0: what is inside `Response`. */
export interface TencentReply {
  readonly RequestId: string;
  readonly Error?: { readonly Code: string; readonly Message: string };
  readonly [field: string]: unknown;
}

export interface HttpReply {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
}

export interface CmqOptions {
  readonly method?: 'GET' | 'POST';
  readonly path?: string;
  readonly algorithm?: CmqAlgorithm;
  /** false: no SignatureMethod parameter, which means HMAC-SHA1. */
  readonly namesAlgorithm?: boolean;
  /** false: the signature covers the host without its port. */
  readonly signsPort?: boolean;
  /** true: values that begin with `@` stay out of a POST's signature, as two SDKs do. */
  readonly skipsAt?: boolean;
  /** Number of the first element of an array parameter. */
  readonly firstIndex?: 0 | 1;
  /** The local address the client dials from. */
  readonly localAddress?: string;
}

/** The module number in `(10430)text`. */
export function moduleOf(message: string): number {
  return Number(/^\((\d+)\)/.exec(message)?.[1] ?? 0);
}

/** Arrays become `name.0`, `name.1`; undefined is left out. */
export function flatten(parameters: CmqParameters, firstIndex = 0): Map<string, string> {
  const flat = new Map<string, string>();
  for (const [name, value] of Object.entries(parameters)) {
    if (value === undefined) continue;
    if (typeof value !== 'object') flat.set(name, String(value));
    else value.forEach((item, at) => flat.set(`${name}.${at + firstIndex}`, String(item)));
  }
  return flat;
}

export class CmqClient {
  readonly base: URL;
  readonly key: CmqKey;
  readonly options: CmqOptions;
  readonly #agent: http.Agent;

  /** `base` is `http://host:port`. */
  constructor(base: string, key: CmqKey, options: CmqOptions = {}) {
    this.base = new URL(base);
    this.key = key;
    this.options = options;
    this.#agent = new http.Agent({ keepAlive: true, maxSockets: 1_024 });
  }

  /** The same key and place, spoken to in another way. */
  with(options: CmqOptions): CmqClient {
    return new CmqClient(this.base.href, this.key, { ...this.options, ...options });
  }

  /** The parameters of a signed request of API 2.0. */
  signed(action: string, parameters: CmqParameters = {}): Map<string, string> {
    const { method = 'POST', path = '/v2/index.php', algorithm = 'HmacSHA256' } = this.options;
    const common: CmqParameters = {
      Action: action,
      Timestamp: Math.floor(Date.now() / 1000),
      Nonce: Math.floor(Math.random() * 65_536),
      SecretId: this.key.id,
      SignatureMethod: this.options.namesAlgorithm === false ? undefined : algorithm,
    };
    const flat = flatten({ ...common, ...parameters }, this.options.firstIndex);
    const host = this.options.signsPort === false ? this.base.hostname : this.base.host;
    const skipsAt = method === 'POST' && this.options.skipsAt === true;
    const text = stringToSign({ method, host, path }, flat, skipsAt);
    const used = this.options.namesAlgorithm === false ? 'HmacSHA1' : algorithm;
    return flat.has('Signature')
      ? flat
      : flat.set('Signature', signature(text, this.key.secret, used));
  }

  /** One call of API 2.0, whatever its outcome; the HTTP status must be 200. */
  async call(
    action: string,
    parameters: CmqParameters = {},
    signal?: AbortSignal,
  ): Promise<CmqReply> {
    return await this.#sendForm(this.signed(action, parameters), signal);
  }

  /** A call whose code must be 0. */
  async ok(action: string, parameters: CmqParameters = {}): Promise<CmqReply> {
    const reply = await this.call(action, parameters);
    if (reply.code !== 0) throw new Error(`${action}: ${reply.code} ${reply.message}`);
    return reply;
  }

  /** Parameters exactly as they are. */
  async raw(parameters: ReadonlyMap<string, string>): Promise<CmqReply> {
    return await this.#sendForm(parameters);
  }

  async #sendForm(parameters: ReadonlyMap<string, string>, signal?: AbortSignal) {
    const { method = 'POST', path = '/v2/index.php' } = this.options;
    const form = new URLSearchParams([...parameters]).toString();
    const reply =
      method === 'GET'
        ? await this.http('GET', `${path}?${form}`, undefined, {}, signal)
        : await this.http(
            'POST',
            path,
            form,
            { 'content-type': 'application/x-www-form-urlencoded' },
            signal,
          );
    return readReply(reply);
  }

  /** One call of API 3.0. `service` is the first label of the endpoint as the client sees it. */
  async call3(
    action: string,
    payload: object = {},
    { version = '2020-02-17', service = 'tdmq', host = this.base.host } = {},
  ): Promise<TencentReply> {
    const body = JSON.stringify(payload);
    const contentType = 'application/json';
    const timestamp = Math.floor(Date.now() / 1000);
    const request = { method: 'POST', path: '/', query: '', contentType, host, service };
    const reply = await this.http('POST', '/', body, {
      'content-type': contentType,
      'x-tc-action': action,
      'x-tc-version': version,
      'x-tc-timestamp': String(timestamp),
      'x-tc-region': 'ap-guangzhou',
      authorization: authorization({ ...request, timestamp, body }, this.key),
    });
    if (reply.status !== 200) throw new Error(`HTTP ${reply.status}: ${reply.text}`);
    const { Response: response } = JSON.parse(reply.text) as { Response: TencentReply };
    if (typeof response.RequestId !== 'string') throw new Error('a reply without RequestId');
    return response;
  }

  /** A call of API 3.0 that must succeed. */
  async ok3(action: string, payload: object = {}): Promise<TencentReply> {
    const reply = await this.call3(action, payload);
    if (reply.Error) throw new Error(`${action}: ${reply.Error.Code} ${reply.Error.Message}`);
    return reply;
  }

  /** One HTTP request. */
  async http(
    method: string,
    path: string,
    body?: string | Buffer,
    headers: http.OutgoingHttpHeaders = {},
    signal?: AbortSignal,
  ): Promise<HttpReply> {
    const { localAddress } = this.options;
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
    const answered = new Promise<HttpReply>((resolve, reject) => {
      const request = http.request(new URL(path, this.base), {
        method,
        agent: this.#agent,
        headers: { ...length, ...headers },
        ...(localAddress === undefined ? {} : { localAddress }),
        ...(signal === undefined ? {} : { signal }),
      });
      request.on('error', reject);
      request.on('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text: Buffer.concat(chunks).toString('utf8'),
          }),
        );
      });
      request.end(body);
    });
    return await within(answered, CALL_TIMEOUT_MS, `${method} ${path.slice(0, 60)}`);
  }

  async send(queueName: string, msgBody: string, more: CmqParameters = {}): Promise<string> {
    const reply = await this.ok('SendMessage', { queueName, msgBody, ...more });
    return reply.msgId;
  }

  /** The next message; fails when there is none in time. */
  async receive(queueName: string, pollingWaitSeconds = 0): Promise<CmqMessage> {
    return await this.ok('ReceiveMessage', { queueName, pollingWaitSeconds });
  }

  async remove(queueName: string, message: CmqMessage): Promise<void> {
    await this.ok('DeleteMessage', { queueName, receiptHandle: message.receiptHandle });
  }

  /** Takes and deletes until the queue says that it is empty; bodies in order. */
  async drain(queueName: string): Promise<string[]> {
    const bodies: string[] = [];
    for (;;) {
      const reply = await this.call('BatchReceiveMessage', {
        queueName,
        numOfMsg: 16,
        pollingWaitSeconds: 0,
      });
      if (reply.code === 7000) return bodies;
      if (reply.code !== 0) throw new Error(`${reply.code} ${reply.message}`);
      const receiptHandle = reply.msgInfoList.map((message) => message.receiptHandle);
      bodies.push(...reply.msgInfoList.map((message) => message.msgBody));
      await this.ok('BatchDeleteMessage', { queueName, receiptHandle });
    }
  }

  /** The exact counters of a queue. */
  async counters(queueName: string): Promise<CmqCounters> {
    const reply = await this.ok('GetQueueAttributes', { queueName });
    return {
      active: Number(reply['activeMsgNum']),
      inactive: Number(reply['inactiveMsgNum']),
      delayed: Number(reply['delayMsgNum']),
      rewindable: Number(reply['rewindMsgNum']),
    };
  }

  close(): void {
    this.#agent.destroy();
  }
}

export interface CmqCounters {
  readonly active: number;
  readonly inactive: number;
  readonly delayed: number;
  readonly rewindable: number;
}

function readReply({ status, text }: HttpReply): CmqReply {
  if (status !== 200) throw new Error(`HTTP ${status}: ${text.slice(0, 300)}`);
  const reply = JSON.parse(text) as CmqReply;
  const hasShape =
    Number.isInteger(reply.code) &&
    typeof reply.message === 'string' &&
    typeof reply.requestId === 'string';
  if (!hasShape) throw new Error(`not a CMQ reply: ${text.slice(0, 300)}`);
  return reply;
}
