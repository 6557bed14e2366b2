/**
 * Reference 2.6 and 2.7 on the wire: what a subscriber gets, when it gets it again, and what goes
 * beyond the service (signature, dead-letter queue, functions). Schedules in full run on a virtual
 * clock in the fast suite; here are their first steps in real time.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import type { CmqClient, CmqParameters } from '../support/cmq-client.ts';
import { eventually, makeQueue, now, unique, useCmq } from '../support/cmq-test.ts';
import { GOOD_HOST, Receiver } from './push-endpoints.ts';

const functionsDir = mkdtempSync(path.join(tmpdir(), 'functions-'));
afterAll(() => rmSync(functionsDir, { recursive: true, force: true }));

const FIXTURES = path.resolve(import.meta.dirname, '../../test/fixtures/tls');
const { client, server } = useCmq({
  args: [
    ...['--push-allow', `${GOOD_HOST},localhost`],
    ...['--functions-dir', functionsDir, '--function-timeout', '5s'],
  ],
  env: { NODE_EXTRA_CA_CERTS: path.join(FIXTURES, 'ca.pem') },
});

/** Upper bound of waits that are over when it has happened. */
const PATIENCE_MS = 60_000;
/** What a busy machine may add to a pause of the schedule. */
const LATE_MS_MAX = 20_000;

const receivers: Receiver[] = [];
afterEach(async () => {
  for (const receiver of receivers.splice(0)) await receiver.close();
});

async function receive(...script: Parameters<typeof Receiver.open>): Promise<Receiver> {
  const receiver = await Receiver.open(...script);
  receivers.push(receiver);
  return receiver;
}

interface Names {
  readonly topicName: string;
  readonly subscriptionName: string;
}

/** A topic with one subscription. */
async function subscribe(
  cmq: CmqClient,
  endpoint: string,
  more: CmqParameters = {},
  topic: CmqParameters = {},
): Promise<Names> {
  const names = { topicName: unique('t'), subscriptionName: unique('s') };
  await cmq.ok('CreateTopic', { topicName: names.topicName, ...topic });
  await cmq.ok('Subscribe', { ...names, protocol: 'http', endpoint, ...more });
  return names;
}

async function publish(
  cmq: CmqClient,
  { topicName }: Names,
  msgBody: string,
  more: CmqParameters = {},
): Promise<string> {
  const { msgId } = await cmq.ok('PublishMessage', { topicName, msgBody, ...more });
  return msgId;
}

async function arrived(receiver: Receiver, count: number, timeoutMs = PATIENCE_MS): Promise<void> {
  const isDone = async () => receiver.pushes.length >= count;
  await eventually(isDone, `${count} pushes`, timeoutMs);
}

