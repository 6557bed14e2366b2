/** CMQ over a real HTTP port on loopback, with handlers a test brings and a fake clock. */
import { createHmac } from 'node:crypto';
import {
  Agent,
  createServer,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  request,
  type Server,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Logger } from '../../../src/base/logger.ts';
import type { Broker } from '../../../src/engine/broker.ts';
import type { CmqCall, CmqHandler } from '../../../protocols/cmq/dispatcher.ts';
import { type CmqAcceptor, createCmqAcceptor } from '../../../protocols/cmq/listener.ts';
import { type CmqSettings, DEFAULT_CMQ_SETTINGS } from '../../../protocols/cmq/settings.ts';
import { EngineFixture } from '../../support/engine-fixture.ts';
import type { FakeClock } from '../../support/fake-clock.ts';

export const KEY = { id: 'AKIDtest', secret: 'secretsecret' };
export const PATH = '/v2/index.php';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The JSON of the body; an empty object when it is none. */
  readonly json: Readonly<Record<string, unknown>>;
}

export type Parameters = Readonly<Record<string, string | number>>;

/** How a form is signed and sent. */
export interface FormOptions {
  readonly method?: 'GET' | 'POST';
  readonly path?: string;
  readonly secret?: string;
  readonly headers?: OutgoingHttpHeaders;
}

export interface HarnessOptions {
  readonly settings?: Partial<CmqSettings>;
  readonly handlers?: Readonly<Record<string, CmqHandler>>;
  readonly closeTimeoutMs?: number;
}

interface LogLine {
  readonly level: string;
  readonly fields: object;
  readonly message: string;
}

export class WireHarness {
  readonly broker: Broker;
  readonly clock: FakeClock;
  readonly acceptor: CmqAcceptor;
  /** Every call that reached a handler. */
  readonly calls: CmqCall[];
  readonly log: LogLine[];
  readonly port: number;
  readonly #server: Server;
  readonly #agent: Agent;

  private constructor(parts: {
    engine: EngineFixture;
    acceptor: CmqAcceptor;
    calls: CmqCall[];
    log: LogLine[];
    server: Server;
  }) {
    this.broker = parts.engine.broker;
    this.clock = parts.engine.clock;
    this.acceptor = parts.acceptor;
    this.calls = parts.calls;
    this.log = parts.log;
    this.#server = parts.server;
    this.port = (parts.server.address() as AddressInfo).port;
    this.#agent = new Agent({ keepAlive: true });
  }

  /** Without handlers of its own, DeleteQueue replies at once and the others never. */
  static async open(options: HarnessOptions = {}): Promise<WireHarness> {
    const engine = await EngineFixture.open();
    engine.broker.access.keys.put({ ...KEY, user: 'guest', vhost: '/', isEnabled: true });
    const calls: CmqCall[] = [];
    const log: LogLine[] = [];
    const given = options.handlers ?? { DeleteQueue: (call) => call.reply({}) };
    const handlers = Object.entries(given).map(([name, handler]) => {
      const noting: CmqHandler = (call) => {
        calls.push(call);
        handler(call);
      };
      return [name, noting] as const;
    });
    const acceptor = createCmqAcceptor({
      broker: engine.broker,
      clock: engine.clock,
      random: engine.random,
      settings: { ...DEFAULT_CMQ_SETTINGS, ...options.settings },
      logger: loggerInto(log),
      handlers: new Map(handlers),
      closeTimeoutMs: options.closeTimeoutMs ?? 1_000,
    });
    const server = createServer((incoming, response) => {
      if (acceptor.takes(incoming)) acceptor.onRequest(incoming, response);
      else response.writeHead(404).end('a page');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new WireHarness({ engine, acceptor, calls, log, server });
  }

  get host(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Called with the server's side of each connection that comes. */
  onConnection(listener: (socket: Socket) => void): void {
    this.#server.on('connection', listener);
  }

  close(): void {
    this.#agent.destroy();
    this.#server.close();
    this.#server.closeAllConnections();
  }

  /** A signed request of API 2.0. */
  form(action: string, parameters: Parameters = {}, options: FormOptions = {}): Promise<Answer> {
    const { method = 'POST', path = PATH, headers = {} } = options;
    const text = this.signed({ Action: action, ...parameters }, options);
    return method === 'GET'
      ? this.send('GET', `${path}?${text}`, undefined, headers)
      : this.send('POST', path, text, headers);
  }

  /** The form with time, key and signature. */
  signed(parameters: Parameters, options: FormOptions = {}): string {
    const { method = 'POST', path = PATH, secret = KEY.secret } = options;
    const all: Record<string, string | number> = {
      SecretId: KEY.id,
      SignatureMethod: 'HmacSHA256',
      Timestamp: Math.floor(this.clock.wallMs() / 1_000),
      Nonce: 1,
      ...parameters,
    };
    const pairs = Object.keys(all)
      .sort()
      .map((name) => `${name}=${all[name]}`);
    const text = `${method}${this.host}${path}?${pairs.join('&')}`;
    const signature = createHmac('sha256', secret).update(text).digest('base64');
    const form = new URLSearchParams({ Signature: signature });
    for (const [name, value] of Object.entries(all)) form.append(name, String(value));
    return form.toString();
  }

  /** One HTTP request as it is given. */
  send(
    method: string,
    path: string,
    body?: string | Buffer,
    headers: OutgoingHttpHeaders = {},
    signal?: AbortSignal,
  ): Promise<Answer> {
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
    return new Promise((resolve, reject) => {
      const sent = request({
        host: '127.0.0.1',
        port: this.port,
        method,
        path,
        agent: this.#agent,
        headers: { ...length, ...headers },
        ...(signal !== undefined && { signal }),
      });
      sent.on('error', reject);
      sent.on('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          const json = text.startsWith('{') ? (JSON.parse(text) as Answer['json']) : {};
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json });
        });
      });
      sent.end(body);
    });
  }
}

/** `4000/10430`, and the text behind it is not looked at. */
export function codeOf({ json }: Answer): string {
  const module = /^\((\d+)\)/.exec(String(json['message']))?.[1];
  const code = String(json['code']);
  return module === undefined ? code : `${code}/${module}`;
}

/** Code of a failure in API 3.0; `ok` when there is none. */
export function codeOfV3({ json }: Answer): string {
  const { Error: error } = json['Response'] as { readonly Error?: { readonly Code: string } };
  return error?.Code ?? 'ok';
}

function loggerInto(log: LogLine[]): Logger {
  const at = (level: string) => (fields: object, message: string) => {
    log.push({ level, fields, message });
  };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
