/** One broker with the front ends of all protocols, without sockets, on a disk that outlives it. */
import { createAmqpAcceptor, type AmqpAcceptor } from '../../../protocols/amqp/listener.ts';
import { DEFAULT_AMQP_SETTINGS } from '../../../protocols/amqp/settings.ts';
import type { CmqHandlers } from '../../../protocols/cmq/dispatcher.ts';
import { toCmqFailure } from '../../../protocols/cmq/error-mapper.ts';
import { Form } from '../../../protocols/cmq/form.ts';
import { messageHandlers } from '../../../protocols/cmq/message-actions.ts';
import { queueHandlers } from '../../../protocols/cmq/queue-actions.ts';
import { ReplyFormatV2 } from '../../../protocols/cmq/reply-format.ts';
import { bindParameters, FormSource } from '../../../protocols/cmq/request-binder.ts';
import { RequestCall } from '../../../protocols/cmq/request-call.ts';
import { DEFAULT_CMQ_SETTINGS } from '../../../protocols/cmq/settings.ts';
import { ACTIONS_V2 } from '../../../protocols/cmq/spec/actions.ts';
import { subscriptionHandlers } from '../../../protocols/cmq/subscription-actions.ts';
import { topicHandlers } from '../../../protocols/cmq/topic-actions.ts';
import { createMqttAcceptor, type MqttAcceptor } from '../../../protocols/mqtt/listener.ts';
import { DEFAULT_MQTT_SETTINGS } from '../../../protocols/mqtt/settings.ts';
import { createStompAcceptor, type StompAcceptor } from '../../../protocols/stomp/listener.ts';
import { DEFAULT_STOMP_SETTINGS } from '../../../protocols/stomp/settings.ts';
import { silentLogger, type Logger } from '../../../src/base/logger.ts';
import { MESSAGE_HEADERS } from '../../../src/server/stomp-settings.ts';
import type { MemoryDisk } from '../../../src/store/memory-disk.ts';
import { MemoryStore } from '../../../src/store/memory-store.ts';
import { AcceptorHarness } from '../../support/acceptor-harness.ts';
import { EngineFixture } from '../../support/engine-fixture.ts';
import type { FakeClock } from '../../support/fake-clock.ts';
import { IMMEDIATE_SCHEDULER } from '../../support/immediate-scheduler.ts';

/** A list becomes `name.0`, `name.1` and on. */
export type CallParameters = Readonly<Record<string, string | number | readonly string[]>>;
export type Reply = Readonly<Record<string, unknown>> & { readonly code: number };

/** Turns after which everything that needs no time has happened. */
const TURNS = 4;

export class World extends AcceptorHarness {
  readonly amqp: AmqpAcceptor;
  readonly mqtt: MqttAcceptor;
  readonly stomp: StompAcceptor;
  /** What escaped where nobody awaits it: in the listener of commits. */
  readonly faults: unknown[];
  readonly #cmq: CmqHandlers;

  private constructor(fixture: EngineFixture) {
    super(fixture);
    this.faults = [];
    const { broker, clock, random } = fixture;
    const logger: Logger = { ...silentLogger, error: (fields) => void this.faults.push(fields) };
    const deps = { broker, clock, logger, flushSet: this.flushSet };
    this.amqp = createAmqpAcceptor({ ...deps, settings: DEFAULT_AMQP_SETTINGS });
    this.mqtt = createMqttAcceptor({ ...deps, settings: DEFAULT_MQTT_SETTINGS });
    this.stomp = createStompAcceptor({
      ...deps,
      settings: DEFAULT_STOMP_SETTINGS,
      headers: MESSAGE_HEADERS,
    });
    const cmqDeps = { broker, clock, random, logger, settings: DEFAULT_CMQ_SETTINGS };
    this.#cmq = new Map([
      ...queueHandlers(cmqDeps),
      ...messageHandlers(cmqDeps),
      ...topicHandlers(cmqDeps),
      ...subscriptionHandlers(cmqDeps),
    ]);
    // As src/server/turn.ts has it.
    broker.store.onCommitted = (ticket) => {
      try {
        broker.onCommitted(ticket);
        this.flushSet.flushAll();
      } catch (error) {
        this.faults.push(error);
      }
    };
  }

  static async open(disk: MemoryDisk, clock: FakeClock): Promise<World> {
    const store = new MemoryStore({ clock, disk, scheduler: IMMEDIATE_SCHEDULER });
    return new World(await EngineFixture.open({ store, clock }));
  }

  /** A call of CMQ's API 2.0. */
  async call(action: string, parameters: CallParameters = {}): Promise<Reply> {
    const spec = ACTIONS_V2.get(action.toLowerCase())!;
    const format = new ReplyFormatV2(undefined);
    let json: string | Buffer | undefined;
    try {
      new RequestCall({
        broker: this.fixture.broker,
        logger: { ...silentLogger, error: (fields) => void this.faults.push(fields) },
        spec,
        api: 2,
        actor: this.fixture.actor,
        parameters: bindParameters(spec, undefined, new FormSource(formOf(parameters))),
        requestId: '1',
        remoteAddress: '192.0.2.7',
        onSucceeded: (_, fields) => (json = format.succeeded('1', fields)),
        onFailed: (_, failure) => (json = format.failed('1', failure)),
      }).run(this.#cmq.get(spec.name)!);
    } catch (error) {
      json = format.failed('1', toCmqFailure(error, spec).failure);
    }
    for (let wait = 0; wait < 20 && json === undefined; wait += 1) await this.settle();
    if (json === undefined) throw new Error(`${action} was not answered`);
    const reply = JSON.parse(json.toString()) as Reply;
    if (reply.code === 6000) throw new Error(`${action}: ${JSON.stringify(reply)}`);
    return reply;
  }

  override async settle(): Promise<void> {
    for (let pass = 0; pass < 2; pass += 1) {
      this.flushSet.flushAll();
      await this.fixture.settle(TURNS);
    }
    this.flushSet.flushAll();
    if (this.faults.length > 0) throw this.faults[0];
  }

  /** Time passes, and what is due happens. */
  async pass(byMs: number): Promise<void> {
    this.fixture.clock.advance(byMs);
    this.mqtt.tick();
    await this.settle();
  }
}

function formOf(parameters: CallParameters): Form {
  const form = new Form();
  for (const [name, value] of Object.entries(parameters)) {
    if (typeof value === 'string' || typeof value === 'number') form.add(name, String(value));
    else for (const [index, item] of value.entries()) form.add(`${name}.${index}`, item);
  }
  return form;
}
