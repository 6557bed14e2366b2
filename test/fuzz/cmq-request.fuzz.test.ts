/**
 * Mutated CMQ requests: through form or JSON, parameters, every handler and the reply, and as raw
 * bytes on a socket.
 *
 * Whatever comes, each call is answered at most once and with a code, no fault of the server is
 * logged, and a well-formed request is served afterwards. The seed is printed; `FUZZ_SEED=n`
 * repeats a run, `FUZZ_MS=n` gives it more time.
 */
import { connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import type { Logger } from '../../src/base/logger.ts';
import type { CmqDeps, CmqHandlers } from '../../protocols/cmq/dispatcher.ts';
import { CmqFailure } from '../../protocols/cmq/error-mapper.ts';
import { parseForm } from '../../protocols/cmq/form.ts';
import { messageHandlers } from '../../protocols/cmq/message-actions.ts';
import { queueHandlers } from '../../protocols/cmq/queue-actions.ts';
import { ReplyFormatV2, ReplyFormatV3 } from '../../protocols/cmq/reply-format.ts';
import {
  bindParameters,
  FormSource,
  nameInV3,
  ObjectSource,
  type ParameterSource,
} from '../../protocols/cmq/request-binder.ts';
import { RequestCall } from '../../protocols/cmq/request-call.ts';
import { DEFAULT_CMQ_SETTINGS } from '../../protocols/cmq/settings.ts';
import { ACTIONS, type ActionSpec, type ActionV3 } from '../../protocols/cmq/spec/actions.ts';
import type { ParameterSpec } from '../../protocols/cmq/spec/parameters.ts';
import { subscriptionHandlers } from '../../protocols/cmq/subscription-actions.ts';
import { topicHandlers } from '../../protocols/cmq/topic-actions.ts';
import { codeOf, PATH, WireHarness } from '../protocols/cmq/wire-harness.ts';
import { EngineFixture } from '../support/engine-fixture.ts';
import { randomFrom } from '../support/seeded-random.ts';

const RUN_COUNT = 20_000;
/** So many on the slowest machine too: fewer would test nothing. */
const RUN_COUNT_MIN = 2_000;
/** Stops early on a slow machine. */
const DEADLINE_MS = Number(process.env['FUZZ_MS'] ?? 5_000);
const SEED = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

/** Values that mean something somewhere, and some that mean nothing anywhere. */
const TEXTS = [
  'q',
  'Q',
  'dead',
  't',
  's',
  'amq.topic',
  '__proto__',
  '',
  '0',
  '1',
  '-1',
  '16',
  '3600',
  '1e9',
  '99999999999999999999',
  'queue',
  'http',
  'function',
  'http://127.0.0.1:1/x',
  'local:none',
  'SIMPLIFIED',
  'a.b.c',
  '#',
  '*.b',
  '1-0-1-1',
  'aGk=',
  '{}',
  '[1]',
  '{"deadLetterQueue":"dead","policy":0,"maxReceiveCount":1}',
  'base64',
  'ä😀\u0000',
  '\ud800',
  'x'.repeat(300),
];

interface Request {
  readonly action: ActionSpec;
  readonly v3: ActionV3 | undefined;
  readonly source: ParameterSource | undefined;
}

class RequestMaker {
  readonly #below: (below: number) => number;
  /** Handles and ids that replies gave. */
  readonly #seen: string[] = [];

  constructor(below: (below: number) => number) {
    this.#below = below;
  }

  /** Takes what later requests may refer to. */
  learn(reply: string): void {
    for (const [, text] of reply.matchAll(/"(?:receiptHandle|msgId|MsgId)":"([^"]+)"/g)) {
      this.#seen[this.#below(32)] = text!;
    }
  }

  next(): Request {
    const action = this.#pick(ACTIONS);
    const v3 = this.#below(4) === 0 && action.v3.length > 0 ? this.#pick(action.v3) : undefined;
    const source = v3 === undefined ? this.#form(action) : this.#object(action, v3);
    return { action, v3, source };
  }

  #form(action: ActionSpec): ParameterSource | undefined {
    const pairs: string[] = [];
    for (const spec of this.#chosen(action)) {
      const names = spec.type === 'list' ? this.#indexes(spec.name) : [spec.name];
      for (const name of names) pairs.push(`${name}=${encode(this.#value(spec))}`);
    }
    const form = parseForm(this.#mutate(pairs.join('&')));
    return form === undefined ? undefined : new FormSource(form);
  }

  #object(action: ActionSpec, v3: ActionV3): ParameterSource {
    const object: Record<string, unknown> = {};
    for (const spec of this.#chosen(action)) {
      const value = this.#value(spec);
      const kinds: unknown[] = [value, [value, value], Number(value), null, { a: value }, true];
      const isList = spec.type === 'list';
      const kind = this.#below(4) === 0 ? this.#pick(kinds) : isList ? [value] : value;
      object[nameInV3(spec, v3)] = kind;
    }
    return new ObjectSource(object);
  }

  /** Nearly always the required ones, sometimes others. */
  #chosen(action: ActionSpec): ParameterSpec[] {
    return action.parameters.filter(({ isRequired }) => this.#below(10) > (isRequired ? 0 : 7));
  }

  #value(spec: ParameterSpec): string {
    if (this.#below(8) === 0) return this.#pick(TEXTS);
    switch (spec.name) {
      case 'queueName':
      case 'sourceQueueName':
        return this.#pick(['q', 'Q', 'q2', 'dead']);
      case 'deadLetterQueueName':
        return 'dead';
      case 'topicName':
        return this.#pick(['t', 'T', 'keys']);
      case 'receiptHandle':
      case 'msgId':
        return this.#seen[this.#below(32)] ?? '1';
      default:
        if (spec.choices !== undefined) return this.#pick(spec.choices);
        if (spec.type !== 'integer') return this.#pick(TEXTS);
        return String(this.#pick([spec.min, spec.max, spec.min + 1, spec.max + 1]));
    }
  }

  #indexes(name: string): string[] {
    const first = this.#below(2);
    return Array.from({ length: this.#below(4) + 1 }, (_, index) => `${name}.${first + index}`);
  }

  #mutate(text: string): string {
    if (this.#below(5) > 0 || text === '') return text;
    const at = this.#below(text.length);
    const piece = this.#pick(['%', '&', '=', '+', '%zz', '%00', '.', '']);
    return text.slice(0, at) + piece + text.slice(at + this.#below(3));
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#below(items.length)]!;
  }
}

/** Lone surrogates have no UTF-8. */
function encode(text: string): string {
  return encodeURIComponent(Buffer.from(text).toString());
}

interface Stage {
  readonly engine: EngineFixture;
  readonly deps: CmqDeps;
  readonly handlers: CmqHandlers;
  readonly faults: object[];
}

async function openStage(): Promise<Stage> {
  const engine = await EngineFixture.open();
  const faults: object[] = [];
  const ignore = () => undefined;
  const logger: Logger = {
    debug: ignore,
    info: ignore,
    warn: ignore,
    error: (fields) => faults.push(fields),
  };
  const { broker, clock, random } = engine;
  const deps: CmqDeps = { broker, clock, random, settings: DEFAULT_CMQ_SETTINGS, logger };
  const handlers = new Map([
    ...queueHandlers(deps),
    ...messageHandlers(deps),
    ...topicHandlers(deps),
    ...subscriptionHandlers(deps),
  ]);
  return { engine, deps, handlers, faults };
}

/** Runs one request; returns the text of the reply when it came at once. */
function run(stage: Stage, { action, v3, source }: Request): string | undefined {
  const { engine, deps, handlers } = stage;
  const format = v3 === undefined ? new ReplyFormatV2('7') : new ReplyFormatV3(v3);
  const handler = handlers.get(action.name);
  if (source === undefined || handler === undefined) return undefined;
  let reply: string | Buffer | undefined;
  try {
    const call = new RequestCall({
      broker: deps.broker,
      logger: deps.logger,
      spec: action,
      api: v3 === undefined ? 2 : 3,
      actor: engine.actor,
      parameters: bindParameters(action, v3, source),
      requestId: '1',
      remoteAddress: '192.0.2.1',
      onSucceeded: (_, fields) => {
        reply = format.succeeded('1', fields);
      },
      onFailed: (_, failure) => {
        reply = format.failed('1', failure);
      },
    });
    call.run(handler);
    engine.broker.turn();
    if (reply === undefined) engine.broker.turn();
    if (reply === undefined) call.gone();
  } catch (error) {
    if (!(error instanceof CmqFailure)) throw error;
    reply = format.failed('1', error);
  }
  return reply?.toString();
}

test('mutated requests end in a code, never in a fault', async () => {
  const below = randomFrom(SEED);
  const stage = await openStage();
  const maker = new RequestMaker(below);
  const setUp = [
    ['CreateQueue', 'queueName=q&rewindSeconds=3600&trace=1'],
    ['CreateQueue', 'queueName=dead'],
    ['CreateTopic', 'topicName=t'],
    ['CreateTopic', 'topicName=keys&filterType=2'],
    ['Subscribe', 'topicName=t&subscriptionName=s&protocol=queue&endpoint=q'],
  ] as const;
  for (const [name, form] of setUp) {
    const action = ACTIONS.find((candidate) => candidate.name === name)!;
    run(stage, { action, v3: undefined, source: new FormSource(parseForm(form)!) });
  }
  const codes = new Map<number, number>();
  const deadlineMs = performance.now() + DEADLINE_MS;
  const goesOn = (count: number): boolean =>
    count < RUN_COUNT_MIN || performance.now() < deadlineMs;
  for (let count = 0; count < RUN_COUNT && goesOn(count); count += 1) {
    const request = maker.next();
    const reply = run(stage, request);
    const label = `seed ${SEED}, request ${count}, ${request.action.name}`;
    expect(stage.faults, label).toEqual([]);
    if (below(20) === 0) stage.engine.clock.advance(below(60_000));
    if (reply === undefined) continue;
    maker.learn(reply);
    const { code } = JSON.parse(reply) as { readonly code?: number };
    if (code !== undefined) codes.set(code, (codes.get(code) ?? 0) + 1);
  }
  // Many were good, many were not.
  expect(codes.get(0), `seed ${SEED}`).toBeGreaterThan(50);
  expect(codes.get(4000), `seed ${SEED}`).toBeGreaterThan(50);
});

let harness: WireHarness | undefined;

afterEach(() => harness?.close());

/** Sends bytes and waits until the server has nothing more to say. */
function sendRaw(port: number, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.on('data', () => socket.end());
    socket.on('close', () => resolve());
    socket.end(bytes);
  });
}

