import { describe, expect, test } from 'vitest';
import type { FieldTable } from '../../../src/base/field-value.ts';
import { Harness, PROTOCOL_HEADER, type TestClient } from './amqp-harness.ts';
import { frame, methodFrame } from './wire.ts';

function plain(user: string, password: string): Buffer {
  return Buffer.from(`\0${user}\0${password}`);
}

const CLOSE_ON_REFUSAL: FieldTable = new Map([
  ['capabilities', new Map([['authentication_failure_close', true]])],
]);

async function started(harness: Harness, peer = {}): Promise<TestClient> {
  const client = harness.accept(peer);
  client.raw(PROTOCOL_HEADER);
  await client.next('connection.start');
  return client;
}

async function tuned(harness: Harness): Promise<TestClient> {
  const client = await started(harness);
  client.send('connection.startOk', 0, [new Map(), 'PLAIN', plain('guest', 'guest'), 'en_US']);
  await harness.until(() => client.transport.received.length > 0);
  await client.next('connection.tune');
  return client;
}

describe('protocol header (4.2.2)', () => {
  test('answers ours with connection.start and all capabilities', async () => {
    const harness = await Harness.open({ product: 'P', version: '1.2.3' });
    const client = harness.accept();
    client.raw(PROTOCOL_HEADER);
    const { fields } = await client.next('connection.start');
    expect([fields['versionMajor'], fields['versionMinor']]).toEqual([0, 9]);
    expect(String(fields['mechanisms'])).toBe('PLAIN AMQPLAIN');
    expect(String(fields['locales'])).toBe('en_US');
    const properties = fields['serverProperties'] as FieldTable;
    expect(properties.get('product')).toBe('P');
    expect(properties.get('version')).toBe('1.2.3');
    expect([...(properties.get('capabilities') as FieldTable)]).toEqual(
      [
        'publisher_confirms',
        'exchange_exchange_bindings',
        'basic.nack',
        'consumer_cancel_notify',
        'connection.blocked',
        'consumer_priorities',
        'authentication_failure_close',
        'per_consumer_qos',
        'direct_reply_to',
      ].map((name) => [name, true]),
    );
  });

  test.each(['AMQP\x00\x01\x00\x00', 'GET / HTTP/1.1', 'AMQP\x03\x01\x00\x00'])(
    'answers a foreign header with its own and closes (%#)',
    async (header) => {
      const harness = await Harness.open();
      const client = harness.accept();
      client.raw(Buffer.from(header, 'latin1'));
      expect(client.transport.received).toEqual(PROTOCOL_HEADER);
      expect(client.transport.isEnded).toBe(true);
      expect(harness.acceptor.connectionCount).toBe(0);
    },
  );
});

