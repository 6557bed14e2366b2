/** Calls on topics, in both APIs, on a broker with a fake clock and a transport that is scripted. */
import { silentLogger } from '../../../src/base/logger.ts';
import type { Actor } from '../../../src/engine/actor.ts';
import type { MemoryDisk } from '../../../src/store/memory-disk.ts';
import type { CmqDeps, CmqHandlers } from '../../../protocols/cmq/dispatcher.ts';
import { toCmqFailure } from '../../../protocols/cmq/error-mapper.ts';
import { Form } from '../../../protocols/cmq/form.ts';
import { queueHandlers } from '../../../protocols/cmq/queue-actions.ts';
import type { ReplyFormat } from '../../../protocols/cmq/reply-format.ts';
import { ReplyFormatV2, ReplyFormatV3 } from '../../../protocols/cmq/reply-format.ts';
import type { ParameterSource } from '../../../protocols/cmq/request-binder.ts';
import { bindParameters, FormSource, ObjectSource } from '../../../protocols/cmq/request-binder.ts';
import { RequestCall } from '../../../protocols/cmq/request-call.ts';
import { type CmqSettings, DEFAULT_CMQ_SETTINGS } from '../../../protocols/cmq/settings.ts';
import type { ActionSpec, ActionV3 } from '../../../protocols/cmq/spec/actions.ts';
import { ACTIONS_V2, ACTIONS_V3 } from '../../../protocols/cmq/spec/actions.ts';
import { subscriptionHandlers } from '../../../protocols/cmq/subscription-actions.ts';
import { topicHandlers } from '../../../protocols/cmq/topic-actions.ts';
import { TopicFixture } from '../../engine/topic/topic-fixture.ts';

/** A list becomes `name.0`, `name.1` and on. */
type CallParameters = Readonly<Record<string, string | number | readonly string[]>>;

type Reply = Readonly<Record<string, unknown>>;

export class TopicHarness {
  readonly fixture: TopicFixture;
  readonly #deps: CmqDeps;
  readonly #handlers: CmqHandlers;
  actor: Actor;

  private constructor(fixture: TopicFixture, settings: Partial<CmqSettings>) {
    this.fixture = fixture;
    const { broker, clock, random, actor } = fixture.engine;
    this.#deps = {
      broker,
      clock,
      random,
      settings: { ...DEFAULT_CMQ_SETTINGS, ...settings },
      logger: silentLogger,
    };
    this.#handlers = new Map([
      ...queueHandlers(this.#deps),
      ...topicHandlers(this.#deps),
      ...subscriptionHandlers(this.#deps),
    ]);
    this.actor = actor;
  }

  static async open(settings: Partial<CmqSettings> = {}, disk?: MemoryDisk): Promise<TopicHarness> {
    return new TopicHarness(await TopicFixture.open(disk), settings);
  }

  /** The same disk under a new process. */
  async restart(): Promise<TopicHarness> {
    return new TopicHarness(await this.fixture.restart(), this.#deps.settings);
  }

  /** A call of API 2.0. */
  async call(action: string, parameters: CallParameters = {}): Promise<Reply> {
    const spec = ACTIONS_V2.get(action.toLowerCase())!;
    const form = new Form();
    for (const [name, value] of Object.entries(parameters)) {
      if (typeof value === 'string' || typeof value === 'number') form.add(name, String(value));
      else for (const [index, item] of value.entries()) form.add(`${name}.${index}`, item);
    }
    return this.#run(spec, undefined, new FormSource(form), new ReplyFormatV2(undefined));
  }

  /** The same, which must succeed. */
  async ok(action: string, parameters: CallParameters = {}): Promise<Reply> {
    const reply = await this.call(action, parameters);
    if (reply['code'] !== 0) throw new Error(`${action}: ${JSON.stringify(reply)}`);
    return reply;
  }

  /** Code and module: `4000/10590`; `0` of a call that succeeds. */
  async codeOf(action: string, parameters: CallParameters = {}): Promise<string> {
    const reply = await this.call(action, parameters);
    const module = /^\((\d+)\)/.exec(String(reply['message']))?.[1];
    return module === undefined ? String(reply['code']) : `${String(reply['code'])}/${module}`;
  }

  /** A call of API 3.0: what is in `Response`. */
  async callV3(name: string, parameters: object = {}, version = '2020-02-17'): Promise<Reply> {
    const { action, v3 } = ACTIONS_V3.get(`${version}/${name.toLowerCase()}`)!;
    const format = new ReplyFormatV3(v3);
    const reply = await this.#run(action, v3, new ObjectSource(parameters), format);
    return reply['Response'] as Reply;
  }

  /** Bodies in a queue, which they leave. */
  bodies(queue: string): string[] {
    return this.fixture.drain(queue);
  }

  async #run(
    spec: ActionSpec,
    v3: ActionV3 | undefined,
    source: ParameterSource,
    format: ReplyFormat,
  ): Promise<Reply> {
    let json: string | Buffer | undefined;
    try {
      new RequestCall({
        broker: this.#deps.broker,
        logger: silentLogger,
        spec,
        api: v3 === undefined ? 2 : 3,
        actor: this.actor,
        parameters: bindParameters(spec, v3, source),
        requestId: '1',
        remoteAddress: '192.0.2.7',
        onSucceeded: (_, fields) => (json = format.succeeded('1', fields)),
        onFailed: (_, failure) => (json = format.failed('1', failure)),
      }).run(this.#handlers.get(spec.name)!);
    } catch (error) {
      json = format.failed('1', toCmqFailure(error, spec).failure);
    }
    for (let wait = 0; wait < 20 && json === undefined; wait += 1) await this.fixture.settle();
    return JSON.parse(json!.toString()) as Reply;
  }
}
