/**
 * Reference 2.11: every code and module that a client can meet here, each with a request that meets
 * it. Not to be met: 4300 (no billing), 10031 and 10032 (TCP), 4490/10770 and 10780 and 6040/10750
 * and 10760 (transactions), 6000 (a fault of the server).
 */
import { test } from 'vitest';
import type { CmqClient, CmqParameters, CmqReply } from '../support/cmq-client.ts';
import {
  empty,
  eventually,
  expectCode,
  makeQueue,
  now,
  unique,
  useCmq,
} from '../support/cmq-test.ts';

const { client } = useCmq({
  args: [
    ...['--cmq-delayed-max', '2', '--cmq-inactive-max', '2', '--cmq-fail-unmatched', 'true'],
    ...['--cmq-subscriptions-max', '1', '--cmq-queues-max', '300', '--cmq-topics-max', '60'],
  ],
});
const paced = useCmq({ args: ['--cmq-queue-requests-per-second', '5'] });
const few = useCmq({
  args: ['--cmq-queues-max', '1', '--cmq-topics-max', '1', '--cmq-name-cool-down', '60s'],
});

type Provoke = (cmq: CmqClient) => Promise<CmqReply>;

/** A call that needs nothing before it. */
const call =
  (action: string, parameters: CmqParameters = {}): Provoke =>
  (cmq) =>
    cmq.call(action, parameters);

/** A call on a new queue. */
const onQueue =
  (action: string, parameters: CmqParameters = {}, attributes: CmqParameters = {}): Provoke =>
  async (cmq) =>
    await cmq.call(action, { queueName: await makeQueue(cmq, attributes), ...parameters });

/** A call on a new topic. */
const onTopic =
  (action: string, parameters: CmqParameters = {}, attributes: CmqParameters = {}): Provoke =>
  async (cmq) => {
    const topicName = unique('t');
    await cmq.ok('CreateTopic', { topicName, ...attributes });
    return await cmq.call(action, { topicName, ...parameters });
  };

/** A call on a topic with one subscription `s` to a queue. */
const onSubscribed =
  (action: string, parameters: CmqParameters, filter: CmqParameters = {}): Provoke =>
  async (cmq) => {
    const topicName = unique('t');
    const filterType = 'bindingKey' in filter ? 2 : 1;
    await cmq.ok('CreateTopic', { topicName, filterType });
    const place = { topicName, subscriptionName: 's', protocol: 'queue' };
    await cmq.ok('Subscribe', { ...place, endpoint: await makeQueue(cmq), ...filter });
    return await cmq.call(action, { topicName, ...parameters });
  };

/** A Subscribe that differs from a good one. */
const subscribe =
  (wrong: CmqParameters, attributes: CmqParameters = {}): Provoke =>
  async (cmq) => {
    const endpoint = await makeQueue(cmq);
    const good = { subscriptionName: 's', protocol: 'queue', endpoint };
    return await onTopic('Subscribe', { ...good, ...wrong }, attributes)(cmq);
  };

const six = ['a', 'b', 'c', 'd', 'e', 'f'];
const seventeen = Array.from({ length: 17 }, () => 'x');
const http = { protocol: 'http', endpoint: 'http://example.com/' };

