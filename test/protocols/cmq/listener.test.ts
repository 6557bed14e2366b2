import { createHash, createHmac } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { BrokerError } from '../../../src/base/errors.ts';
import type { CmqCall } from '../../../protocols/cmq/dispatcher.ts';
import { CmqFailure } from '../../../protocols/cmq/error-mapper.ts';
import {
  type Answer,
  codeOf,
  codeOfV3,
  type HarnessOptions,
  KEY,
  PATH,
  WireHarness,
} from './wire-harness.ts';

const open: WireHarness[] = [];

afterEach(() => {
  for (const harness of open.splice(0)) harness.close();
});

async function start(options?: HarnessOptions): Promise<WireHarness> {
  const harness = await WireHarness.open(options);
  open.push(harness);
  return harness;
}

const queueName = 'q';

describe('API 2.0', () => {
  test.each([
    ['POST', PATH],
    ['GET', PATH],
    ['POST', '/'],
    ['GET', '/'],
  ] as const)('is served by %s on %s', async (method, path) => {
    const harness = await start();
    const answer = await harness.form('DeleteQueue', { queueName }, { method, path });
    expect(answer.status).toBe(200);
    expect(answer.headers['content-type']).toBe('application/json');
    expect(answer.json).toMatchObject({ code: 0, message: '' });
    expect(answer.json['requestId']).toMatch(/^\d+$/);
    expect(harness.calls[0]!.parameters.text('queueName')).toBe('q');
  });

  test('leaves pages to others', async () => {
    const harness = await start();
    for (const [method, path] of [
      ['GET', '/'],
      ['GET', '/?x=1'],
      ['HEAD', '/'],
      ['GET', '/health'],
      ['POST', '/other'],
    ] as const) {
      expect((await harness.send(method, path)).status).toBe(404);
    }
  });

  test('actions are known in any case, and no other', async () => {
    const harness = await start();
    expect(codeOf(await harness.form('DELETEqueue', { queueName }))).toBe('0');
    expect(codeOf(await harness.form('Nope'))).toBe('4000/10430');
    expect(codeOf(await harness.form('__proto__'))).toBe('4000/10430');
    expect(codeOf(await harness.form('', {}))).toBe('4000/10280');
    expect(codeOf(await harness.send('POST', PATH, 'a=1'))).toBe('4000/10280');
    expect(codeOf(await harness.send('POST', PATH))).toBe('4000/10280');
    expect(codeOf(await harness.send('GET', PATH))).toBe('4000/10280');
  });

  test('an action without a handler is none', async () => {
    const harness = await start();
    const answer = await harness.form('SendMessage', { queueName, msgBody: 'x' });
    expect(answer.json['message']).toBe('(10430)action name SendMessage is not existed');
    const route = await harness.form('QueryQueueRoute', { queueName });
    expect(route.json['message']).toContain('(10430)action name QueryQueueRoute is not existed: ');
  });

  test('other methods are refused, and what cannot be read', async () => {
    const harness = await start();
    expect(codeOf(await harness.send('PUT', PATH, 'a=1'))).toBe('4000/10410');
    expect(codeOf(await harness.send('DELETE', PATH))).toBe('4000/10410');
    expect(codeOf(await harness.send('POST', PATH, 'a=%zz'))).toBe('4000/10420');
    expect(codeOf(await harness.send('GET', `${PATH}?a=%zz`))).toBe('4000/10420');
    const twice = `${harness.signed({ Action: 'DeleteQueue', queueName })}&queueName=q`;
    expect(codeOf(await harness.send('POST', PATH, twice))).toBe('4000/10330');
  });

  test('bytes that are no UTF-8 are refused, not replaced', async () => {
    const anonymous = { user: 'guest', vhost: '/' };
    const harness = await start({ settings: { anonymous } });
    const body = (x: Buffer) =>
      Buffer.concat([Buffer.from('Action=DeleteQueue&queueName=q&x='), x]);
    const bytes = Buffer.from([0xc4, 0xe3]);
    expect(codeOf(await harness.send('POST', PATH, body(bytes)))).toBe('4000/10420');
    expect(codeOf(await harness.send('POST', PATH, body(Buffer.from('你'))))).toBe('0');
  });

  test('a request has 1 MB and not a byte more', async () => {
    const harness = await start();
    const text = harness.signed({ Action: 'DeleteQueue', queueName });
    // `&` between nothing and nothing is no pair, hence not signed.
    const padded = (byteCount: number) => text + '&'.repeat(byteCount - text.length);
    expect(codeOf(await harness.send('POST', PATH, padded(1_048_576)))).toBe('0');
    expect(codeOf(await harness.send('POST', PATH, padded(1_048_577)))).toBe('4000/10420');
    expect(codeOf(await harness.send('POST', PATH, padded(5_000_000)))).toBe('4000/10420');
    const failed = harness.send('POST', PATH, padded(20_000_000));
    await expect(failed).rejects.toThrow();
    expect(codeOf(await harness.send('POST', PATH, text))).toBe('0');
  });

  test('a query has at least 8 KB', async () => {
    const harness = await start();
    const answer = await harness.form(
      'DeleteQueue',
      { queueName, x: 'y'.repeat(8_000) },
      {
        method: 'GET',
      },
    );
    expect(codeOf(answer)).toBe('0');
  });

  test('a POST without a body has its parameters in the query', async () => {
    const harness = await start();
    const text = harness.signed({ Action: 'DeleteQueue', queueName });
    expect(codeOf(await harness.send('POST', `${PATH}?${text}`))).toBe('0');
  });

  test('clientRequestId comes back as the number it is', async () => {
    const harness = await start();
    const ask = (clientRequestId: string) =>
      harness.form('DeleteQueue', { queueName, clientRequestId });
    expect((await ask('18446744073709551615')).text).toContain(
      ',"clientRequestId":18446744073709551615}',
    );
    expect((await ask('0')).json['clientRequestId']).toBe(0);
    for (const other of ['01', '-1', 'x', '1}', '']) {
      expect('clientRequestId' in (await ask(other)).json).toBe(false);
    }
    const failed = await harness.form('DeleteQueue', { clientRequestId: '7' });
    expect(failed.json).toMatchObject({ code: 4000, clientRequestId: 7 });
  });

  test('request ids differ', async () => {
    const harness = await start();
    const first = await harness.form('DeleteQueue', { queueName });
    const second = await harness.form('DeleteQueue', { queueName });
    expect(first.json['requestId']).not.toBe(second.json['requestId']);
    expect(harness.calls[1]!.requestId).toBe(second.json['requestId']);
  });
});

