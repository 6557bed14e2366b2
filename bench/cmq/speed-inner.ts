/**
 * `node dist/bench/cmq/speed-inner.js [--sizes 64,1024] [--seconds 4]`: time of the gateway's own
 * code in a send, a receive and a delete, single and in batches of 16: acceptor, handlers and engine
 * in this process, without sockets, over a store that does nothing. Beside other work on the machine
 * `speed-cpu.ts` varies by half; the lower quartile here varies by some percent.
 */
import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { parseArgs } from 'node:util';
import { type CmqAcceptor, createCmqAcceptor } from '../../protocols/cmq/listener.ts';
import { messageHandlers } from '../../protocols/cmq/message-actions.ts';
import { queueHandlers } from '../../protocols/cmq/queue-actions.ts';
import { DEFAULT_CMQ_SETTINGS } from '../../protocols/cmq/settings.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import type { Broker } from '../../src/engine/broker.ts';
import { recoverBroker } from '../../src/engine/recover.ts';
import { createMessageFormats } from '../../src/server/message-formats.ts';
import { systemRandom } from '../../src/server/system-random.ts';
import { KEY } from './broker.ts';
import type { Reply } from './cmq-link.ts';
import { NullStore } from './null-store.ts';
import { PATH, signedForm } from './signed-form.ts';

const { values } = parseArgs({
  options: {
    sizes: { type: 'string', default: '64,1024' },
    seconds: { type: 'string', default: '4' },
  },
});

const HOST = '127.0.0.1:8080';
const QUEUE = ['queueName', 'bench'] as const;
const BATCH = 16;
/** For single calls, then for batches: code gets hot. */
const WARMUP_SECONDS = 2;
/** Sockets in turn: what a connection keeps is not found hot. */
const SOCKETS = 64;
/** Cycles between pauses, in which what is due runs. */
const CYCLES_PER_PAUSE = 500;

type Pair = readonly [string, string];

/** The acceptor, and how long each of its calls took. */
class Inside {
  readonly #broker: Broker;
  readonly #acceptor: CmqAcceptor;
  readonly #sockets: readonly EventEmitter[];
  #callCount: number;
  /** Ns of the last call. */
  lastNs: number;

  private constructor(broker: Broker) {
    const deps = {
      broker,
      clock: systemClock,
      random: systemRandom,
      settings: DEFAULT_CMQ_SETTINGS,
      logger: silentLogger,
    };
    const handlers = new Map([...queueHandlers(deps), ...messageHandlers(deps)]);
    this.#broker = broker;
    this.#acceptor = createCmqAcceptor({ ...deps, handlers, closeTimeoutMs: 0 });
    const peer = { remoteAddress: '127.0.0.1', destroyed: false };
    this.#sockets = Array.from({ length: SOCKETS }, () => Object.assign(new EventEmitter(), peer));
    this.#callCount = 0;
    this.lastNs = 0;
  }

  static async open(): Promise<Inside> {
    const { broker } = await recoverBroker({
      clock: systemClock,
      random: systemRandom,
      store: new NullStore(),
      formats: createMessageFormats(),
      requestTurn: () => {},
      settings: {},
    });
    broker.access.keys.put({ ...KEY, user: 'guest', vhost: '/', isEnabled: true });
    return new Inside(broker);
  }

  /** One call, which must succeed. */
  call(action: string, parameters: readonly Pair[]): Reply {
    const body = Buffer.from(signedForm(KEY, HOST, action, parameters));
    const request = Object.assign(new EventEmitter(), {
      method: 'POST',
      url: PATH,
      headers: { host: HOST, 'content-type': 'application/x-www-form-urlencoded' },
      socket: this.#sockets[this.#callCount % SOCKETS],
    });
    let json: string | Buffer | undefined;
    const response = {
      destroyed: false,
      writeHead: () => {},
      end: (written: string | Buffer) => (json = written),
    };
    this.#callCount += 1;
    const startedNs = process.hrtime.bigint();
    this.#acceptor.onRequest(
      request as unknown as IncomingMessage,
      response as unknown as ServerResponse & { req: IncomingMessage },
    );
    request.emit('data', body);
    request.emit('end');
    request.emit('close');
    if (json === undefined) this.#broker.turn();
    this.lastNs = Number(process.hrtime.bigint() - startedNs);
    const reply = JSON.parse(String(json)) as Reply;
    if (reply.code !== 0) throw new Error(`${action}: ${reply.code} ${reply.message}`);
    return reply;
  }
}

/** Sends, receives and deletes once; the ns of each. */
function cycleOf(inside: Inside, size: number, count: number): [number, number, number] {
  const body = 'm'.repeat(size);
  const isBatch = count > 1;
  const prefix = isBatch ? 'Batch' : '';
  const numbered = (name: string, texts: readonly string[]): Pair[] =>
    texts.map((text, index) => [isBatch ? `${name}.${index}` : name, text]);
  const bodies = numbered(
    'msgBody',
    Array.from({ length: count }, () => body),
  );
  inside.call(`${prefix}SendMessage`, [QUEUE, ...bodies]);
  const sendNs = inside.lastNs;
  const wanted: Pair[] = isBatch ? [['numOfMsg', String(count)]] : [];
  const reply = inside.call(`${prefix}ReceiveMessage`, [QUEUE, ...wanted]);
  const receiveNs = inside.lastNs;
  const handles = (reply.msgInfoList ?? [reply]).map(({ receiptHandle }) => receiptHandle);
  inside.call(`${prefix}DeleteMessage`, [QUEUE, ...numbered('receiptHandle', handles)]);
  return [sendNs, receiveNs, inside.lastNs];
}

/** The lower quartile, in us. */
function quartile(times: readonly number[]): number {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 2]! / 1_000;
}

/** The ns of each step, cycle by cycle. */
async function run(
  inside: Inside,
  size: number,
  count: number,
  seconds: number,
): Promise<[number[], number[], number[]]> {
  const times: [number[], number[], number[]] = [[], [], []];
  const endMs = performance.now() + seconds * 1_000;
  for (let cycles = 1; performance.now() < endMs; cycles += 1) {
    for (const [step, ns] of cycleOf(inside, size, count).entries()) times[step]!.push(ns);
    if (cycles % CYCLES_PER_PAUSE === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return times;
}

async function measure(inside: Inside, size: number, count: number): Promise<void> {
  const times = await run(inside, size, count, Number(values.seconds));
  const [send, receive, remove] = times.map(quartile) as [number, number, number];
  const sum = send + receive + remove;
  console.log(
    `${size} B, ${count === 1 ? 'single calls' : `batches of ${count}`}: send ${send.toFixed(1)} us, ` +
      `receive ${receive.toFixed(1)}, delete ${remove.toFixed(1)}, together ${sum.toFixed(1)}`,
  );
}

const inside = await Inside.open();
inside.call('CreateQueue', [QUEUE]);
for (const count of [1, BATCH]) await run(inside, 64, count, WARMUP_SECONDS);
for (const size of values.sizes.split(',').map(Number)) {
  await measure(inside, size, 1);
  await measure(inside, size, BATCH);
}
