/** Calls of API 2.0 from their parameters to the reply's JSON, on a broker with a fake clock. */
import { silentLogger } from '../../../src/base/logger.ts';
import type { Actor } from '../../../src/engine/actor.ts';
import type { ClassicQueue } from '../../../src/engine/queue/classic-queue.ts';
import type { MemoryDisk } from '../../../src/store/memory-disk.ts';
import type { CmqDeps, CmqHandlers } from '../../../protocols/cmq/dispatcher.ts';
import { type CmqFailure, toCmqFailure } from '../../../protocols/cmq/error-mapper.ts';
import { type Form, parseFormBytes } from '../../../protocols/cmq/form.ts';
import { messageHandlers } from '../../../protocols/cmq/message-actions.ts';
import { queueHandlers } from '../../../protocols/cmq/queue-actions.ts';
import { ReplyFormatV2, ReplyFormatV3 } from '../../../protocols/cmq/reply-format.ts';
import { bindParameters, FormSource } from '../../../protocols/cmq/request-binder.ts';
import { RequestCall } from '../../../protocols/cmq/request-call.ts';
import { type CmqSettings, DEFAULT_CMQ_SETTINGS } from '../../../protocols/cmq/settings.ts';
import { ACTIONS_V2, ACTIONS_V3 } from '../../../protocols/cmq/spec/actions.ts';
import { EngineFixture } from '../../support/engine-fixture.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** A list becomes `name.0`, `name.1` and on. */
export type CallParameters = Readonly<Record<string, string | number | readonly string[]>>;

/** A reply of API 2.0: `code`, `message`, and what the action answers. */
export type Reply = Readonly<Record<string, unknown>> & { readonly code: number };

export interface Pending {
  /** Undefined while none has come. */
  readonly reply: Reply | undefined;
  /** The client closes its connection. */
  gone(): void;
  /** The same, and nobody is told: the reply finds nobody. */
  vanish(): void;
  /** The reply stood behind others of its connection when that closed. */
  unsent(): void;
}

export interface HarnessOptions {
  readonly disk?: MemoryDisk;
  readonly clock?: FakeClock;
  readonly settings?: Partial<CmqSettings>;
}

const ADDRESS = '192.0.2.7';

export class QueueHarness {
  readonly engine: EngineFixture;
  readonly clock: FakeClock;
  readonly deps: CmqDeps;
  readonly #handlers: CmqHandlers;
  actor: Actor;

  private constructor(engine: EngineFixture, settings: Partial<CmqSettings>) {
    this.engine = engine;
    this.clock = engine.clock;
    this.deps = {
      broker: engine.broker,
      clock: engine.clock,
      random: engine.random,
      settings: { ...DEFAULT_CMQ_SETTINGS, ...settings },
      logger: silentLogger,
    };
    this.#handlers = new Map([...queueHandlers(this.deps), ...messageHandlers(this.deps)]);
    this.actor = engine.actor;
  }

  static async open(options: HarnessOptions = {}): Promise<QueueHarness> {
    const engine = await EngineFixture.open({
      ...(options.disk !== undefined && { disk: options.disk }),
      clock: options.clock ?? new FakeClock(),
    });
    return new QueueHarness(engine, options.settings ?? {});
  }

  get nowSeconds(): number {
    return Math.floor(this.clock.wallMs() / 1_000);
  }

  queue(name: string): ClassicQueue {
    return this.engine.vhost.topology.queues.get(name) as ClassicQueue;
  }