const TABLE: readonly (readonly [number, number, string, Provoke])[] = [
  [4000, 10280, 'no action', (cmq) => cmq.call('', {})],
  [4000, 10430, 'an action that is none', call('MakeCoffee')],
  [4000, 10350, 'a value out of range', onQueue('ReceiveMessage', { pollingWaitSeconds: 31 })],
  [4000, 10360, 'a value of another type', onQueue('ReceiveMessage', { pollingWaitSeconds: 'x' })],
  [4000, 10370, 'a batch of 17', onQueue('BatchSendMessage', { msgBody: seventeen })],
  [4000, 10380, 'a gap', onQueue('BatchSendMessage', { 'msgBody.0': 'a', 'msgBody.2': 'b' })],
  [4000, 10390, 'no required parameter', onQueue('BatchReceiveMessage')],
  [4000, 10330, 'an array where one value stands', call('CreateQueue', { queueName: ['a', 'b'] })],
  [4000, 10420, 'more than 1 MB', onQueue('SendMessage', { msgBody: 'x'.repeat(1_048_577) })],
  [4000, 10020, 'a bad queue name', call('CreateQueue', { queueName: 'a.b' })],
  [4000, 10120, 'an empty body', onQueue('SendMessage', { msgBody: '' })],
  [4000, 10470, 'a bad handle', onQueue('DeleteMessage', { receiptHandle: 'a b' })],
  [4000, 10590, 'a bad topic name', call('CreateTopic', { topicName: 'a.b' })],
  [4000, 10590, 'a bad subscription name', subscribe({ subscriptionName: '0' })],
  [4000, 10692, 'a bad delay', onQueue('SendMessage', { msgBody: 'x', delaySeconds: 6_048_001 })],
  [
    4000,
    10680,
    'a rewind before the window',
    onQueue('RewindQueue', { startConsumeTime: now() - 3_600 }, { rewindSeconds: 60 }),
  ],
  [
    4000,
    10700,
    'rewind over retention',
    call('CreateQueue', { queueName: 'q', msgRetentionSeconds: 60, rewindSeconds: 61 }),
  ],
  [4000, 10490, 'six filter tags', subscribe({ filterTag: six })],
  [4000, 10500, 'an endpoint too long', subscribe({ ...http, endpoint: 'x'.repeat(501) })],
  [4000, 10630, 'an endpoint that is no URL', subscribe({ ...http, endpoint: 'http://[/' })],
  [4000, 10640, 'a queue in JSON', subscribe({ notifyContentFormat: 'JSON' })],
  [4000, 10510, 'a protocol', subscribe({ protocol: 'pigeon' })],
  [4000, 10520, 'a strategy', subscribe({ notifyStrategy: 'NEVER' })],
  [4000, 10530, 'a content format', subscribe({ ...http, notifyContentFormat: 'XML' })],
  [4000, 10540, 'a topic in use', onSubscribed('DeleteTopic', {})],
  [4000, 10680, 'six binding keys', subscribe({ bindingKey: six }, { filterType: 2 })],
  [4000, 10710, 'no binding key', subscribe({}, { filterType: 2 })],
  [
    4000,
    10691,
    'dots of a binding key',
    subscribe({ bindingKey: ['a.'.repeat(16)] }, { filterType: 2 }),
  ],
  [
    4000,
    10690,
    'dots of a routing key',
    onSubscribed(
      'PublishMessage',
      { msgBody: 'x', routingKey: 'a.'.repeat(16) },
      {
        bindingKey: ['#'],
      },
    ),
  ],
  [
    4000,
    10700,
    'no routing key',
    onSubscribed('PublishMessage', { msgBody: 'x' }, { bindingKey: ['#'] }),
  ],
  [4000, 10720, 'six tags', onSubscribed('PublishMessage', { msgBody: 'x', msgTag: six })],
  [4100, 10030, 'a wrong signature', call('ListQueue', { Signature: 'AAAA' })],
  [4100, 10270, 'an unknown key', call('ListQueue', { SecretId: 'AKIDnobody' })],
  [
    4400,
    10230,
    'a large body',
    onQueue('SendMessage', { msgBody: 'x'.repeat(1_025) }, { maxMsgSize: 1_024 }),
  ],
  [
    4410,
    10240,
    'a full queue',
    onQueue('BatchSendMessage', { msgBody: six }, { maxMsgHeapNum: 5 }),
  ],
  [
    4430,
    10260,
    'a handle of nobody',
    async (cmq) => {
      const queueName = await makeQueue(cmq);
      await cmq.send(queueName, 'x');
      const { receiptHandle } = await cmq.receive(queueName);
      await cmq.ok('DeleteMessage', { queueName, receiptHandle });
      return await cmq.call('DeleteMessage', { queueName, receiptHandle });
    },
  ],
  [4440, 10100, 'no queue', call('DeleteQueue', { queueName: 'nowhere' })],
  [4440, 10600, 'no topic', call('DeleteTopic', { topicName: 'nowhere' })],
  [
    4460,
    10210,
    'a queue that exists',
    async (cmq) => {
      return await cmq.call('CreateQueue', { queueName: await makeQueue(cmq) });
    },
  ],
  [4490, 10790, 'a transactional queue', call('CreateQueue', { queueName: 'tx', transaction: 1 })],
  [
    4490,
    10470,
    'a subscription that exists',
    onSubscribed('Subscribe', { subscriptionName: 's', ...http }),
  ],
  [
    4500,
    10480,
    'a subscription too many',
    onSubscribed('Subscribe', { subscriptionName: 'other', ...http }),
  ],
  [4510, 10570, 'blanks in a URL', subscribe({ ...http, endpoint: 'http://example.com/a b' })],
  [6010, 10150, 'a batch deleted in part', (cmq) => deleteWith(cmq, 1)],
  [6020, 10290, 'a batch of which nothing was deleted', (cmq) => deleteWith(cmq, 2)],
  [6030, 10650, 'nobody subscribed', onTopic('PublishMessage', { msgBody: 'x' })],
  [
    6030,
    10730,
    'no filter matches',
    onSubscribed('PublishMessage', { msgBody: 'x' }, { filterTag: ['a'] }),
  ],
  [6050, 10670, 'rewind is off', onQueue('RewindQueue', { startConsumeTime: now() })],
  [
    6070,
    10690,
    'too many delayed',
    async (cmq) => {
      const queueName = await makeQueue(cmq);
      const delayed = { queueName, delaySeconds: 60, msgBody: ['a', 'b'] };
      await cmq.ok('BatchSendMessage', delayed);
      return await cmq.call('SendMessage', { ...delayed, msgBody: 'c' });
    },
  ],
  [
    6070,
    10690,
    'too many inactive',
    async (cmq) => {
      const queueName = await makeQueue(cmq);
      await cmq.ok('BatchSendMessage', { queueName, msgBody: ['a', 'b', 'c'] });
      await cmq.receive(queueName);
      await cmq.receive(queueName);
      return await cmq.call('ReceiveMessage', { queueName });
    },
  ],
  [7000, 10200, 'an empty queue', onQueue('ReceiveMessage')],
];

