/** Each action on queues asks for the right its row of the table names, and for no other. */
import { describe, expect, test } from 'vitest';
import { ACTIONS } from '../../../protocols/cmq/spec/actions.ts';
import { type CallParameters, QueueHarness } from './queue-harness.ts';

const REFUSED = '4000/10461';
const RIGHTS = ['configure', 'write', 'read'] as const;
type Right = (typeof RIGHTS)[number];

/** What each action needs beyond `queueName`. */
const PARAMETERS: Readonly<Record<string, CallParameters>> = {
  CreateQueue: { queueName: 'new' },
  RewindQueue: { startConsumeTime: 1 },
  UnbindDeadLetter: { sourceQueueName: 'Q' },
  DescribeDeadLetterSourceQueues: { deadLetterQueueName: 'Q' },
  SendMessage: { msgBody: 'x' },
  BatchSendMessage: { msgBody: ['x'] },
  BatchReceiveMessage: { numOfMsg: 1 },
  DeleteMessage: { receiptHandle: '1-0-1-1' },
  BatchDeleteMessage: { receiptHandle: ['1-0-1-1'] },
  ChangeMessageVisibility: { receiptHandle: '1-0-1-1', visibilityTimeout: 1 },
  DescribeMessage: { msgId: '1' },
  RescheduleMessage: { msgId: '1', delaySeconds: 1 },
  CancelScheduledMessage: { msgId: '1' },
};

async function asUserWith(rights: readonly Right[]): Promise<QueueHarness> {
  const harness = await QueueHarness.open();
  await harness.create('q');
  const { access } = harness.engine.broker;
  access.putUser('bob', { tags: [] });
  const pattern = (right: Right): string => (rights.includes(right) ? '^(q|new)$' : '^$');
  access.setPermission('bob', '/', {
    configure: pattern('configure'),
    write: pattern('write'),
    read: pattern('read'),
  });
  harness.actor = { ...harness.actor, user: access.user('bob')! };
  return harness;
}

describe('rights', () => {
  const actions = ACTIONS.filter(
    ({ resource, unserved, right }) =>
      resource === 'queue' && unserved === undefined && right !== undefined,
  );

  test.each(actions.map(({ name, right }) => [name, right!] as const))(
    '%s takes %s',
    async (name, right) => {
      const parameters = { queueName: 'Q', ...PARAMETERS[name] };
      const enough: readonly (readonly Right[])[] =
        right === 'any' ? RIGHTS.map((one) => [one]) : [[right]];
      const tooLittle = right === 'any' ? [] : RIGHTS.filter((one) => one !== right);
      for (const rights of enough) {
        const harness = await asUserWith(rights);
        expect(await harness.failure(name, parameters)).not.toBe(REFUSED);
      }
      const harness = await asUserWith(tooLittle);
      expect(await harness.failure(name, parameters)).toBe(REFUSED);
    },
  );

  test('a missing queue is told only to who might have it', async () => {
    const harness = await asUserWith(['read']);
    const missing = { queueName: 'missing' };
    expect(await harness.failure('ReceiveMessage', missing)).toBe(REFUSED);
    expect(await harness.failure('ReceiveMessage', { queueName: 'new' })).toBe('4440/10100');
  });

  test('nobody leads messages that he may not read to where he may', async () => {
    for (const rights of [['configure', 'write'], RIGHTS] as const) {
      const harness = await asUserWith(rights);
      const bob = harness.actor;
      harness.actor = { ...bob, user: harness.engine.broker.access.user('guest')! };
      await harness.create('new');
      harness.actor = bob;
      const bind = { queueName: 'q', deadLetterQueueName: 'new', policy: 0 };
      const redrive = { queueName: 'q', targetQueueName: 'new' };
      const isRefused = rights.length < RIGHTS.length;
      expect((await harness.failure('SetQueueAttributes', bind)) === REFUSED).toBe(isRefused);
      expect((await harness.failure('StartRedrive', redrive)) === REFUSED).toBe(isRefused);
    }
  });

  test('a dead-letter queue must be writable for who binds it', async () => {
    const harness = await asUserWith(['configure']);
    const { access } = harness.engine.broker;
    const admin = access.user('guest')!;
    const bob = harness.actor;
    harness.actor = { ...bob, user: admin };
    await harness.create('secret');
    harness.actor = bob;
    const bind = { queueName: 'q', deadLetterQueueName: 'secret', policy: 0 };
    expect(await harness.failure('SetQueueAttributes', bind)).toBe(REFUSED);
  });
});