describe('login (1.4.2.2)', () => {
  test('PLAIN and AMQPLAIN', async () => {
    const harness = await Harness.open();
    await tuned(harness);
    const client = await started(harness);
    const response = Buffer.from('\x05LOGINS\0\0\0\x05guest\x08PASSWORDS\0\0\0\x05guest', 'latin1');
    client.send('connection.startOk', 0, [new Map(), 'AMQPLAIN', response, 'en_US']);
    await harness.until(() => client.transport.received.length > 0);
    const { fields } = await client.next('connection.tune');
    expect(fields).toEqual({ channelMax: 2047, frameMax: 131_072, heartbeat: 60 });
  });

  test('a wrong password is answered with 403 and the full sentence when asked for', async () => {
    const harness = await Harness.open();
    const client = await started(harness);
    client.send('connection.startOk', 0, [
      CLOSE_ON_REFUSAL,
      'PLAIN',
      plain('guest', 'nope'),
      'en_US',
    ]);
    await harness.until(() => client.transport.received.length > 0);
    const { fields } = await client.next('connection.close');
    expect(fields).toMatchObject({
      replyCode: 403,
      replyText:
        'ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. ' +
        'For details see the broker logfile.',
    });
    client.send('connection.closeOk', 0);
    expect(client.transport.isEnded).toBe(true);
  });

  test('without the capability the socket is dropped', async () => {
    const harness = await Harness.open();
    const client = await started(harness);
    client.send('connection.startOk', 0, [new Map(), 'PLAIN', plain('guest', 'nope'), 'en_US']);
    await harness.until(() => client.transport.isDestroyed);
    expect(client.transport.received.length).toBe(0);
  });

  test('guest may log in from this machine only', async () => {
    const harness = await Harness.open();
    const client = await started(harness, { isLoopback: false, remoteAddress: '10.0.0.9' });
    client.send('connection.startOk', 0, [
      CLOSE_ON_REFUSAL,
      'PLAIN',
      plain('guest', 'guest'),
      'en_US',
    ]);
    await harness.until(() => client.transport.received.length > 0);
    expect((await client.next('connection.close')).fields['replyCode']).toBe(403);
  });

  test('EXTERNAL takes the name of the verified certificate', async () => {
    const harness = await Harness.open({ mechanisms: ['EXTERNAL'] });
    const good = await started(harness, { certificateSubject: 'guest' });
    good.send('connection.startOk', 0, [new Map(), 'EXTERNAL', Buffer.from(''), 'en_US']);
    await good.next('connection.tune');
    const other = await started(harness, { certificateSubject: 'guest' });
    other.send('connection.startOk', 0, [new Map(), 'EXTERNAL', Buffer.from('root'), 'en_US']);
    expect(other.transport.isDestroyed).toBe(true);
    const none = await started(harness);
    none.send('connection.startOk', 0, [new Map(), 'EXTERNAL', Buffer.from('guest'), 'en_US']);
    expect(none.transport.isDestroyed).toBe(true);
  });

  test('ANONYMOUS only when it is offered', async () => {
    const off = await Harness.open();
    const refused = await started(off);
    refused.send('connection.startOk', 0, [new Map(), 'ANONYMOUS', Buffer.from(''), 'en_US']);
    expect(refused.transport.isDestroyed).toBe(true);
    const on = await Harness.open({ mechanisms: ['PLAIN', 'ANONYMOUS'] });
    const client = await started(on);
    client.send('connection.startOk', 0, [new Map(), 'ANONYMOUS', Buffer.from(''), 'en_US']);
    await client.next('connection.tune');
  });

  test('frames sent while the login is checked wait for it', async () => {
    const harness = await Harness.open();
    const client = await started(harness);
    client.raw(
      Buffer.concat([
        methodFrame('connection.startOk', 0, [
          new Map(),
          'PLAIN',
          plain('guest', 'guest'),
          'en_US',
        ]),
        methodFrame('connection.tuneOk', 0, [100, 131_072, 0]),
        methodFrame('connection.open', 0, ['/']),
      ]),
    );
    await harness.until(() => client.transport.received.length > 0);
    expect(await client.names()).toEqual(['connection.tune', 'connection.openOk']);
  });

  test('a method out of order drops the socket', async () => {
    const harness = await Harness.open();
    const client = await started(harness);
    client.send('connection.open', 0, ['/']);
    expect(client.transport.isDestroyed).toBe(true);
  });

  test('frames above 8 KiB before login drop the socket', async () => {
    const harness = await Harness.open();
    const client = await started(harness);
    client.raw(frame(1, 0, Buffer.alloc(9_000)));
    expect(client.transport.isDestroyed).toBe(true);
  });
});

describe('tune (1.4.2.6)', () => {
  test.each([
    ['frame_max above ours', [2047, 131_073, 0]],
    ['frame_max without limit', [2047, 0, 0]],
    ['frame_max below 4096', [2047, 4_095, 0]],
    ['channel_max above ours', [2048, 131_072, 0]],
    ['channel_max without limit', [0, 131_072, 0]],
  ])('%s is refused with 530', async (_, values) => {
    const harness = await Harness.open();
    const client = await tuned(harness);
    client.send('connection.tuneOk', 0, values);
    expect((await client.next('connection.close')).fields['replyCode']).toBe(530);
  });

  test('accepts frame_max 4096 and splits bodies to it', async () => {
    const harness = await Harness.open();
    const client = await tuned(harness);
    client.send('connection.tuneOk', 0, [10, 4_096, 0]);
    await client.call('connection.open', 0, ['/'], 'connection.openOk');
    await client.call('channel.open', 1, [], 'channel.openOk');
    await client.declare(1, 'q');
    harness.fixture.publish('', 'q', 'x'.repeat(10_000));
    const got = await client.call('basic.get', 1, ['q', true], 'basic.getOk');
    expect(got.body!.toString()).toBe('x'.repeat(10_000));
  });
});

describe('open (1.4.2.7)', () => {
  async function opening(harness: Harness, vhost: string): Promise<string> {
    const client = await tuned(harness);
    client.send('connection.tuneOk', 0, [2047, 131_072, 0]);
    client.send('connection.open', 0, [vhost]);
    const { fields } = await client.next('connection.close');
    return `${String(fields['replyCode'])} ${String(fields['replyText'])}`;
  }

  test('an unknown vhost', async () => {
    const harness = await Harness.open();
    expect(await opening(harness, 'nope')).toBe('530 NOT_ALLOWED - vhost nope not found');
  });

  test('a vhost without permissions', async () => {
    const harness = await Harness.open();
    harness.fixture.broker.addVHost('other');
    expect(await opening(harness, 'other')).toBe(
      "530 NOT_ALLOWED - access to vhost 'other' refused for user 'guest'",
    );
  });
});

test('a peer that never logs in is dropped after the handshake timeout', async () => {
  const harness = await Harness.open();
  const client = harness.accept();
  harness.fixture.clock.advance(9_000);
  harness.acceptor.tick();
  expect(client.transport.isDestroyed).toBe(false);
  harness.fixture.clock.advance(1_000);
  harness.acceptor.tick();
  expect(client.transport.isDestroyed).toBe(true);
  expect(harness.acceptor.connectionCount).toBe(0);
});