describe('a push over HTTP', () => {
  test('has the headers and the JSON body of the reference', async () => {
    const cmq = client();
    const receiver = await receive();
    const names = await subscribe(cmq, `${receiver.url}hook?a=b`);
    const before = now();
    const msgId = await publish(cmq, names, 'héllo "you"', { msgTag: ['apple', 'imac'] });
    await arrived(receiver, 1);
    const [push] = receiver.pushes;
    expect(push).toMatchObject({ method: 'POST', path: '/hook?a=b' });
    expect(push!.headers).toMatchObject({
      host: `${GOOD_HOST}:${receiver.port}`,
      'content-type': 'text/plain',
      'user-agent': 'Qcloud Notification Service Agent',
      'x-cmq-message-id': msgId,
      'x-cmq-message-tag': 'apple, imac',
      'content-length': String(push!.body.length),
    });
    expect(push!.headers['x-cmq-request-id']).toMatch(/^\S+$/);
    expect(push!.headers).not.toHaveProperty('x-cmq-signature');
    const body = JSON.parse(push!.body.toString()) as Record<string, unknown>;
    expect(Object.keys(body)).toEqual([
      'TopicOwner',
      'topicName',
      'subscriptionName',
      'msgId',
      'msgBody',
      'publishTime',
    ]);
    expect(body).toMatchObject({ ...names, msgId, msgBody: 'héllo "you"' });
    expect(typeof body['TopicOwner']).toBe('string');
    expect(body['publishTime']).toBeGreaterThanOrEqual(before);
    expect(body['publishTime']).toBeLessThanOrEqual(now());
  });

  test('simplified is the message itself', async () => {
    const cmq = client();
    const receiver = await receive();
    const names = await subscribe(cmq, receiver.url, { notifyContentFormat: 'SIMPLIFIED' });
    await publish(cmq, names, '  raw\r\nbytes ü  ');
    await arrived(receiver, 1);
    expect(receiver.bodies).toEqual(['  raw\r\nbytes ü  ']);
    expect(receiver.pushes[0]!.headers['x-cmq-message-tag']).toBe('');
  });

  test('can carry bytes that are no text, in either format', async () => {
    const cmq = client();
    const [raw, json] = [await receive(), await receive()];
    const names = await subscribe(cmq, raw.url, { notifyContentFormat: 'SIMPLIFIED' });
    const other = { ...names, subscriptionName: unique('s') };
    await cmq.ok('Subscribe', { ...other, protocol: 'http', endpoint: json.url });
    await publish(cmq, names, '/wD+', { bodyEncoding: 'base64' });
    await arrived(raw, 1);
    await arrived(json, 1);
    expect(raw.pushes[0]!.body).toEqual(Buffer.from([0xff, 0x00, 0xfe]));
    expect(JSON.parse(json.bodies[0]!)).toMatchObject({ msgBody: '/wD+', bodyEncoding: 'base64' });
  });

  test('is signed when the subscription has a secret', async () => {
    const cmq = client();
    const receiver = await receive();
    const names = await subscribe(cmq, receiver.url, { secret: 'sésame' });
    await publish(cmq, names, 'signed');
    await arrived(receiver, 1);
    const { headers, body } = receiver.pushes[0]!;
    const timestamp = String(headers['x-cmq-timestamp']);
    expect(Math.abs(Number(timestamp) - now())).toBeLessThan(60);
    const expected = createHmac('sha256', 'sésame')
      .update(`${timestamp}.${String(headers['x-cmq-message-id'])}.`)
      .update(body)
      .digest('hex');
    const given = Buffer.from(String(headers['x-cmq-signature']));
    expect(timingSafeEqual(given, Buffer.from(`v1=${expected}`))).toBe(true);
  });

  test('goes to https with a certificate for the name, and only then', async () => {
    const cmq = client();
    const read = (name: string) => readFileSync(path.join(FIXTURES, name));
    const receiver = await Receiver.openTls({ cert: read('server.pem'), key: read('server.key') });
    receivers.push(receiver);
    const named = await subscribe(cmq, `https://localhost:${receiver.port}/`);
    await publish(cmq, named, 'secret');
    await arrived(receiver, 1);
    expect(receiver.pushes[0]!.headers.host).toBe(`localhost:${receiver.port}`);
    const plain = await receive();
    const broken = await subscribe(cmq, plain.url.replace('http:', 'https:'));
    await publish(cmq, broken, 'secret');
    await eventually(async () => {
      const reply = await cmq.ok('GetSubscriptionAttributes', { ...broken });
      return reply['lastFailure'] !== undefined;
    }, 'a failure');
    expect(plain.pushes).toEqual([]);
  });

  test('is repeated after any status but 2xx, with the same id, in order', async () => {
    const cmq = client();
    const receiver = await receive([500, 302, 204]);
    const names = await subscribe(cmq, receiver.url, { notifyContentFormat: 'SIMPLIFIED' });
    await publish(cmq, names, 'first');
    await publish(cmq, names, 'second');
    await arrived(receiver, 4);
    expect(receiver.bodies).toEqual(['first', 'first', 'first', 'second']);
    const [a, b, c] = receiver.pushes;
    expect(b!.atMs - a!.atMs).toBeGreaterThanOrEqual(950);
    expect(b!.atMs - a!.atMs).toBeLessThan(1_000 + LATE_MS_MAX);
    expect(c!.atMs - b!.atMs).toBeGreaterThanOrEqual(1_950);
    expect(c!.atMs - b!.atMs).toBeLessThan(2_000 + LATE_MS_MAX);
    const ids = receiver.pushes.slice(0, 3).map(({ headers }) => headers['x-cmq-message-id']);
    expect(new Set(ids).size).toBe(1);
  });

  test('says in the attributes what went wrong last', async () => {
    const cmq = client();
    const receiver = await receive([503, 503, 503]);
    const names = await subscribe(cmq, receiver.url);
    await publish(cmq, names, 'x');
    await arrived(receiver, 1);
    const attributes = await eventually(async () => {
      const reply = await cmq.ok('GetSubscriptionAttributes', { ...names });
      return reply['lastFailure'] === undefined ? undefined : reply;
    }, 'a failure');
    expect(attributes).toMatchObject({ lastFailure: 'status 503', msgCount: 1 });
  });

  test('goes on after a restart where it was', { timeout: 4 * PATIENCE_MS }, async () => {
    const cmq = client();
    const receiver = await receive([500, 500]);
    const names = await subscribe(cmq, receiver.url, { notifyContentFormat: 'SIMPLIFIED' });
    await publish(cmq, names, 'first');
    await publish(cmq, names, 'second');
    await arrived(receiver, 2);
    await server().kill();
    await server().restart();
    // An attempt whose end was not on disk yet is repeated after its lease of 30 s.
    await arrived(receiver, 4, 30_000 + PATIENCE_MS);
    expect(receiver.bodies).toEqual(['first', 'first', 'first', 'second']);
  });
});

