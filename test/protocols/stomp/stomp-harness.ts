/** STOMP connections without sockets: an acceptor on an in-memory broker. */
import { expect } from 'vitest';
import { createStompAcceptor, type StompAcceptor } from '../../../protocols/stomp/listener.ts';
import { DEFAULT_STOMP_SETTINGS, type StompSettings } from '../../../protocols/stomp/settings.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import type { PeerInfo } from '../../../src/net/transport.ts';
import { MESSAGE_HEADERS } from '../../../src/server/stomp-settings.ts';
import { PipeTransport } from '../../net/pipe-transport.ts';
import { AcceptorHarness } from '../../support/acceptor-harness.ts';
import { EngineFixture } from '../../support/engine-fixture.ts';

/** A frame as a test sees it. */
export interface Received {
  readonly command: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

type Headers = Readonly<Record<string, string | number>>;

/** A frame as bytes; header values are written as they are. */
export function frameBytes(command: string, headers: Headers = {}, body = ''): Buffer {
  const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`);
  return Buffer.from(`${command}\n${lines.join('')}\n${body}\0`);
}

/** The client's end. */
export class StompClient {
  readonly transport: PipeTransport;
  readonly #harness: AcceptorHarness;
  readonly #inbox: Received[];
  heartBeatCount: number;

  constructor(harness: AcceptorHarness, transport: PipeTransport) {
    this.#harness = harness;
    this.transport = transport;
    this.#inbox = [];
    this.heartBeatCount = 0;
  }

  raw(bytes: Buffer | string): void {
    this.transport.receive(Buffer.from(bytes));
  }

  send(command: string, headers: Headers = {}, body = ''): void {
    this.raw(frameBytes(command, headers, body));
  }

  /** The next frame, which must be `command`. */
  async next(command: string): Promise<Received> {
    if (this.#read().length === 0) await this.#harness.settle();
    const received = this.#read().shift();
    expect(received, `expected ${command}, got nothing`).toBeDefined();
    expect(received!.command, JSON.stringify(received)).toBe(command);
    return received!;
  }

  /** Everything that has arrived once the broker is at rest. */
  async all(): Promise<Received[]> {
    await this.#harness.settle();
    return this.#read().splice(0);
  }

  /** ERROR, after which the socket is closed. */
  async fails(message: string): Promise<Received> {
    const received = await this.next('ERROR');
    expect(received.headers['message']).toBe(message);
    expect(this.transport.isEnded).toBe(true);
    return received;
  }

  #read(): Received[] {
    let text = this.transport.received;
    for (;;) {
      while (text[0] === 10) {
        this.heartBeatCount += 1;
        text = text.subarray(1);
      }
      const headEnd = text.indexOf('\n\n');
      if (headEnd < 0) break;
      const [command = '', ...lines] = text.toString('utf8', 0, headEnd).split('\n');
      const headers: Record<string, string> = {};
      for (const line of lines) {
        const colon = line.indexOf(':');
        headers[line.slice(0, colon)] = line.slice(colon + 1);
      }
      const bodyStart = headEnd + 2;
      const length = Number(headers['content-length'] ?? text.indexOf(0, bodyStart) - bodyStart);
      const body = text.toString('utf8', bodyStart, bodyStart + length);
      expect(text[bodyStart + length]).toBe(0);
      this.#inbox.push({ command, headers, body });
      text = text.subarray(bodyStart + length + 1);
    }
    this.transport.received = text;
    return this.#inbox;
  }
}

/** A broker with a STOMP acceptor. */
export class StompHarness extends AcceptorHarness {
  readonly acceptor: StompAcceptor;

  private constructor(fixture: EngineFixture, settings: Partial<StompSettings>) {
    super(fixture);
    this.acceptor = createStompAcceptor({
      broker: fixture.broker,
      flushSet: this.flushSet,
      settings: { ...DEFAULT_STOMP_SETTINGS, ...settings },
      headers: MESSAGE_HEADERS,
      logger: silentLogger,
      clock: fixture.clock,
    });
  }

  static async open(settings: Partial<StompSettings> = {}): Promise<StompHarness> {
    return new StompHarness(await EngineFixture.open(), settings);
  }

  accept(peer: Partial<PeerInfo> = {}): StompClient {
    const transport = new PipeTransport(peer);
    transport.handler = this.acceptor.accept(transport);
    return new StompClient(this, transport);
  }

  /** A connection after CONNECTED. */
  async connect(headers: Headers = {}, peer: Partial<PeerInfo> = {}): Promise<StompClient> {
    const client = this.accept(peer);
    client.send('CONNECT', {
      'accept-version': '1.2',
      login: 'guest',
      passcode: 'guest',
      host: '/',
      ...headers,
    });
    await this.until(() => client.transport.received.length > 0);
    await client.next('CONNECTED');
    return client;
  }

  queue(name: string) {
    return this.fixture.vhost.topology.queues.get(name);
  }
}
