import { HttpLink } from './http-link.ts';
import { type Key, PATH, signedForm } from './signed-form.ts';

/** A received message, as far as the benches look at it. */
export interface Received {
  readonly msgBody: string;
  readonly receiptHandle: string;
}

export interface Reply extends Received {
  readonly code: number;
  readonly message: string;
  readonly msgInfoList?: readonly Received[];
  readonly [field: string]: unknown;
}

/** Code of a receive that found nothing. */
export const EMPTY = 7000;

/** A client of API 2.0 on one connection, one call at a time. */
export class CmqLink {
  readonly #http: HttpLink;
  readonly #key: Key;
  readonly #host: string;
  readonly #headers: string;

  private constructor(http: HttpLink, key: Key, host: string) {
    this.#http = http;
    this.#key = key;
    this.#host = host;
    this.#headers = `Host: ${host}\r\nContent-Type: application/x-www-form-urlencoded\r\n`;
  }

  static async open(port: number, key: Key): Promise<CmqLink> {
    return new CmqLink(await HttpLink.open(port), key, `127.0.0.1:${port}`);
  }

  /** One call, whatever its code. */
  async call(action: string, parameters: readonly (readonly [string, string])[]): Promise<Reply> {
    const form = signedForm(this.#key, this.#host, action, parameters);
    return JSON.parse(await this.#http.post(PATH, this.#headers, form)) as Reply;
  }

  /** A call whose code must be 0. */
  async ok(action: string, parameters: readonly (readonly [string, string])[]): Promise<Reply> {
    const reply = await this.call(action, parameters);
    if (reply.code !== 0) throw new Error(`${action}: ${reply.code} ${reply.message}`);
    return reply;
  }

  close(): void {
    this.#http.close();
  }
}

/** Opens `count` connections, some at a time. */
export async function openLinks(port: number, key: Key, count: number): Promise<CmqLink[]> {
  const links: CmqLink[] = [];
  while (links.length < count) {
    const some = Math.min(128, count - links.length);
    const opened = Array.from({ length: some }, () => CmqLink.open(port, key));
    links.push(...(await Promise.all(opened)));
  }
  return links;
}

/** Deletes up to 16 messages. */
export async function deleteAll(
  link: CmqLink,
  queue: string,
  messages: readonly Received[],
): Promise<void> {
  const handles = messages.map(
    ({ receiptHandle }, index) => [`receiptHandle.${index}`, receiptHandle] as const,
  );
  await link.ok('BatchDeleteMessage', [['queueName', queue], ...handles]);
}