/** Deletes two messages of which `gone` are deleted already. */
async function deleteWith(cmq: CmqClient, gone: number): Promise<CmqReply> {
  const queueName = await makeQueue(cmq);
  await cmq.ok('BatchSendMessage', { queueName, msgBody: ['a', 'b'] });
  const { msgInfoList } = await cmq.ok('BatchReceiveMessage', { queueName, numOfMsg: 2 });
  const receiptHandle = msgInfoList.map((message) => message.receiptHandle);
  await cmq.ok('BatchDeleteMessage', { queueName, receiptHandle: receiptHandle.slice(0, gone) });
  return await cmq.call('BatchDeleteMessage', { queueName, receiptHandle });
}

test.each(TABLE)('%i/%i: %s', async (code, module, _what, provoke) => {
  expectCode(await provoke(client()), code, module);
});

test('4100/10080: a disabled key', async () => {
  expectCode(await client('disabled').call('ListQueue'), 4100, 10080);
});

test('4000/10461: no right', async () => {
  const queueName = unique('no');
  expectCode(await client('limited').call('CreateQueue', { queueName }), 4000, 10461, 10440);
});

test('4450/10220, 4450/10610, 6040/10660: quotas of an account, a name that cools down', async () => {
  const cmq = few.client();
  await empty(cmq);
  const queueName = await makeQueue(cmq);
  expectCode(await cmq.call('CreateQueue', { queueName: unique() }), 4450, 10220);
  await cmq.ok('CreateTopic', { topicName: unique('t') });
  expectCode(await cmq.call('CreateTopic', { topicName: unique('t') }), 4450, 10610);
  await cmq.ok('DeleteQueue', { queueName });
  expectCode(await cmq.call('CreateQueue', { queueName }), 6040, 10660);
});

test('4420/10250: requests of one queue', async () => {
  const cmq = paced.client();
  const [queueName, other] = [await makeQueue(cmq), await makeQueue(cmq)];
  const send = (to: string) => cmq.call('SendMessage', { queueName: to, msgBody: 'x' });
  const flood = async (): Promise<boolean> => {
    const replies = await Promise.all(Array.from({ length: 30 }, () => send(queueName)));
    const refused = replies.filter((reply) => reply.code !== 0);
    for (const reply of refused) expectCode(reply, 4420, 10250);
    expectCode(await send(other), 0);
    return refused.length > 10;
  };
  // They may trickle in over seconds when the machine is busy.
  await eventually(flood, 'most of 30 at once are refused');
});