describe('keys', () => {
  test('who has none, a wrong or an unknown one, is told so', async () => {
    const harness = await start();
    const ask = (more: Record<string, string>, secret?: string) =>
      harness.form('DeleteQueue', { queueName, ...more }, secret === undefined ? {} : { secret });
    expect(codeOf(await ask({}, 'other'))).toBe('4100/10030');
    expect(codeOf(await ask({ SecretId: 'AKIDother' }))).toBe('4100/10270');
    expect(codeOf(await ask({ SecretId: 'other' }))).toBe('4000/10450');
    expect(codeOf(await harness.send('POST', PATH, 'Action=DeleteQueue'))).toBe('4000/10390');
    const unsigned = 'Action=DeleteQueue&SecretId=AKIDtest';
    expect(codeOf(await harness.send('POST', PATH, unsigned))).toBe('4000/10390');
    expect(harness.calls).toEqual([]);
    expect(JSON.stringify(harness.log)).not.toContain(KEY.secret);
    expect(harness.log.every(({ level }) => level === 'warn')).toBe(true);
  });

  test('ten refusals in a second are logged, and how many more there were', async () => {
    const harness = await start();
    const refuse = () => harness.form('DeleteQueue', { queueName }, { secret: 'other' });
    for (let count = 0; count < 13; count += 1) await refuse();
    expect(harness.log).toHaveLength(10);
    harness.clock.advance(1_000);
    await refuse();
    await refuse();
    const reason = 'authentication failed';
    expect(harness.log.slice(10).map(({ fields }) => fields)).toEqual([
      { reason, keyId: KEY.id, remoteAddress: '127.0.0.1', omitted: 3 },
      { reason, keyId: KEY.id, remoteAddress: '127.0.0.1' },
    ]);
  });

  test('the log names the key, not what may be its secret', async () => {
    const harness = await start();
    const keyIds = () => harness.log.map(({ fields }) => (fields as { keyId?: string }).keyId);
    const long = `AKID${'x'.repeat(1_000)}`;
    await harness.form('DeleteQueue', { queueName }, { secret: 'other' });
    await harness.form('DeleteQueue', { queueName, SecretId: 'AKIDgone' });
    await harness.form('DeleteQueue', { queueName, SecretId: long });
    expect(keyIds()).toEqual([KEY.id, 'AKIDgone', long.slice(0, 64)]);
    await harness.form('DeleteQueue', { queueName, SecretId: KEY.secret });
    harness.broker.access.keys.put({ ...KEY, user: 'guest', vhost: '/', isEnabled: false });
    await harness.form('DeleteQueue', { queueName });
    expect(keyIds().at(-1)).toBe(KEY.id);
    expect(JSON.stringify(harness.log)).not.toContain(KEY.secret);
  });

  test('an id without the prefix is fine when it is known', async () => {
    const harness = await start();
    const { keys } = harness.broker.access;
    keys.put({ id: 'other', secret: KEY.secret, user: 'guest', vhost: '/', isEnabled: true });
    expect(codeOf(await harness.form('DeleteQueue', { queueName, SecretId: 'other' }))).toBe('0');
  });

  test('disabled, and with the user, the vhost or the right gone', async () => {
    const harness = await start();
    const { access } = harness.broker;
    const ask = async () => codeOf(await harness.form('DeleteQueue', { queueName }));
    const key = access.keys.find(KEY.id)!;
    access.keys.put({ ...key, isEnabled: false });
    expect(await ask()).toBe('4100/10080');
    access.keys.put({ ...key, vhost: 'gone' });
    expect(await ask()).toBe('4000/10440');
    access.keys.put(key);
    access.clearPermission('guest', '/');
    expect(await ask()).toBe('4000/10440');
    access.setPermission('guest', '/', { configure: '', write: '', read: '' });
    expect(await ask()).toBe('0');
    access.deleteUser('guest');
    expect(await ask()).toBe('4100/10270');
  });

  test('a poll whose key was revoked while it stood gets nothing', async () => {
    const calls: CmqCall[] = [];
    let givenBack = 0;
    const harness = await start({
      handlers: {
        ReceiveMessage: (call) => {
          calls.push(call);
          call.onGone = () => {
            givenBack += 1;
          };
        },
        SendMessage: (call) => calls.push(call),
      },
    });
    const { access } = harness.broker;
    const key = access.keys.find(KEY.id)!;
    const ask = async (name: string) => {
      const asked = harness.form(name, { queueName, msgBody: 'x' });
      await expect.poll(() => calls.length).toBe(1);
      return { asked, call: calls.pop()! };
    };
    const poll = await ask('ReceiveMessage');
    const send = await ask('SendMessage');
    access.keys.put({ ...key, isEnabled: false });
    poll.call.reply({ msgId: '1' });
    expect(codeOf(await poll.asked)).toBe('4100/10080');
    expect(givenBack).toBe(1);
    // What was done before is told.
    send.call.reply({ msgId: '2' });
    expect(codeOf(await send.asked)).toBe('0');
    access.keys.put(key);
    const other = await ask('ReceiveMessage');
    access.putUser('someone', {});
    other.call.reply({ msgId: '3' });
    expect(codeOf(await other.asked)).toBe('0');
  });

  test('the time of a request counts', async () => {
    const harness = await start();
    const now = Math.floor(harness.clock.wallMs() / 1_000);
    const ask = async (Timestamp: string | number) =>
      codeOf(await harness.form('DeleteQueue', { queueName, Timestamp }));
    expect(await ask(now - 300)).toBe('0');
    expect(await ask(now + 300)).toBe('0');
    expect(await ask(now - 301)).toBe('4100/10030');
    expect(await ask(now + 301)).toBe('4100/10030');
    expect(await ask('soon')).toBe('4000/10360');
    const free = await start({ settings: { timestampWindowSeconds: 0 } });
    expect(codeOf(await free.form('DeleteQueue', { queueName, Timestamp: 1 }))).toBe('0');
  });

  test('without a key only where the operator says who that is', async () => {
    const anonymous = { user: 'guest', vhost: '/' };
    const harness = await start({ settings: { anonymous } });
    const form = 'Action=DeleteQueue&queueName=q&appId=1';
    expect(codeOf(await harness.send('POST', '/', form))).toBe('0');
    // A page in someone's browser.
    const headers = { origin: 'https://example.com' };
    expect(codeOf(await harness.send('POST', '/', form, headers))).toBe('4000/10440');
    // Whoever brings a key is checked.
    expect(codeOf(await harness.form('DeleteQueue', { queueName }, { secret: 'x' }))).toBe(
      '4100/10030',
    );
  });
});