test('mutated bytes leave the port serving', async () => {
  const below = randomFrom(SEED + 1);
  const served = await WireHarness.open();
  harness = served;
  const form = served.signed({ Action: 'DeleteQueue', queueName: 'q' });
  const head = `Host: ${served.host}\r\nContent-Length: ${form.length}\r\n`;
  const requests = [
    `POST ${PATH} HTTP/1.1\r\n${head}\r\n${form}`,
    `GET ${PATH}?${form} HTTP/1.1\r\nHost: ${served.host}\r\n\r\n`,
    `POST / HTTP/1.1\r\nX-TC-Action: DeleteCmqQueue\r\nX-TC-Version: 2020-02-17\r\n${head}\r\n${form}`,
  ];
  const deadlineMs = performance.now() + DEADLINE_MS;
  for (let count = 0; count < 300 && performance.now() < deadlineMs; count += 1) {
    const bytes = Buffer.from(requests[below(requests.length)]!);
    for (let change = below(6); change > 0; change -= 1) bytes[below(bytes.length)] = below(256);
    const end = below(3) === 0 ? below(bytes.length) : bytes.length;
    await sendRaw(served.port, bytes.subarray(0, end));
  }
  expect(served.log.filter(({ level }) => level === 'error')).toEqual([]);
  expect(codeOf(await served.form('DeleteQueue', { queueName: 'q' }))).toBe('0');
});
