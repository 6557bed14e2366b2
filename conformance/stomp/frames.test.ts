/** Sentences of STOMP 1.2, frame by frame over TCP. */
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ServerProcess } from '../support/server-process.ts';
import { type Wire, Wires } from './wire.ts';

let server: ServerProcess;
const wires = new Wires(() => server);

beforeAll(async () => {
  server = await ServerProcess.start({ args: ['--stomp-port', '0'] });
});

afterEach(() => wires.destroyAll());

afterAll(async () => {
  const exit = await server.stop();
  expect(exit.code).toBe(0);
  expect(server.errors).toEqual([]);
  await server.dispose();
});

const newQueue = (): string => `/queue/q${randomBytes(5).toString('hex')}`;

/** A frame of these headers, in order. */
function frame(command: string, headers: readonly string[] = [], body = ''): string {
  return `${[command, ...headers].join('\n')}\n\n${body}\0`;
}

function send(wire: Wire, ...frames: readonly string[]): void {
  wire.socket.write(frames.join(''));
}

/** Receipt of the last of these frames, sent behind the others. */
async function done(wire: Wire, ...frames: readonly string[]): Promise<void> {
  send(wire, ...frames, frame('BEGIN', ['transaction:sync', 'receipt:sync']));
  await wire.until(/RECEIPT\nreceipt-id:sync\n\n\0/);
  send(wire, frame('ABORT', ['transaction:sync']));
}

/** Headers of the first MESSAGE, by name. */
async function message(wire: Wire): Promise<Map<string, string>> {
  const text = await wire.until(/MESSAGE\n[^]*?\n\n[^]*?\0/);
  const head = /MESSAGE\n([^]*?)\n\n/.exec(text)![1]!;
  const pairs = head.split('\n').map((line) => {
    const at = line.indexOf(':');
    return [line.slice(0, at), line.slice(at + 1)] as const;
  });
  return new Map(pairs);
}

describe('CONNECT', () => {
  const connect = (...headers: string[]) =>
    frame('CONNECT', ['login:guest', 'passcode:guest', ...headers]);

  test('without accept-version is 1.0', async () => {
    const wire = await wires.open();
    send(wire, connect());
    await wire.until(/^CONNECTED\nversion:1\.0\n/);
  });

  test.each([
    ['no version in common', ['accept-version:2.0,3.1']],
    ['a vhost that is not there', ['accept-version:1.2', 'host:nowhere']],
    ['a heart-beat that is none', ['accept-version:1.2', 'heart-beat:1000']],
    ['a heart-beat below zero', ['accept-version:1.2', 'heart-beat:-1,0']],
  ])('%s: ERROR with the versions, and the end', async (_what, headers) => {
    const wire = await wires.open();
    send(wire, connect(...headers));
    await wire.untilClosed();
    expect(wire.text).toMatch(/^ERROR\nmessage:[^]+\nversion:1\.0,1\.1,1\.2\n/);
  });

  test('may name the vhost', async () => {
    const wire = await wires.open();
    send(wire, connect('accept-version:1.2', 'host:/'));
    await wire.until(/^CONNECTED\nversion:1\.2\nsession:[^\n]+\nserver:[^\n]+\n/);
  });

  test('comes once', async () => {
    const wire = await wires.login();
    send(wire, connect('accept-version:1.2'));
    await wire.untilClosed();
    expect(wire.text).toMatch(/^ERROR\n/);
  });
});