describe('calls', () => {
  test('failures of handlers become codes', async () => {
    const errors: Error[] = [
      new CmqFailure('NO_MESSAGE'),
      new CmqFailure('HANDLE_INVALID', 'too late'),
      new BrokerError('ACCESS_REFUSED', 'no'),
      new BrokerError('NOT_FOUND', 'no'),
      new BrokerError('NOT_ALLOWED', 'no'),
      new BrokerError('PRECONDITION_FAILED', 'no'),
      new BrokerError('CONTENT_TOO_LARGE', 'no'),
      new BrokerError('INTERNAL_ERROR', 'secret detail'),
      new TypeError('secret detail'),
    ];
    let error = errors[0]!;
    const fail = () => {
      throw error;
    };
    const harness = await start({ handlers: { DeleteQueue: fail, DeleteTopic: fail } });
    const codes: string[] = [];
    for (error of errors) codes.push(codeOf(await harness.form('DeleteQueue', { queueName })));
    expect(codes).toEqual([
      '7000/10200',
      '4430/10260',
      '4000/10461',
      '4440/10100',
      '4000/10440',
      '4000/10110',
      '4400/10230',
      '6000/10180',
      '6000/10180',
    ]);
    const faults = harness.log.filter(({ level }) => level === 'error');
    expect(faults).toHaveLength(2);
    error = errors[8]!;
    const answer = await harness.form('DeleteTopic', { topicName: 't' });
    expect(codeOf(answer)).toBe('6000/10050');
    expect(answer.text).not.toContain('secret detail');
    error = errors[3]!;
    expect(codeOf(await harness.form('DeleteTopic', { topicName: 't' }))).toBe('4440/10600');
  });

  test('fields of a failure are in the reply', async () => {
    const errorList = [{ code: 4430, message: 'x', receiptHandle: 'h' }];
    const harness = await start({
      handlers: { DeleteQueue: (call) => call.fail('BATCH_DELETE_PARTIAL', 'some', { errorList }) },
    });
    const { json } = await harness.form('DeleteQueue', { queueName });
    expect(json).toMatchObject({ code: 6010, message: '(10150)some', errorList });
  });

  test('replies come once, later or never', async () => {
    const calls: CmqCall[] = [];
    const harness = await start({ handlers: { ReceiveMessage: (call) => calls.push(call) } });
    const pending = harness.form('ReceiveMessage', { queueName });
    await expect.poll(() => calls.length).toBe(1);
    calls[0]!.reply({ msgId: '1' });
    calls[0]!.fail('NO_MESSAGE');
    expect((await pending).json).toMatchObject({ code: 0, msgId: '1' });
    expect(harness.log).toMatchObject([{ level: 'error', fields: { error: /second/ } }]);
  });

  test('a reply that cannot be written is a failure, and what was taken goes back', async () => {
    const backs: string[] = [];
    const harness = await start({
      handlers: {
        DeleteQueue: (call) => {
          call.onGone = () => backs.push('given back');
          const fields = {
            get tooLong(): string {
              throw new RangeError('Invalid string length');
            },
          };
          setImmediate(() => call.reply(fields));
        },
      },
    });
    const answer = await harness.form('DeleteQueue', { queueName });
    expect(codeOf(answer)).toBe('6000/10180');
    expect(backs).toEqual(['given back']);
    expect(harness.log).toMatchObject([{ level: 'error', fields: { action: 'DeleteQueue' } }]);
  });

  test('a client that goes is noticed, and gets nothing', async () => {
    let goneCount = 0;
    const calls: CmqCall[] = [];
    const harness = await start({
      handlers: {
        ReceiveMessage: (call) => {
          calls.push(call);
          call.onGone = () => {
            goneCount += 1;
          };
        },
      },
    });
    const abort = new AbortController();
    const form = harness.signed({ Action: 'ReceiveMessage', queueName });
    const failed = harness.send('POST', PATH, form, {}, abort.signal);
    await expect.poll(() => calls.length).toBe(1);
    abort.abort();
    await expect(failed).rejects.toThrow();
    await expect.poll(() => goneCount).toBe(1);
    calls[0]!.reply({ msgId: '1' });
    expect(harness.log).toEqual([]);
    // Whoever was answered has not gone.
    const answered = harness.form('ReceiveMessage', { queueName });
    await expect.poll(() => calls.length).toBe(2);
    calls[1]!.fail('NO_MESSAGE');
    expect(codeOf(await answered)).toBe('7000/10200');
    expect(goneCount).toBe(1);
  });

  test('pipelined requests are answered in their order', async () => {
    const calls: CmqCall[] = [];
    const harness = await start({ handlers: { DeleteQueue: (call) => calls.push(call) } });
    const socket = connect(harness.port, '127.0.0.1');
    let received = '';
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString();
    });
    const requests = ['a', 'b', 'c'].map((name) => {
      const form = harness.signed({ Action: 'DeleteQueue', queueName: name });
      return `POST ${PATH} HTTP/1.1\r\nHost: ${harness.host}\r\nContent-Length: ${form.length}\r\n\r\n${form}`;
    });
    socket.write(requests.join(''));
    await expect.poll(() => calls.length).toBe(3);
    for (const call of [...calls].reverse()) {
      call.reply({ name: call.parameters.text('queueName') });
    }
    await expect.poll(() => [...received.matchAll(/"name":"(.)"/g)].length).toBe(3);
    expect([...received.matchAll(/"name":"(.)"/g)].map(([, name]) => name).join('')).toBe('abc');
    socket.destroy();
  });

  test('a client found gone by the reply gives back what was taken for it', async () => {
    let goneCount = 0;
    const sockets: Socket[] = [];
    const harness = await start({
      handlers: {
        ReceiveMessage: (call) => {
          call.onGone = () => {
            goneCount += 1;
          };
          // Closed in this very turn: nobody was told of it yet.
          for (const each of sockets) each.destroy();
          call.reply({ msgId: '1' });
        },
      },
    });
    harness.onConnection((each) => sockets.push(each));
    const socket = connect(harness.port, '127.0.0.1');
    const form = harness.signed({ Action: 'ReceiveMessage', queueName });
    const head = `Host: ${harness.host}\r\nContent-Length: ${form.length}`;
    socket.write(`POST ${PATH} HTTP/1.1\r\n${head}\r\n\r\n${form}`);
    await expect.poll(() => goneCount).toBe(1);
    expect(harness.acceptor.callCounts()).toEqual([]);
    expect(harness.log).toEqual([]);
    socket.destroy();
  });

  test('a client that pipelined is gone for all of its requests', async () => {
    const calls: CmqCall[] = [];
    let goneCount = 0;
    const harness = await start({
      handlers: {
        ReceiveMessage: (call) => {
          calls.push(call);
          call.onGone = () => {
            goneCount += 1;
          };
        },
      },
    });
    const socket = connect(harness.port, '127.0.0.1');
    const form = harness.signed({ Action: 'ReceiveMessage', queueName });
    const head = `Host: ${harness.host}\r\nContent-Length: ${form.length}`;
    socket.write(`POST ${PATH} HTTP/1.1\r\n${head}\r\n\r\n${form}`.repeat(3));
    await expect.poll(() => calls.length).toBe(3);
    socket.destroy();
    await expect.poll(() => goneCount).toBe(3);
  });

  test('a client that goes before the turn of a pipelined reply did not get it', async () => {
    const calls: CmqCall[] = [];
    const gone: string[] = [];
    const harness = await start({
      handlers: {
        ReceiveMessage: (call) => {
          const name = call.parameters.text('queueName');
          calls.push(call);
          call.onGone = () => gone.push(name);
        },
      },
    });
    const socket = connect(harness.port, '127.0.0.1');
    let received = '';
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString();
    });
    const requests = ['a', 'b', 'c', 'd'].map((name) => {
      const form = harness.signed({ Action: 'ReceiveMessage', queueName: name });
      return `POST ${PATH} HTTP/1.1\r\nHost: ${harness.host}\r\nContent-Length: ${form.length}\r\n\r\n${form}`;
    });
    socket.write(requests.join(''));
    await expect.poll(() => calls.length).toBe(4);
    // Those of b and d stand behind others; that of b is sent with that of a.
    calls[1]!.reply({ msgId: '2' });
    calls[3]!.reply({ msgId: '4' });
    calls[0]!.reply({ msgId: '1' });
    await expect.poll(() => [...received.matchAll(/"msgId":"(.)"/g)].length).toBe(2);
    expect(gone).toEqual([]);
    socket.destroy();
    await expect.poll(() => gone.toSorted()).toEqual(['c', 'd']);
    expect(harness.log).toEqual([]);
  });

  test('a connection has 64 open calls and no more', async () => {
    const calls: CmqCall[] = [];
    const harness = await start({ handlers: { ReceiveMessage: (call) => calls.push(call) } });
    const socket = connect(harness.port, '127.0.0.1');
    let received = '';
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString();
    });
    const form = harness.signed({ Action: 'ReceiveMessage', queueName });
    const head = `Host: ${harness.host}\r\nContent-Length: ${form.length}`;
    socket.write(`POST ${PATH} HTTP/1.1\r\n${head}\r\n\r\n${form}`.repeat(65));
    await expect.poll(() => calls.length).toBe(64);
    for (const call of calls) call.fail('NO_MESSAGE');
    const codes = () => [...received.matchAll(/"code":(\d+)/g)].map(([, code]) => code);
    await expect.poll(() => codes().length).toBe(65);
    expect(codes().slice(-2)).toEqual(['7000', '4480']);
    socket.destroy();
  });

  test('a connection serves one request after the other', async () => {
    const harness = await start();
    for (let count = 0; count < 20; count += 1) {
      const answer = await harness.form('DeleteQueue', { queueName });
      expect(answer.headers.connection).not.toBe('close');
    }
  });

  test('too many in a second are refused', async () => {
    const harness = await start({
      settings: { requestsPerSecond: 2 },
      handlers: { DeleteQueue: (call) => call.reply({}), ListQueue: (call) => call.reply({}) },
    });
    const ask = async (action = 'DeleteQueue') => codeOf(await harness.form(action, { queueName }));
    expect([await ask(), await ask(), await ask()]).toEqual(['0', '0', '4480/10460']);
    expect(await ask('ListQueue')).toBe('0');
    harness.clock.advance(1_000);
    expect(await ask()).toBe('0');
  });

  test('rights are those of the user', async () => {
    const results: string[] = [];
    const harness = await start({
      handlers: {
        SendMessage: (call) => {
          call.authorize('queue', call.parameters.text('queueName'));
          call.reply({});
        },
        GetQueueAttributes: (call) => {
          call.authorize('queue', call.parameters.text('queueName'));
          call.reply({});
        },
      },
    });
    const patterns = { configure: '', write: '^w', read: '^r' };
    harness.broker.access.setPermission('guest', '/', patterns);
    for (const name of ['w', 'r', 'x']) {
      results.push(codeOf(await harness.form('SendMessage', { queueName: name, msgBody: 'x' })));
      results.push(codeOf(await harness.form('GetQueueAttributes', { queueName: name })));
    }
    expect(results).toEqual(['0', '0', '4000/10461', '0', '4000/10461', '4000/10461']);
  });

  test('are counted by action and code', async () => {
    const harness = await start();
    await harness.form('DeleteQueue', { queueName });
    await harness.form('DeleteQueue', { queueName });
    await harness.form('DeleteQueue');
    await harness.form('Nope');
    expect(harness.acceptor.callCounts()).toEqual([
      { action: 'DeleteQueue', code: 0, count: 2 },
      { action: 'DeleteQueue', code: 4000, count: 1 },
      { action: 'none', code: 4000, count: 1 },
    ]);
  });
});