describe('a function of the directory', () => {
  function write(name: string, body: string): void {
    const text = `export const main_handler = async (event, context) => { ${body} };\n`;
    writeFileSync(path.join(functionsDir, `${name}.mjs`), text);
  }

  test('gets the event of the reference', async () => {
    const cmq = client();
    const name = unique('record');
    const file = path.join(functionsDir, `${name}.json`);
    write(
      name,
      `const { writeFileSync, renameSync } = await import('node:fs');
       writeFileSync(${JSON.stringify(`${file}.new`)}, JSON.stringify(event));
       renameSync(${JSON.stringify(`${file}.new`)}, ${JSON.stringify(file)});`,
    );
    const names = await subscribe(cmq, `local:${name}`, { protocol: 'function' });
    const msgId = await publish(cmq, names, 'héllo', { msgTag: ['a', 'b'] });
    const event = await eventually(async () => {
      try {
        return JSON.parse(readFileSync(file, 'utf8')) as { Records: { CMQ: object }[] };
      } catch {
        return undefined;
      }
    }, 'a call');
    expect(event).toEqual({
      Records: [
        {
          CMQ: {
            type: 'topic',
            topicOwner: expect.anything() as unknown,
            ...names,
            publishTime: expect.stringMatching(
              /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
            ) as unknown,
            msgId,
            requestId: expect.stringMatching(/^\S+$/) as unknown,
            msgBody: 'héllo',
            msgTag: 'a,b',
          },
        },
      ],
    });
  });

  test('gets the event also behind a URL', async () => {
    const cmq = client();
    const receiver = await receive();
    const names = await subscribe(cmq, receiver.url, { protocol: 'function' });
    const msgId = await publish(cmq, names, 'hello');
    await arrived(receiver, 1);
    expect(JSON.parse(receiver.bodies[0]!)).toMatchObject({
      Records: [{ CMQ: { type: 'topic', ...names, msgId, msgBody: 'hello', msgTag: '' } }],
    });
  });

  test.each([
    ['throws', 'throw new Error("no");', 'Error: no'],
    ['never ends', 'for (;;);', 'no result within 5 s'],
    [
      'eats memory',
      'const all = []; for (let i = 0; ; i += 1) all.push(i + 0.5);',
      'out of memory',
    ],
    ['eats buffers', 'const all = []; for (;;) all.push(Buffer.alloc(1e6, 1));', 'out of memory'],
    ['exits', 'process.exit(1);', 'ended (1)'],
    ['kills', 'process.abort();', 'ended (SIGABRT)'],
  ])('that %s harms nobody and is called again', async (what, body, detail) => {
    const cmq = client();
    const good = await receive();
    const name = unique(what.replaceAll(' ', '-'));
    write(name, body);
    const names = await subscribe(cmq, `local:${name}`, { protocol: 'function' });
    const beside = { ...names, subscriptionName: unique('s') };
    await cmq.ok('Subscribe', { ...beside, protocol: 'http', endpoint: good.url });
    const { pid } = server();
    await publish(cmq, names, 'one');
    await publish(cmq, names, 'two');
    await arrived(good, 2);
    const attributes = await eventually(async () => {
      const reply = await cmq.ok('GetSubscriptionAttributes', { ...names });
      // On a busy machine one attempt may run out of time before it has done its harm.
      return Number(reply['notifyCount']) >= 2 && reply['lastFailure'] === detail
        ? reply
        : undefined;
    }, `two attempts, one of them: ${detail}`);
    expect(attributes!['msgCount']).toBe(2);
    expect(server().pid).toBe(pid);
    expect(server().isRunning).toBe(true);
    await cmq.ok('Unsubscribe', { ...names });
  });

  test('does not outlive the gateway, however that ends', {
    timeout: 4 * PATIENCE_MS,
  }, async () => {
    const cmq = client();
    const name = unique('spin');
    const file = path.join(functionsDir, `${name}.pid`);
    write(
      name,
      `const { writeFileSync } = await import('node:fs');
       writeFileSync(${JSON.stringify(file)}, String(process.pid));
       for (;;);`,
    );
    const names = await subscribe(cmq, `local:${name}`, { protocol: 'function' });
    await publish(cmq, names, 'x');
    const pidOf = () => (existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0);
    const pid = await eventually(async () => pidOf(), 'a call');
    await server().kill();
    // A dead process that nobody has reaped yet has no command line any more.
    const isAlive = () => {
      const line = `/proc/${pid}/cmdline`;
      return existsSync(line) && readFileSync(line).length > 0;
    };
    await eventually(async () => !isAlive(), 'the end of the function');
    write(name, '');
    await server().restart();
    const again = client();
    await eventually(
      async () => {
        const reply = await again.ok('GetSubscriptionAttributes', { ...names });
        return reply['msgCount'] === 0;
      },
      'the message again',
      30_000 + PATIENCE_MS,
    );
  });

  test('cannot be one outside of it', async () => {
    const cmq = client();
    const names = { topicName: unique('t'), subscriptionName: unique('s') };
    await cmq.ok('CreateTopic', { topicName: names.topicName });
    for (const endpoint of ['local:../x', 'local:/etc/x', 'local:a/b', 'local:', 'local:x.mjs']) {
      const reply = await cmq.call('Subscribe', { ...names, protocol: 'function', endpoint });
      expect(reply.code, endpoint).toBe(4000);
    }
  });
});