describe('headers', () => {
  test('the first of a name counts, values keep their spaces, escapes are undone', async () => {
    const queue = newQueue();
    const wire = await wires.login();
    send(
      wire,
      frame('SUBSCRIBE', ['id:0', `destination:${queue}`]),
      frame('SEND', [
        `destination:${queue}`,
        'destination:/queue/another',
        'foo: spaced ',
        'foo:second',
        'a\\cb:x\\ny\\\\z\\r',
      ]),
    );
    const headers = await message(wire);
    expect(headers.get('foo')).toBe(' spaced ');
    expect(headers.get('a\\cb')).toBe('x\\ny\\\\z\\r');
    expect(headers.get('destination')).toBe(queue);
  });

  test.each([['\\t'], ['\\x'], ['\\']])('an undefined escape is fatal: %s', async (escape) => {
    const wire = await wires.login();
    send(wire, frame('SEND', ['destination:/queue/a', `foo:a${escape}`]));
    await wire.untilClosed();
    expect(wire.text).toMatch(/^ERROR\n/);
  });

  test('a header without a colon is fatal', async () => {
    const wire = await wires.login();
    send(wire, frame('SEND', ['destination:/queue/a', 'nothing']));
    await wire.untilClosed();
    expect(wire.text).toMatch(/^ERROR\n/);
  });
});

describe('the body', () => {
  test('has content-length bytes, and NUL must follow', async () => {
    const queue = newQueue();
    const wire = await wires.login();
    send(
      wire,
      frame('SUBSCRIBE', ['id:0', `destination:${queue}`]),
      frame('SEND', [`destination:${queue}`, 'content-length:5', 'content-type:text/x'], 'a\0b\0c'),
    );
    await wire.until(/\ncontent-length:5\n([^]*\n)?\na\0b\0c\0/);
    expect((await message(wire)).get('content-type')).toBe('text/x');
    wire.text = '';
    send(wire, frame('SEND', [`destination:${queue}`, 'content-length:2'], 'abc'));
    await wire.untilClosed();
    expect(wire.text).toMatch(/^ERROR\n/);
  });

  test.each(['-1', 'x', '1e3', ''])('content-length %s is fatal', async (length) => {
    const wire = await wires.login();
    send(wire, frame('SEND', ['destination:/queue/a', `content-length:${length}`], 'abc'));
    await wire.untilClosed();
    expect(wire.text).toMatch(/^ERROR\n/);
  });
});

describe('receipts', () => {
  test('come for every frame that asks, in order', async () => {
    const queue = newQueue();
    const wire = await wires.login();
    send(
      wire,
      frame('SUBSCRIBE', ['id:0', `destination:${queue}`, 'ack:client', 'receipt:r1']),
      frame('SEND', [`destination:${queue}`, 'receipt:r2'], 'x'),
    );
    const ack = (await message(wire)).get('ack')!;
    send(
      wire,
      frame('NACK', [`id:${ack}`, 'requeue:false', 'receipt:r3']),
      frame('BEGIN', ['transaction:t', 'receipt:r4']),
      frame('COMMIT', ['transaction:t', 'receipt:r5']),
      frame('BEGIN', ['transaction:t', 'receipt:r6']),
      frame('ABORT', ['transaction:t', 'receipt:r7']),
      frame('UNSUBSCRIBE', ['id:0', 'receipt:r8']),
      frame('DISCONNECT', ['receipt:r9']),
      frame('SEND', [`destination:${queue}`, 'receipt:r10'], 'too late'),
    );
    await wire.untilClosed();
    const ids = [...wire.text.matchAll(/RECEIPT\nreceipt-id:r(\d+)\n\n\0/g)].map(([, id]) => id);
    expect(ids).toEqual(['1', '2', '3', '4', '5', '6', '7', '8', '9']);
  });
});

describe('MESSAGE', () => {
  test('has destination, id, subscription, and what to acknowledge when that is due', async () => {
    const queue = newQueue();
    const wire = await wires.login();
    send(
      wire,
      frame('SUBSCRIBE', ['id:a:b', `destination:${queue}`, 'ack:client-individual']),
      frame('SEND', [`destination:${queue}`, 'mine:1'], 'x'),
    );
    const headers = await message(wire);
    expect(headers.get('subscription')).toBe('a\\cb');
    expect(headers.get('destination')).toBe(queue);
    expect(headers.get('mine')).toBe('1');
    expect(headers.get('message-id')).not.toBe('');
    expect(headers.get('ack')).not.toBe('');
    const other = await wires.login();
    send(
      other,
      frame('SUBSCRIBE', ['id:0', `destination:${queue}x`]),
      frame('SEND', [`destination:${queue}x`], 'y'),
    );
    expect((await message(other)).has('ack')).toBe(false);
  });

  test('ends with UNSUBSCRIBE', async () => {
    const queue = newQueue();
    const wire = await wires.login();
    await done(
      wire,
      frame('SUBSCRIBE', ['id:0', `destination:${queue}`]),
      frame('UNSUBSCRIBE', ['id:0']),
      frame('SEND', [`destination:${queue}`], 'x'),
    );
    expect(wire.text).not.toContain('MESSAGE');
  });
});