describe('a stop', () => {
  test('ends parked polls, lets others finish and takes no more', async () => {
    const calls: CmqCall[] = [];
    let cancelled = 0;
    const harness = await start({
      closeTimeoutMs: 60_000,
      handlers: {
        ReceiveMessage: (call) => {
          calls.push(call);
          call.onGone = () => {
            cancelled += 1;
          };
        },
        SendMessage: (call) => calls.push(call),
      },
    });
    const parked = harness.form('ReceiveMessage', { queueName, pollingWaitSeconds: 30 });
    const sending = harness.form('SendMessage', { queueName, msgBody: 'x' });
    await expect.poll(() => calls.length).toBe(2);
    let isClosed = false;
    const closed = harness.acceptor.closeAll().then(() => {
      isClosed = true;
    });
    expect(codeOf(await parked)).toBe('7000/10200');
    expect(cancelled).toBe(1);
    expect(isClosed).toBe(false);
    const late = await harness.form('SendMessage', { queueName, msgBody: 'x' });
    expect(codeOf(late)).toBe('6000/10050');
    expect(late.headers.connection).toBe('close');
    calls.find(({ action }) => action === 'SendMessage')!.reply({ msgId: '1' });
    expect((await sending).json).toMatchObject({ code: 0, msgId: '1' });
    await closed;
  });

  test('does not wait for ever', async () => {
    const harness = await start({
      closeTimeoutMs: 20,
      handlers: { SendMessage: () => undefined },
    });
    const pending = harness.form('SendMessage', { queueName, msgBody: 'x' }).catch(() => 'dropped');
    await expect.poll(() => harness.calls.length).toBe(1);
    await harness.acceptor.closeAll();
    harness.close();
    expect(await pending).toBe('dropped');
  });
});

