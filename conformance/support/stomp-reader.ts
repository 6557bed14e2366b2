/** The stock STOMP client with one call for each thing a test does. */
import { Client, type IFrame, type IMessage, type StompHeaders } from '@stomp/stompjs';
import { WebSocket } from 'ws';
import { DEFAULT_TIMEOUT_MS, within } from './inbox.ts';

/** Messages of one subscription in order, one reader. */
export class StompReader {
  readonly #waiting: ((message: IMessage) => void)[] = [];
  readonly #messages: IMessage[] = [];

  push(message: IMessage): void {
    const wake = this.#waiting.shift();
    if (wake === undefined) this.#messages.push(message);
    else wake(message);
  }

  async next(): Promise<IMessage> {
    const found = this.#messages.shift();
    if (found !== undefined) return found;
    const waiting = new Promise<IMessage>((resolve) => this.#waiting.push(resolve));
    return await within(waiting, DEFAULT_TIMEOUT_MS, 'waiting for a STOMP message');
  }

  get unread(): number {
    return this.#messages.length;
  }
}

export class StompPeer {
  readonly #client: Client;
  #lastReceipt = 0;

  private constructor(client: Client) {
    this.#client = client;
  }

  /** @param url  of the WebSocket, `ws://127.0.0.1:15672/ws/stomp` */
  static async connect(url: string, login = 'guest', passcode = 'guest'): Promise<StompPeer> {
    const client = new Client({
      webSocketFactory: () => new WebSocket(url, ['v12.stomp']),
      connectHeaders: { login, passcode },
      reconnectDelay: 0,
    });
    const connected = new Promise<void>((resolve, reject) => {
      client.onConnect = () => resolve();
      client.onStompError = (frame) => {
        reject(new Error(`${frame.headers['message'] ?? ''}: ${frame.body}`));
      };
      client.onWebSocketError = () => reject(new Error('no WebSocket'));
    });
    client.activate();
    await within(connected, DEFAULT_TIMEOUT_MS, 'connecting with STOMP');
    return new StompPeer(client);
  }

  /** Subscribes; resolves once the broker has done it. */
  async subscribe(destination: string, headers: StompHeaders = {}): Promise<StompReader> {
    const reader = new StompReader();
    await this.#confirmed((receipt) => {
      this.#client.subscribe(destination, (message) => reader.push(message), {
        ...headers,
        receipt,
      });
    });
    return reader;
  }

  /** Takes what comes from a destination that is not subscribed to, such as `/temp-queue/x`. */
  unsubscribed(): StompReader {
    const reader = new StompReader();
    this.#client.onUnhandledMessage = (message) => reader.push(message);
    return reader;
  }

  /** Sends; resolves with the receipt. */
  async send(
    destination: string,
    body: string | Uint8Array,
    headers: StompHeaders = {},
  ): Promise<void> {
    const content = typeof body === 'string' ? { body } : { binaryBody: body };
    await this.#confirmed((receipt) => {
      this.#client.publish({ destination, ...content, headers: { ...headers, receipt } });
    });
  }

  async close(): Promise<void> {
    await this.#client.deactivate();
  }

  async #confirmed(send: (receipt: string) => void): Promise<void> {
    this.#lastReceipt += 1;
    const receipt = `r${this.#lastReceipt}`;
    const done = new Promise<IFrame>((resolve) => this.#client.watchForReceipt(receipt, resolve));
    send(receipt);
    await within(done, DEFAULT_TIMEOUT_MS, `receipt ${receipt}`);
  }
}