  /** Names of the actions that have a handler. */
  get actions(): string[] {
    return [...this.#handlers.keys()];
  }

  /** Starts a call; what can be answered without time passing is answered by `settle`. */
  start(action: string, parameters: CallParameters = {}): Pending {
    let reply: Reply | undefined;
    const spec = ACTIONS_V2.get(action.toLowerCase());
    if (spec === undefined) throw new Error(`no action ${action}`);
    const format = new ReplyFormatV2(undefined);
    const answer = (json: string | Buffer): void => {
      if (reply !== undefined) throw new Error(`${action} replied twice`);
      reply = JSON.parse(json.toString()) as Reply;
    };
    let call: RequestCall | undefined;
    let isGone = false;
    try {
      call = new RequestCall({
        broker: this.engine.broker,
        logger: silentLogger,
        spec,
        api: 2,
        actor: this.actor,
        parameters: bindParameters(spec, undefined, new FormSource(formOf(parameters))),
        requestId: '1',
        remoteAddress: ADDRESS,
        isGone: () => isGone,
        onSucceeded: (_, fields) => answer(format.succeeded('1', fields)),
        onFailed: (_, failure) => answer(format.failed('1', failure)),
      });
      call.run(this.#handlers.get(spec.name)!);
    } catch (error) {
      answer(format.failed('1', toCmqFailure(error, spec).failure));
    }
    return {
      get reply() {
        return reply;
      },
      gone: () => call?.gone(),
      vanish: () => {
        isGone = true;
      },
      unsent: () => call?.onGone?.(),
    };
  }

  /** A call that is answered without time passing. */
  async call(action: string, parameters: CallParameters = {}): Promise<Reply> {
    const pending = this.start(action, parameters);
    for (let wait = 0; wait < 20 && pending.reply === undefined; wait += 1) await this.settle(2);
    if (pending.reply === undefined) throw new Error(`${action} was not answered`);
    return pending.reply;
  }

  /** The same, which must succeed. */
  async ok(action: string, parameters: CallParameters = {}): Promise<Reply> {
    const reply = await this.call(action, parameters);
    if (reply.code !== 0) throw new Error(`${action}: ${JSON.stringify(reply)}`);
    return reply;
  }

  /** Code and module of a call that fails: `4000/10020`. */
  async failure(action: string, parameters: CallParameters = {}): Promise<string> {
    return failureOf(await this.call(action, parameters));
  }

  /** A call of API 3.0 by its name there, with the parameters of 2.0: the fields of `Response`. */
  async callV3(name: string, parameters: CallParameters = {}): Promise<Record<string, unknown>> {
    const { action, v3 } = ACTIONS_V3.get(`2020-02-17/${name.toLowerCase()}`)!;
    const format = new ReplyFormatV3(v3);
    let text: string | undefined;
    const call = new RequestCall({
      broker: this.engine.broker,
      logger: silentLogger,
      spec: action,
      api: 3,
      actor: this.actor,
      parameters: bindParameters(action, undefined, new FormSource(formOf(parameters))),
      requestId: '1',
      remoteAddress: ADDRESS,
      onSucceeded: (_, fields) => (text = format.succeeded('1', fields)),
      onFailed: (_, failure: CmqFailure) => (text = format.failed('1', failure)),
    });
    call.run(this.#handlers.get(action.name)!);
    for (let wait = 0; wait < 20 && text === undefined; wait += 1) await this.settle(2);
    return (JSON.parse(text!) as { Response: Record<string, unknown> }).Response;
  }

  /** Lets time pass at once, then everything that is due happen. */
  async pass(seconds: number): Promise<void> {
    this.clock.advance(seconds * 1_000);
    await this.settle();
  }

  async settle(turns = 6): Promise<void> {
    await this.engine.settle(turns);
  }

  async create(name: string, parameters: CallParameters = {}): Promise<ClassicQueue> {
    await this.ok('CreateQueue', { queueName: name, ...parameters });
    return this.queue(name);
  }

  async send(queueName: string, ...bodies: readonly string[]): Promise<string[]> {
    const ids: string[] = [];
    for (const msgBody of bodies) {
      ids.push((await this.ok('SendMessage', { queueName, msgBody }))['msgId'] as string);
    }
    return ids;
  }

  /** The message received, which must be there. */
  async receive(queueName: string, parameters: CallParameters = {}): Promise<Received> {
    return (await this.ok('ReceiveMessage', { queueName, ...parameters })) as unknown as Received;
  }

  async delete(queueName: string, receiptHandle: string): Promise<void> {
    await this.ok('DeleteMessage', { queueName, receiptHandle });
  }

  /** Active, inactive, delayed and rewindable messages. */
  async counts(queueName: string): Promise<unknown[]> {
    const reply = await this.ok('GetQueueAttributes', { queueName });
    return ['activeMsgNum', 'inactiveMsgNum', 'delayMsgNum', 'rewindMsgNum'].map((n) => reply[n]);
  }
}

export interface Received {
  readonly msgBody: string;
  readonly msgId: string;
  readonly receiptHandle: string;
  readonly enqueueTime: number;
  readonly firstDequeueTime: number;
  readonly nextVisibleTime: number;
  readonly dequeueCount: number;
  readonly bodyEncoding?: string;
}

/** `4000/10020`, or `0`. */
export function failureOf(reply: Reply): string {
  const module = /^\((\d+)\)/.exec(String(reply['message']))?.[1];
  return module === undefined ? String(reply.code) : `${reply.code}/${module}`;
}

/** As a request brings it. */
function formOf(parameters: CallParameters): Form {
  const pairs = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (typeof value === 'string' || typeof value === 'number') pairs.append(name, String(value));
    else for (const [index, item] of value.entries()) pairs.append(`${name}.${index}`, item);
  }
  return parseFormBytes(Buffer.from(pairs.toString()))!;
}