describe('API 3.0', () => {
  interface V3Options {
    readonly version?: string;
    readonly host?: string;
    readonly contentType?: string;
    readonly signedHeaders?: string;
    readonly secret?: string;
    readonly timestamp?: number;
    readonly method?: 'GET' | 'POST';
  }

  function ask(
    harness: WireHarness,
    action: string,
    body: string | Buffer,
    options: V3Options = {},
  ): Promise<Answer> {
    const { method = 'POST', contentType = 'application/json', secret = KEY.secret } = options;
    const timestamp = options.timestamp ?? Math.floor(harness.clock.wallMs() / 1_000);
    const date = new Date(timestamp * 1_000).toISOString().slice(0, 10);
    const scope = `${date}/tdmq/tc3_request`;
    const hash = (data: string | Buffer) => createHash('sha256').update(data).digest('hex');
    const mac = (key: string | Buffer, text: string) =>
      createHmac('sha256', key).update(text).digest();
    const headers = `content-type:${contentType}\nhost:${options.host ?? harness.host}\n`;
    const query = method === 'GET' ? body.toString() : '';
    const payload = method === 'GET' ? '' : body;
    const canonical = [method, '/', query, headers, 'content-type;host', hash(payload)].join('\n');
    const text = ['TC3-HMAC-SHA256', timestamp, scope, hash(canonical)].join('\n');
    const key = mac(mac(mac(`TC3${secret}`, date), 'tdmq'), 'tc3_request');
    const signature = mac(key, text).toString('hex');
    const own = {
      'content-type': contentType,
      'x-tc-action': action,
      'x-tc-version': options.version ?? '2020-02-17',
      'x-tc-timestamp': String(timestamp),
      authorization: `TC3-HMAC-SHA256 Credential=${KEY.id}/${scope}, SignedHeaders=content-type;host, Signature=${signature}`,
    };
    return method === 'GET'
      ? harness.send('GET', `/?${query}`, undefined, own)
      : harness.send('POST', '/', body, own);
  }

  const QUEUE = '{"QueueName":"q"}';

  test('both versions, each with its own names', async () => {
    const harness = await start();
    const newer = await ask(harness, 'DeleteCmqQueue', QUEUE);
    expect(newer.status).toBe(200);
    expect(newer.json).toEqual({ Response: { RequestId: expect.stringMatching(/^\d+$/) } });
    expect(harness.calls[0]).toMatchObject({ action: 'DeleteQueue', api: 3 });
    const older = await ask(harness, 'deletequeue', QUEUE, { version: '2019-03-04' });
    expect(codeOfV3(older)).toBe('ok');
    expect(codeOfV3(await ask(harness, 'DeleteQueue', QUEUE))).toBe('InvalidAction');
    expect(codeOfV3(await ask(harness, 'DeleteCmqQueue', QUEUE, { version: '2099-01-01' }))).toBe(
      'NoSuchVersion',
    );
    expect(codeOfV3(await ask(harness, 'ClearCmqQueue', QUEUE))).toBe('InvalidAction');
  });

  test('GET with a query', async () => {
    const harness = await start();
    const contentType = 'application/x-www-form-urlencoded';
    const answer = await ask(harness, 'DeleteCmqQueue', 'QueueName=q', {
      method: 'GET',
      contentType,
    });
    expect(codeOfV3(answer)).toBe('ok');
  });

  test('the host is signed with or without its port', async () => {
    const harness = await start();
    const bare = await ask(harness, 'DeleteCmqQueue', QUEUE, { host: '127.0.0.1' });
    expect(codeOfV3(bare)).toBe('ok');
    const other = await ask(harness, 'DeleteCmqQueue', QUEUE, { host: 'tdmq.example.com' });
    expect(codeOfV3(other)).toBe('AuthFailure.SignatureFailure');
  });

  test('wrong signatures, times and bodies', async () => {
    const harness = await start();
    const wrong = (body: string | Buffer, options?: V3Options) =>
      ask(harness, 'DeleteCmqQueue', body, options).then(codeOfV3);
    expect(await wrong(QUEUE, { secret: 'other' })).toBe('AuthFailure.SignatureFailure');
    expect(await wrong(QUEUE, { timestamp: 1_000 })).toBe('AuthFailure.SignatureExpire');
    expect(await wrong('{}')).toBe('MissingParameter');
    expect(await wrong('{"QueueName":""}')).toBe('InvalidParameterValue');
    expect(await wrong('{')).toBe('InvalidParameter');
    expect(await wrong('[]')).toBe('InvalidParameter');
    expect(await wrong(Buffer.from('{"QueueName":"q","x":"\xc4\xe3"}', 'latin1'))).toBe(
      'InvalidParameter',
    );
    expect(await wrong('')).toBe('InvalidParameter');
    const headers = { 'x-tc-action': 'DeleteCmqQueue' };
    expect(codeOfV3(await harness.send('POST', '/', QUEUE, headers))).toBe('MissingParameter');
    const versioned = { ...headers, 'x-tc-version': '2020-02-17' };
    expect(codeOfV3(await harness.send('POST', '/', QUEUE, versioned))).toBe('MissingParameter');
    const basic = { ...versioned, authorization: 'Basic x' };
    expect(codeOfV3(await harness.send('POST', '/', QUEUE, basic))).toBe(
      'AuthFailure.SignatureFailure',
    );
    const large = Buffer.alloc(1_048_577, 32);
    expect(codeOfV3(await harness.send('POST', '/', large, versioned))).toBe(
      'RequestSizeLimitExceeded',
    );
  });

  test('the older signature mode: a form with a version', async () => {
    const harness = await start();
    const Version = '2020-02-17';
    for (const method of ['GET', 'POST'] as const) {
      const answer = await harness.form(
        'DeleteCmqQueue',
        { QueueName: 'q', Version },
        {
          path: '/',
          method,
        },
      );
      expect(codeOfV3(answer)).toBe('ok');
    }
    const unknown = await harness.form('DeleteCmqQueue', { QueueName: 'q', Version: '1' });
    expect(codeOfV3(unknown)).toBe('NoSuchVersion');
    const unsigned = await harness.form('DeleteCmqQueue', { Version }, { secret: 'other' });
    expect(codeOfV3(unsigned)).toBe('AuthFailure.SignatureFailure');
  });
});
