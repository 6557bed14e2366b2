/** Reference 2.1: what is signed, by whom, and what is refused. */
import { describe, expect, test } from 'vitest';
import { type CmqParameters, flatten } from '../support/cmq-client.ts';
import { signature, stringToSign } from '../support/cmq-sign.ts';
import { expectCode, KEYS, makeQueue, now, unique, useCmq } from '../support/cmq-test.ts';

const { client } = useCmq();

describe('version 1', () => {
  const modes = (['GET', 'POST'] as const).flatMap((method) =>
    (['/', '/v2/index.php'] as const).flatMap((path) =>
      (['HmacSHA1', 'HmacSHA256', undefined] as const).flatMap((algorithm) =>
        [true, false].map((signsPort) => ({ method, path, algorithm, signsPort })),
      ),
    ),
  );

  test.each(modes)('$method $path $algorithm, port signed: $signsPort', async (mode) => {
    const { algorithm, ...rest } = mode;
    const how = algorithm === undefined ? { namesAlgorithm: false } : { algorithm };
    const cmq = client('guest', { ...rest, ...how });
    await cmq.ok('ListQueue', { searchWord: 'a b+c&d=é' });
  });

  test('any other SignatureMethod means HMAC-SHA1', async () => {
    const cmq = client('guest', { namesAlgorithm: false });
    await cmq.ok('ListQueue', { SignatureMethod: 'Whatever' });
  });

  test('keys are ordered by bytes', async () => {
    const msgBody = Array.from({ length: 12 }, (_, at) => String(at));
    const cmq = client();
    const queueName = await makeQueue(cmq);
    await cmq.ok('BatchSendMessage', { queueName, msgBody, Zone: 1, a: 2, Z: 3, aa: 4 });
  });

  test('an underscore in a key is signed as a dot', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    await cmq.ok('BatchSendMessage', { queueName, 'msgBody.0': 'x', some_thing: 1 });
  });

  test('a value that begins with @ may be signed or left out with POST', async () => {
    for (const skipsAt of [true, false]) {
      const cmq = client('guest', { skipsAt });
      const queueName = await makeQueue(cmq);
      await cmq.send(queueName, '@value');
      expect((await cmq.receive(queueName)).msgBody).toBe('@value');
    }
    const get = client('guest', { method: 'GET', skipsAt: false });
    await get.send(await makeQueue(get), '@value');
  });

  test('values are signed raw, not encoded', async () => {
    const cmq = client('guest', { method: 'GET' });
    const queueName = await makeQueue(cmq);
    await cmq.send(queueName, 'a%20b/c?d=e&f');
    expect((await cmq.receive(queueName)).msgBody).toBe('a%20b/c?d=e&f');
  });

  test('a wrong secret is 4100/10030', async () => {
    const cmq = client();
    const parameters = cmq.signed('ListQueue');
    parameters.set('Signature', signature('something else', 'x', 'HmacSHA256'));
    expectCode(await cmq.raw(parameters), 4100, 10030);
  });

  test.each([
    ['a parameter changed', (p: Map<string, string>) => p.set('limit', '5')],
    ['a parameter taken away', (p: Map<string, string>) => p.delete('offset')],
    ['a parameter added', (p: Map<string, string>) => p.set('searchWord', 'x')],
    ['another action', (p: Map<string, string>) => p.set('Action', 'ListTopic')],
    ['an empty signature', (p: Map<string, string>) => p.set('Signature', '')],
    ['a longer signature', (p: Map<string, string>) => p.set('Signature', 'x'.repeat(9_000))],
  ])('%s after signing is refused', async (_name, change) => {
    const cmq = client();
    const parameters = cmq.signed('ListQueue', { limit: 10, offset: 0 });
    change(parameters);
    const reply = await cmq.raw(parameters);
    expect([4000, 4100], reply.message).toContain(reply.code);
  });

  test('a signature of another host or another path is refused', async () => {
    const cmq = client();
    for (const target of [
      { method: 'POST', host: 'cmq-queue-gz.api.qcloud.com', path: '/v2/index.php' },
      { method: 'POST', host: cmq.base.host, path: '/' },
      { method: 'GET', host: cmq.base.host, path: '/v2/index.php' },
    ]) {
      const parameters = cmq.signed('ListQueue');
      const text = stringToSign(target, parameters);
      parameters.set('Signature', signature(text, KEYS.guest.secret, 'HmacSHA256'));
      expectCode(await cmq.raw(parameters), 4100, 10030);
    }
  });

  test('an unknown SecretId is 4100/10270', async () => {
    expectCode(await client().call('ListQueue', { SecretId: 'AKIDnobody' }), 4100, 10270);
  });

  test('a disabled key is 4100/10080', async () => {
    expectCode(await client('disabled').call('ListQueue'), 4100, 10080);
  });

  test.each(['SecretId', 'Signature', 'Timestamp', 'Nonce'])('without %s', async (name) => {
    const cmq = client();
    const parameters = cmq.signed('ListQueue');
    parameters.delete(name);
    const reply = await cmq.raw(parameters);
    expect([4000, 4100], reply.message).toContain(reply.code);
  });

  test('Timestamp may be 290 s off and not 310 s', async () => {
    const cmq = client();
    for (const off of [-290, 290]) await cmq.ok('ListQueue', { Timestamp: now() + off });
    for (const off of [-310, 310]) {
      expectCode(await cmq.call('ListQueue', { Timestamp: now() + off }), 4100);
    }
    expect((await cmq.call('ListQueue', { Timestamp: 'soon' })).code).not.toBe(0);
  });

  test('the same Nonce and Timestamp twice are two requests', async () => {
    const same: CmqParameters = { Timestamp: now(), Nonce: 7 };
    await client().ok('ListQueue', same);
    await client().ok('ListQueue', same);
    await client().ok('ListQueue', { Nonce: '9223372036854775807' });
  });

  test('a signature never leaks why it is wrong', async () => {
    const reply = await client().call('ListQueue', { Signature: 'AAAA' });
    expect(JSON.stringify(reply)).not.toContain(KEYS.guest.secret);
    expect(JSON.stringify(reply)).not.toMatch(/POST127|GET127/);
  });
});

