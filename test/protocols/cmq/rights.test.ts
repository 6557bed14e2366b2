/** Every action takes the right that its row in the table names, and no other. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { silentLogger } from '../../../src/base/logger.ts';
import type { CmqDeps, CmqHandlers } from '../../../protocols/cmq/dispatcher.ts';
import { messageHandlers } from '../../../protocols/cmq/message-actions.ts';
import { queueHandlers } from '../../../protocols/cmq/queue-actions.ts';
import { bindParameters, ObjectSource } from '../../../protocols/cmq/request-binder.ts';
import { RequestCall } from '../../../protocols/cmq/request-call.ts';
import { DEFAULT_CMQ_SETTINGS } from '../../../protocols/cmq/settings.ts';
import { ACTIONS, type ActionSpec } from '../../../protocols/cmq/spec/actions.ts';
import { subscriptionHandlers } from '../../../protocols/cmq/subscription-actions.ts';
import { topicHandlers } from '../../../protocols/cmq/topic-actions.ts';
import { EngineFixture } from '../../support/engine-fixture.ts';

const RIGHTS = ['configure', 'write', 'read'] as const;

/** What an action is asked with; the queue `q` and the topic `t` exist. */
const ASKED: Readonly<Record<string, unknown>> = {
  queueName: 'q',
  topicName: 't',
  subscriptionName: 's',
  sourceQueueName: 'q',
  deadLetterQueueName: 'q',
  msgBody: 'x',
  numOfMsg: '1',
  receiptHandle: '1-0-1-1',
  startConsumeTime: '0',
  protocol: 'http',
  endpoint: 'http://push.example.com/',
  msgId: '1',
  visibilityTimeout: '1',
  delaySeconds: '0',
};

let engine: EngineFixture;
let deps: CmqDeps;
let handlers: CmqHandlers;

beforeAll(async () => {
  engine = await EngineFixture.open();
  const { broker, clock, random } = engine;
  deps = { broker, clock, random, settings: DEFAULT_CMQ_SETTINGS, logger: silentLogger };
  handlers = new Map([
    ...queueHandlers(deps),
    ...messageHandlers(deps),
    ...topicHandlers(deps),
    ...subscriptionHandlers(deps),
  ]);
});

afterAll(() => engine.broker.store.close());

/** The name of the error, or `ok`; also when the reply is owed still. */
function ask(spec: ActionSpec): string {
  const values = spec.parameters
    .filter(({ isRequired }) => isRequired !== false)
    .map(({ name, type }) => [name, type === 'list' ? [ASKED[name]] : ASKED[name]] as const);
  let outcome = 'ok';
  const call = new RequestCall({
    broker: deps.broker,
    logger: silentLogger,
    spec,
    api: 2,
    actor: engine.actor,
    parameters: bindParameters(spec, undefined, new ObjectSource(Object.fromEntries(values))),
    requestId: '1',
    remoteAddress: '',
    onSucceeded: () => undefined,
    onFailed: (_, { error }) => {
      outcome = error;
    },
  });
  call.run(handlers.get(spec.name)!);
  engine.broker.turn();
  call.gone();
  return outcome;
}

function allow(rights: readonly string[]): void {
  const pattern = (right: string) => (rights.includes(right) ? '.*' : '^$');
  const [configure, write, read] = RIGHTS.map(pattern);
  engine.broker.access.setPermission('guest', '/', {
    configure: configure!,
    write: write!,
    read: read!,
  });
}

const byName = (name: string): ActionSpec => ACTIONS.find((action) => action.name === name)!;

describe.each(
  ACTIONS.filter(({ right, unserved }) => right !== undefined && unserved === undefined),
)('$name', (spec) => {
  const isMaking = spec.name === 'CreateQueue' || spec.name === 'CreateTopic';

  test(`takes ${spec.right}`, () => {
    allow(RIGHTS);
    if (!isMaking) {
      ask(byName('CreateQueue'));
      ask(byName('CreateTopic'));
    }
    const enough = spec.right === 'any' ? RIGHTS.map((right) => [right]) : [[spec.right!]];
    const tooLittle = spec.right === 'any' ? [] : RIGHTS.filter((right) => right !== spec.right);
    allow(tooLittle);
    expect(ask(spec)).toBe('PERMISSION_DENIED');
    for (const rights of enough) {
      allow(rights);
      expect(ask(spec)).not.toBe('PERMISSION_DENIED');
    }
  });
});

test('every action that is served has a handler, and no other', () => {
  const served = ACTIONS.filter(({ unserved }) => unserved === undefined).map(({ name }) => name);
  expect([...handlers.keys()].sort()).toEqual(served.sort());
});