test.concurrent(
  'a message that is given up goes to the dead-letter queue of its subscription',
  async () => {
    const cmq = client();
    const deadLetterQueueName = await makeQueue(cmq);
    const receiver = await Receiver.open(Array.from({ length: 4 }, () => 500));
    const names = await subscribe(cmq, receiver.url, {
      notifyStrategy: 'BACKOFF_RETRY',
      notifyContentFormat: 'SIMPLIFIED',
      deadLetterQueueName,
    });
    await publish(cmq, names, 'unwanted');
    await publish(cmq, names, 'wanted');
    expect(await deadLetter(cmq, deadLetterQueueName)).toBe('unwanted');
    await arrived(receiver, 5, PATIENCE_MS);
    expect(receiver.bodies).toEqual([...Array.from({ length: 4 }, () => 'unwanted'), 'wanted']);
    const times = receiver.pushes.slice(0, 4).map(({ atMs }) => atMs);
    expectBackoff(times);
    await receiver.close();
  },
  5 * PATIENCE_MS,
);

test.concurrent(
  'S17: a function that throws is called on schedule, then its message is parked',
  async () => {
    const cmq = client();
    const deadLetterQueueName = await makeQueue(cmq);
    const name = unique('refuses');
    const calls = path.join(functionsDir, `${name}.txt`);
    writeFileSync(
      path.join(functionsDir, `${name}.mjs`),
      `import { appendFileSync } from 'node:fs';
     export const main_handler = async ({ Records: [{ CMQ }] }) => {
       appendFileSync(${JSON.stringify(calls)}, Date.now() + ' ' + CMQ.msgBody + '\\n');
       if (CMQ.msgBody === 'unwanted') throw new Error('no');
     };\n`,
    );
    const names = await subscribe(cmq, `local:${name}`, {
      protocol: 'function',
      notifyStrategy: 'BACKOFF_RETRY',
      filterTag: ['order'],
      deadLetterQueueName,
    });
    await publish(cmq, names, 'of no interest', { msgTag: ['other'] });
    await publish(cmq, names, 'unwanted', { msgTag: ['order'] });
    await publish(cmq, names, 'wanted', { msgTag: ['order'] });
    expect(await deadLetter(cmq, deadLetterQueueName)).toBe('unwanted');
    const lines = await eventually(
      async () => {
        const all = readFileSync(calls, 'utf8').trim().split('\n');
        return all.length === 5 ? all : undefined;
      },
      'five calls',
      PATIENCE_MS,
    );
    const bodies = lines!.map((line) => line.slice(line.indexOf(' ') + 1));
    expect(bodies).toEqual([...Array.from({ length: 4 }, () => 'unwanted'), 'wanted']);
    expectBackoff(lines!.slice(0, 4).map((line) => Number.parseInt(line, 10)));
  },
  5 * PATIENCE_MS,
);

/** The body of the dead letter that comes after the last attempt. */
async function deadLetter(cmq: CmqClient, queueName: string): Promise<string> {
  const take = async (): Promise<string | undefined> => {
    const reply = await cmq.call('ReceiveMessage', { queueName, pollingWaitSeconds: 10 });
    return reply.code === 0 ? reply.msgBody : undefined;
  };
  return (await eventually(take, 'a dead letter', 2 * PATIENCE_MS))!;
}

/** Attempts 10 to 20 s apart, and what a busy machine adds. */
function expectBackoff(times: readonly number[]): void {
  for (const [at, ms] of times.slice(1).entries()) {
    expect(ms - times[at]!).toBeGreaterThanOrEqual(9_500);
    expect(ms - times[at]!).toBeLessThan(20_000 + LATE_MS_MAX);
  }
}
