/** Quotas and options of an operator: at the limit accepted, one beyond refused with its code. */
import { beforeEach, describe, expect, test } from 'vitest';
import { empty, eventually, expectCode, now, pause, unique, useCmq } from '../support/cmq-test.ts';

const small = useCmq({
  args: [
    ...['--cmq-queues-max', '3', '--cmq-topics-max', '2', '--cmq-subscriptions-max', '2'],
    ...['--cmq-delay-max', '3600s', '--cmq-fail-unmatched', 'true', '--cmq-name-cool-down', '2s'],
    ...['--cmq-anonymous-user', 'guest'],
  ],
});
const paced = useCmq({ args: ['--cmq-requests-per-second', '20'] });
const off = useCmq({ args: ['--cmq', 'false'] });

describe('quotas', () => {
  beforeEach(async () => {
    await empty(small.client());
    await empty(small.client('stranger'));
  });

  test('queues of an account: 4450/10220', async () => {
    const cmq = small.client();
    const names = [unique(), unique(), unique()];
    for (const queueName of names) await cmq.ok('CreateQueue', { queueName });
    const beyond = { queueName: unique() };
    expectCode(await cmq.call('CreateQueue', beyond), 4450, 10220);
    expect((await cmq.call3('CreateCmqQueue', { QueueName: unique() })).Error?.Code).toMatch(
      /^LimitExceeded/,
    );
    await small.client('stranger').ok('CreateQueue', beyond);
    await cmq.ok('DeleteQueue', { queueName: names[0]! });
    await cmq.ok('CreateQueue', beyond);
    await cmq.ok('DeleteQueue', beyond);
  });

  test('topics of an account 4450/10610, subscriptions of a topic 4500/10480', async () => {
    const cmq = small.client();
    const [topicName, other, endpoint] = [unique('t'), unique('t'), unique()];
    await cmq.ok('CreateQueue', { queueName: endpoint });
    await cmq.ok('CreateTopic', { topicName });
    await cmq.ok('CreateTopic', { topicName: other });
    expectCode(await cmq.call('CreateTopic', { topicName: unique('t') }), 4450, 10610);
    const subscribe = (subscriptionName: string, filterTag: readonly string[] = []) =>
      cmq.call('Subscribe', {
        topicName,
        subscriptionName,
        protocol: 'queue',
        endpoint,
        filterTag,
      });
    expectCode(await subscribe('one', ['a']), 0);
    expectCode(await subscribe('two', ['b']), 0);
    expectCode(await subscribe('three'), 4500, 10480);
    const publish = (msgTag: readonly string[]) =>
      cmq.call('PublishMessage', { topicName, msgBody: 'x', msgTag });
    expectCode(await publish(['a']), 0);
    expectCode(await publish(['c']), 6030, 10730);
    expectCode(await publish([]), 6030, 10730);
  });

  test('the longest delay', async () => {
    const cmq = small.client('stranger');
    const queueName = unique();
    await cmq.ok('CreateQueue', { queueName });
    await cmq.send(queueName, 'x', { delaySeconds: 3_600 });
    const beyond = { queueName, msgBody: 'x', delaySeconds: 3_601 };
    expectCode(await cmq.call('SendMessage', beyond), 4000, 10692);
  });

  test('a name cools down: 6040/10660 for a while', async () => {
    const cmq = small.client('stranger');
    const queueName = unique();
    await cmq.ok('CreateQueue', { queueName });
    await cmq.ok('DeleteQueue', { queueName });
    expectCode(await cmq.call('CreateQueue', { queueName }), 6040, 10660);
    await eventually(
      async () => (await cmq.call('CreateQueue', { queueName })).code === 0,
      'the name is free again',
    );
  });
});

test('requests of one account and action: 4480/10460, others are not slowed', async () => {
  const cmq = paced.client();
  const flood = async (): Promise<boolean> => {
    // The server's seconds begin where they like: after one without a request it has counted none.
    await pause(1_100);
    const replies = await Promise.all(Array.from({ length: 60 }, () => cmq.call('ListQueue')));
    const refused = replies.filter((reply) => reply.code !== 0);
    for (const reply of refused) expectCode(reply, 4480, 10460);
    expect(replies.length - refused.length).toBeGreaterThanOrEqual(20);
    return refused.length >= 15;
  };
  // They may trickle in over seconds when the machine is busy.
  await eventually(flood, 'what is beyond 20 at once is refused');
  expectCode(await cmq.call('ListTopic'), 0);
  expectCode(await paced.client('stranger').call('ListQueue'), 0);
  await pause(1_100);
  expectCode(await cmq.call('ListQueue'), 0);
});

test('requests without a key act as the anonymous user when there is one', async () => {
  const open = small.client();
  const parameters = new Map([
    ['Action', 'ListQueue'],
    ['appId', '1250000000'],
    ['clientRequestId', '7'],
  ]);
  const reply = await open.raw(parameters);
  expectCode(reply, 0);
  expect(reply['clientRequestId']).toBe(7);
  expect((await paced.client().raw(parameters)).code).not.toBe(0);
  parameters.set('Timestamp', String(now()));
  parameters.set('SecretId', 'AKIDnobody');
  expect((await open.raw(parameters)).code).not.toBe(0);
});

test('switched off it does not answer', async () => {
  const reply = await off.client().http('GET', '/v2/index.php?Action=ListQueue');
  expect(reply.status).toBe(404);
});