describe('version 3', () => {
  test.each([
    ['the host as is', {}],
    ['the host without its port', { host: '127.0.0.1' }],
    ['the first label for the service', { service: '127' }],
    ['the older module', { version: '2019-03-04', service: 'cmq' }],
  ])('%s is taken', async (_name, how) => {
    const action = 'version' in how ? 'DescribeQueueDetail' : 'DescribeCmqQueues';
    const reply = await client().call3(action, {}, how);
    expect(reply.Error).toBeUndefined();
  });

  test('a wrong secret, an unknown id and a disabled key are AuthFailure', async () => {
    const wrong = client('guest');
    const reply = await wrong.call3('DescribeCmqQueues', {}, { host: 'elsewhere.example' });
    expect(reply.Error?.Code).toMatch(/^AuthFailure/);
    expect((await client('disabled').call3('DescribeCmqQueues')).Error?.Code).toMatch(
      /^AuthFailure/,
    );
  });

  test('a body changed after signing is refused', async () => {
    const cmq = client();
    const body = JSON.stringify({ QueueName: unique() });
    const reply = await cmq.http('POST', '/', body, {
      'content-type': 'application/json',
      'x-tc-action': 'CreateCmqQueue',
      'x-tc-version': '2020-02-17',
      'x-tc-timestamp': String(now()),
      authorization:
        `TC3-HMAC-SHA256 Credential=${KEYS.guest.id}/2020-01-01/tdmq/tc3_request, ` +
        `SignedHeaders=content-type;host, Signature=${'0'.repeat(64)}`,
    });
    expect(reply.status).toBe(200);
    expect(JSON.parse(reply.text).Response.Error.Code).toMatch(/^AuthFailure/);
  });

  test.each(['', 'TC3-HMAC-SHA256', 'TC3-HMAC-SHA256 Credential=a', 'Bearer x'])(
    'an Authorization header %j is refused',
    async (authorization) => {
      const reply = await client().http('POST', '/', '{}', {
        'content-type': 'application/json',
        'x-tc-action': 'DescribeCmqQueues',
        'x-tc-version': '2020-02-17',
        'x-tc-timestamp': String(now()),
        authorization,
      });
      expect(reply.status).toBe(200);
      expect(JSON.parse(reply.text).Response.Error.Code).toMatch(/^(AuthFailure|MissingParameter)/);
    },
  );

  test('an unknown action and an unknown version are InvalidAction or NoSuchVersion', async () => {
    const unknown = await client().call3('DescribeNothing');
    expect(unknown.Error?.Code).toMatch(/^(InvalidAction|NoSuch|InvalidParameter)/);
    const old = await client().call3('DescribeCmqQueues', {}, { version: '1999-01-01' });
    expect(old.Error?.Code).toMatch(/^(InvalidAction|NoSuch|InvalidParameter)/);
  });

  test('a version 1 signature with Version answers as API 3.0', async () => {
    for (const method of ['GET', 'POST'] as const) {
      const cmq = client('guest', { method, path: '/' });
      const parameters = cmq.signed('DescribeCmqQueues', { Version: '2020-02-17', Limit: 5 });
      const form = new URLSearchParams([...parameters]).toString();
      const reply =
        method === 'GET'
          ? await cmq.http('GET', `/?${form}`)
          : await cmq.http('POST', '/', form, {
              'content-type': 'application/x-www-form-urlencoded',
            });
      const { Response: response } = JSON.parse(reply.text);
      expect(response.Error).toBeUndefined();
      expect(response.TotalCount).toBeTypeOf('number');
    }
  });
});

test('the vendor-written example of a string to sign', () => {
  const parameters = flatten({ Action: 'A', b_c: 'd', a: ['x', 'y'], Signature: 'no' });
  const target = { method: 'GET', host: 'h', path: '/p' };
  expect(stringToSign(target, parameters)).toBe('GETh/p?Action=A&a.0=x&a.1=y&b.c=d');
});
