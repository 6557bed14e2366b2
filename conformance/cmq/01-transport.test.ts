/** Reference 2.1: methods, paths, the form of every reply, and what is tolerated. */
import { expect, test } from 'vitest';
import { expectCode, makeQueue, unique, useCmq } from '../support/cmq-test.ts';

const { client } = useCmq();
const FORM = { 'content-type': 'application/x-www-form-urlencoded' };

test.each([
  ['GET', '/v2/index.php'],
  ['POST', '/v2/index.php'],
  ['GET', '/'],
  ['POST', '/'],
] as const)('%s %s is served', async (method, path) => {
  const cmq = client('guest', { method, path });
  const queueName = await makeQueue(cmq);
  await cmq.send(queueName, 'hello');
  expect((await cmq.receive(queueName)).msgBody).toBe('hello');
});

test('errors are HTTP 200 with JSON, and every request has its own id', async () => {
  const cmq = client();
  const first = await cmq.call('GetQueueAttributes', { queueName: unique('absent') });
  const second = await cmq.call('GetQueueAttributes', { queueName: unique('absent') });
  expectCode(first, 4440, 10100);
  expect(first.message).toMatch(/^\(10100\)\S/);
  expect(first.requestId).not.toBe('');
  expect(second.requestId).not.toBe(first.requestId);
  const raw = await cmq.http('GET', '/v2/index.php?Action=ListQueue');
  expect(raw.status).toBe(200);
  expect(raw.headers['content-type']).toMatch(/json/);
});

test('success has code 0, a message and a request id', async () => {
  const reply = await client().ok('ListQueue');
  expect(reply.code).toBe(0);
  expect(typeof reply.message).toBe('string');
  expect(reply.requestId).toMatch(/\S/);
});

test('clientRequestId comes back as a number', async () => {
  const reply = await client().ok('ListQueue', { clientRequestId: 4_294_967_295 });
  expect(reply['clientRequestId']).toBe(4_294_967_295);
  expect((await client().ok('ListQueue'))['clientRequestId']).not.toBe('');
});

test('parameters nobody knows are tolerated and signed', async () => {
  const cmq = client();
  const queueName = await makeQueue(cmq);
  await cmq.ok('SendMessage', {
    queueName,
    msgBody: 'x',
    RequestClient: 'SDK_Python_1.3',
    UserpollingWaitSeconds: 30,
    Region: 'gz',
    somethingElse: 'y',
  });
});

test('the region is optional and any region is taken', async () => {
  for (const Region of [undefined, 'gz', 'sh', 'ap-guangzhou', 'nowhere']) {
    await client().ok('ListQueue', { Region });
  }
});

test.each(['listqueue', 'LISTQUEUE', 'listQueue'])('the action %s is ListQueue', async (action) => {
  expect((await client().ok(action))['queueList']).toBeInstanceOf(Array);
});

test('the misspelt action of one SDK is taken', async () => {
  const cmq = client();
  const reply = await cmq.call('ClearSUbscriptionFIlterTags', {
    topicName: unique('absent'),
    subscriptionName: 'x',
  });
  expectCode(reply, 4440, 10600);
});

test('an unknown action', async () => {
  expectCode(await client().call('NoSuchAction'), 4000, 10280, 10430);
});

test('no action at all', async () => {
  const parameters = client().signed('ListQueue');
  parameters.delete('Action');
  expectCode(await client().raw(parameters), 4000, 10280, 10430, 10390, 10010);
});

test.each(['PUT', 'DELETE', 'PATCH'])('%s is 4000/10410', async (method) => {
  const parameters = new URLSearchParams([...client().signed('ListQueue')]);
  const reply = await client().http(method, '/v2/index.php', parameters.toString(), FORM);
  expect(reply.status).toBe(200);
  expect(JSON.parse(reply.text)).toMatchObject({ code: 4000 });
  expect(JSON.parse(reply.text).message).toMatch(/^\(10410\)/);
});

test('a request of more than 1 MB is 4000/10420 and the connection stays usable', async () => {
  const cmq = client();
  const queueName = await makeQueue(cmq);
  const reply = await cmq.call('SendMessage', { queueName, msgBody: 'x'.repeat(1_048_577) });
  expectCode(reply, 4000, 10420);
  await cmq.send(queueName, 'still here');
});

test('bytes that are no form are refused', async () => {
  const reply = await client().http('POST', '/v2/index.php', '\u0000%zz&&&==', FORM);
  expect(reply.status).toBe(200);
  expect(JSON.parse(reply.text).code).toBe(4000);
});

test('an empty POST is refused', async () => {
  const reply = await client().http('POST', '/v2/index.php', '', FORM);
  expect(JSON.parse(reply.text).code).toBe(4000);
});

test('parameters may be in the query of a POST without a body', async () => {
  const cmq = client('guest', { method: 'POST' });
  const query = new URLSearchParams([...cmq.signed('ListQueue')]).toString();
  const reply = await cmq.http('POST', `/v2/index.php?${query}`, '', FORM);
  expect([0, 4000]).toContain(JSON.parse(reply.text).code);
});

test('a repeated parameter is not taken twice', async () => {
  const cmq = client();
  const queueName = await makeQueue(cmq);
  const parameters = cmq.signed('SendMessage', { queueName, msgBody: 'a' });
  const body = `${new URLSearchParams([...parameters]).toString()}&msgBody=b`;
  const reply = await cmq.http('POST', '/v2/index.php', body, FORM);
  expect(JSON.parse(reply.text).code).not.toBe(0);
});

test('UTF-8 survives both methods', async () => {
  const text = 'Grüße 消息 🚀 +&=%# "q" \\ \t \r\n end ';
  for (const method of ['GET', 'POST'] as const) {
    const cmq = client('guest', { method });
    const queueName = await makeQueue(cmq);
    await cmq.send(queueName, text);
    expect((await cmq.receive(queueName)).msgBody).toBe(text);
  }
});

test('arrays may be numbered from 0 or from 1', async () => {
  for (const firstIndex of [0, 1] as const) {
    const cmq = client('guest', { firstIndex });
    const queueName = await makeQueue(cmq);
    const bodies = Array.from({ length: 16 }, (_, at) => `body ${at}`);
    await cmq.ok('BatchSendMessage', { queueName, msgBody: bodies });
    const reply = await cmq.ok('BatchReceiveMessage', { queueName, numOfMsg: 16 });
    expect(reply.msgInfoList.map((message) => message.msgBody)).toEqual(bodies);
  }
});

test('one connection serves many requests, errors between them', async () => {
  const cmq = client();
  const queueName = await makeQueue(cmq);
  for (let at = 0; at < 50; at += 1) {
    expectCode(await cmq.call('ReceiveMessage', { queueName, pollingWaitSeconds: 0 }), 7000, 10200);
    expectCode(await cmq.call('NoSuchAction'), 4000);
  }
});