describe('transactions', () => {
  test('that were not committed are undone by DISCONNECT', async () => {
    const queue = newQueue();
    const wire = await wires.login();
    send(
      wire,
      frame('BEGIN', ['transaction:t']),
      frame('SEND', [`destination:${queue}`, 'transaction:t'], 'never'),
      frame('DISCONNECT', ['receipt:bye']),
    );
    await wire.untilClosed();
    const other = await wires.login();
    send(
      other,
      frame('SUBSCRIBE', ['id:0', `destination:${queue}`]),
      frame('SEND', [`destination:${queue}`], 'now'),
    );
    await other.until(/MESSAGE\n[^]*\n\nnow\0/);
    expect(other.text).not.toContain('never');
  });
});

describe('ERROR', () => {
  test.each([
    ['an unknown command', frame('PUBLISH', ['receipt:r', 'destination:/queue/a'])],
    ['SEND without destination', frame('SEND', ['receipt:r'], 'x')],
    ['SEND to nothing known', frame('SEND', ['receipt:r', 'destination:/exchange/none-such'], 'x')],
    [
      'SEND in no transaction',
      frame('SEND', ['receipt:r', 'destination:/queue/a', 'transaction:t']),
    ],
    ['SUBSCRIBE without destination', frame('SUBSCRIBE', ['receipt:r', 'id:0'])],
    [
      'an ack mode that is none',
      frame('SUBSCRIBE', ['receipt:r', 'id:0', 'destination:/queue/a', 'ack:x']),
    ],
    ['UNSUBSCRIBE without id', frame('UNSUBSCRIBE', ['receipt:r'])],
    ['UNSUBSCRIBE of no subscription', frame('UNSUBSCRIBE', ['receipt:r', 'id:0'])],
    ['ACK without id', frame('ACK', ['receipt:r'])],
    ['ACK of nothing', frame('ACK', ['receipt:r', 'id:1'])],
    ['NACK of nothing', frame('NACK', ['receipt:r', 'id:1'])],
    ['BEGIN without transaction', frame('BEGIN', ['receipt:r'])],
    ['COMMIT of no transaction', frame('COMMIT', ['receipt:r', 'transaction:t'])],
    ['ABORT of no transaction', frame('ABORT', ['receipt:r', 'transaction:t'])],
  ])('answers %s, names the frame and closes', async (_what, wrong) => {
    const queue = newQueue();
    const wire = await wires.login();
    send(wire, wrong, frame('SEND', [`destination:${queue}`], 'behind'));
    await wire.untilClosed();
    expect(wire.text).toMatch(/^ERROR\nmessage:[^\n]+\n([^]*\n)?receipt-id:r\n[^]*\n\n[^]+\0$/);
    const other = await wires.login();
    await done(other, frame('SUBSCRIBE', ['id:0', `destination:${queue}`]));
    expect(other.text).not.toContain('MESSAGE');
  });

  test.each([
    ['a subscription id in use', frame('SUBSCRIBE', ['id:0', 'destination:/queue/b'])],
    ['a transaction that began', frame('BEGIN', ['transaction:t'])],
  ])('answers %s', async (_what, again) => {
    const wire = await wires.login();
    await done(
      wire,
      frame('SUBSCRIBE', ['id:0', 'destination:/queue/a']),
      frame('BEGIN', ['transaction:t']),
    );
    wire.text = '';
    send(wire, again);
    await wire.untilClosed();
    expect(wire.text).toMatch(/^ERROR\n/);
  });
});
