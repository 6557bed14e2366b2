/** Rights: an account sees its own names only, and a key may do what its user may. */
import { expect, test } from 'vitest';
import { expectCode, unique, useCmq } from '../support/cmq-test.ts';

const { client } = useCmq();
const DENIED = [10440, 10461] as const;

test('a user without configure rights makes, changes and deletes nothing', async () => {
  const cmq = client('limited');
  const queueName = unique('write');
  await client().ok('CreateQueue', { queueName });
  expectCode(await cmq.call('CreateQueue', { queueName: unique('write') }), 4000, ...DENIED);
  expectCode(await cmq.call('DeleteQueue', { queueName }), 4000, ...DENIED);
  const change = { queueName, visibilityTimeout: 5 };
  expectCode(await cmq.call('SetQueueAttributes', change), 4000, ...DENIED);
  expectCode(await cmq.call('ClearQueue', { queueName }), 4000, ...DENIED);
  expectCode(await cmq.call('CreateTopic', { topicName: unique('write') }), 4000, ...DENIED);
});

test('send takes the write right, receive and delete the read right', async () => {
  const owner = client();
  const cmq = client('limited');
  const [write, read] = [unique('write'), unique('read')];
  await owner.ok('CreateQueue', { queueName: write });
  await owner.ok('CreateQueue', { queueName: read });
  await cmq.send(write, 'in');
  expectCode(await cmq.call('ReceiveMessage', { queueName: write }), 4000, ...DENIED);
  const send = { queueName: read, msgBody: 'x' };
  expectCode(await cmq.call('SendMessage', send), 4000, ...DENIED);
  const batch = { queueName: read, msgBody: ['x'] };
  expectCode(await cmq.call('BatchSendMessage', batch), 4000, ...DENIED);
  await owner.send(read, 'out');
  const got = await cmq.receive(read);
  await cmq.remove(read, got);
  const stolen = (await owner.receive(write)).receiptHandle;
  const remove = { queueName: write, receiptHandle: stolen };
  expectCode(await cmq.call('DeleteMessage', remove), 4000, ...DENIED);
});

test('publish takes the write right on the topic', async () => {
  const owner = client();
  const [mine, write] = [unique('other'), unique('write')];
  const endpoint = unique('q');
  await owner.ok('CreateQueue', { queueName: endpoint });
  for (const topicName of [mine, write]) {
    await owner.ok('CreateTopic', { topicName });
    await owner.ok('Subscribe', { topicName, subscriptionName: 's', protocol: 'queue', endpoint });
  }
  const cmq = client('limited');
  await cmq.ok('PublishMessage', { topicName: write, msgBody: 'x' });
  expectCode(await cmq.call('PublishMessage', { topicName: mine, msgBody: 'x' }), 4000, ...DENIED);
});

test('refused rights are UnauthorizedOperation in API 3.0', async () => {
  const reply = await client('limited').call3('CreateCmqQueue', { QueueName: unique('no') });
  expect(reply.Error?.Code).toMatch(/^UnauthorizedOperation/);
});

test('lists show one account only', async () => {
  const queueName = unique('mine');
  await client().ok('CreateQueue', { queueName });
  const theirs = await client('stranger').ok('ListQueue', { searchWord: queueName });
  expect(theirs['totalCount']).toBe(0);
  const mine = await client().ok('ListQueue', { searchWord: queueName });
  expect(mine['totalCount']).toBe(1);
});
