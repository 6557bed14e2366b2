import { describe, expect, test } from 'vitest';
import type { FieldTable } from '../../../src/base/field-value.ts';
import { HEARTBEAT, Harness } from './amqp-harness.ts';
import { bodyFrame, frame, headerFrame, methodFrame } from './wire.ts';

const NO_ARGS: FieldTable = new Map();

describe('close (1.4.2.9)', () => {
  test('by the client: exclusive queues are gone and deliveries back before close-ok', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    await client.declare(1, 'mine', {}, { exclusive: true });
    await client.declare(1, 'shared');
    client.publish(1, '', 'shared', 'm');
    await client.consume(1, 'shared');
    await client.next('basic.deliver');
    const { queues } = harness.fixture.vhost.topology;
    client.send('connection.close', 0, [200, 'bye', 0, 0]);
    expect(queues.has('mine')).toBe(false);
    expect(queues.get('shared')!.readyCount).toBe(1);
    expect(await client.names()).toEqual(['connection.closeOk']);
    client.transport.handler!.onClosed(undefined);
    expect(harness.acceptor.connectionCount).toBe(0);
  });

  test('by the client: hanging up after close-ok is its part, and ours when it does not', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    client.send('connection.close', 0, [200, 'bye', 0, 0]);
    expect(await client.names()).toEqual(['connection.closeOk']);
    expect(client.transport.isEnded).toBe(false);
    client.send('channel.open', 1);
    expect(await client.names()).toEqual([]);
    harness.fixture.clock.advance(100);
    harness.acceptor.tick();
    expect(client.transport.isEnded).toBe(true);
    expect(client.transport.isDestroyed).toBe(false);
    expect(harness.acceptor.connectionCount).toBe(0);
  });

  test('by the client, and the process ends before it has hung up', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    client.send('connection.close', 0, [200, 'bye', 0, 0]);
    await harness.acceptor.closeAll('shutdown');
    expect(client.transport.isEnded).toBe(true);
  });

  test('a lost socket has the same effect', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    await client.declare(1, 'mine', {}, { exclusive: true });
    client.transport.handler!.onClosed(new Error('reset'));
    expect(harness.fixture.vhost.topology.queues.has('mine')).toBe(false);
    expect(harness.acceptor.connectionCount).toBe(0);
  });

  test('by the server: everything but close and close-ok is discarded', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    client.send('channel.flow', 1, [false]);
    expect((await client.next('connection.close')).fields).toMatchObject({
      replyCode: 540,
      replyText: 'NOT_IMPLEMENTED - active=false',
      failedClassId: 20,
      failedMethodId: 20,
    });
    client.send('queue.declare', 1, ['q', false, false, false, false, false, NO_ARGS]);
    client.raw(Buffer.concat([headerFrame(1, 3), bodyFrame(1, Buffer.from('abc')), HEARTBEAT]));
    expect(await client.names()).toEqual([]);
    client.send('connection.closeOk', 0);
    expect(client.transport.isEnded).toBe(true);
  });

  test('a close that crosses ours is answered', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    client.send('channel.flow', 1, [false]);
    client.send('connection.close', 0, [200, '', 0, 0]);
    expect(await client.names()).toEqual(['connection.close', 'connection.closeOk']);
    expect(client.transport.isEnded).toBe(false);
  });

  test('a peer that never answers our close is dropped', async () => {
    const harness = await Harness.open({ closeTimeoutMs: 3_000 });
    const client = await harness.connect();
    client.send('channel.flow', 1, [false]);
    harness.fixture.clock.advance(3_000);
    harness.acceptor.tick();
    expect(client.transport.isDestroyed).toBe(true);
  });

  test('closeAll says 320 and waits for the answers', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    let isDone = false;
    const done = harness.acceptor.closeAll("broker forced connection closure with reason 'stop'");
    void done.then(() => {
      isDone = true;
    });
    expect((await client.next('connection.close')).fields).toMatchObject({
      replyCode: 320,
      replyText: "CONNECTION_FORCED - broker forced connection closure with reason 'stop'",
    });
    expect(isDone).toBe(false);
    client.send('connection.closeOk', 0);
    await done;
  });
});

describe('errors that end the connection', () => {
  async function replyTo(bytes: Buffer): Promise<string> {
    const harness = await Harness.open();
    const client = await harness.connect();
    client.raw(bytes);
    const { fields } = await client.next('connection.close');
    return `${String(fields['replyCode'])} ${String(fields['replyText'])}`;
  }

  test('a method on a channel that was never opened', async () => {
    expect(await replyTo(methodFrame('basic.ack', 7, [1, false]))).toBe(
      "504 CHANNEL_ERROR - expected 'channel.open'",
    );
  });

  test('opening a channel twice', async () => {
    expect(await replyTo(methodFrame('channel.open', 1))).toBe(
      "504 CHANNEL_ERROR - second 'channel.open' seen",
    );
  });

  test('a channel number above channel_max', async () => {
    expect(await replyTo(methodFrame('channel.open', 2_048))).toMatch(/^530 NOT_ALLOWED/);
  });

  test('a channel method on channel 0', async () => {
    expect(await replyTo(methodFrame('channel.open', 0))).toMatch(/^504 CHANNEL_ERROR/);
  });

  test('a heartbeat on a channel', async () => {
    expect(await replyTo(frame(8, 1, Buffer.alloc(0)))).toMatch(/^505 UNEXPECTED_FRAME/);
  });

  test('content on channel 0', async () => {
    expect(await replyTo(headerFrame(0, 1))).toMatch(/^505 UNEXPECTED_FRAME/);
  });

  test('a body without a publish', async () => {
    expect(await replyTo(bodyFrame(1, Buffer.from('x')))).toMatch(/^505 UNEXPECTED_FRAME/);
  });

  test('an unknown method', async () => {
    const payload = Buffer.from([0, 60, 0, 99]);
    expect(await replyTo(frame(1, 1, payload))).toMatch(/^503 COMMAND_INVALID/);
  });

  test('malformed arguments', async () => {
    const payload = Buffer.from([0, 50, 0, 10, 0]);
    expect(await replyTo(frame(1, 1, payload))).toMatch(/^502 SYNTAX_ERROR/);
  });

  test('a secure-ok, which we never asked for', async () => {
    expect(await replyTo(methodFrame('connection.secureOk', 0, [Buffer.from('x')]))).toBe(
      '504 CHANNEL_ERROR - unexpected method in connection state running',
    );
  });

  test('a flow-ok, which we never asked for', async () => {
    expect(await replyTo(methodFrame('channel.flowOk', 1, [true]))).toBe(
      '503 COMMAND_INVALID - unimplemented method',
    );
  });

  test('a wrong end octet: close, then the socket is ended', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    const bad = Buffer.from(HEARTBEAT);
    bad[7] = 0;
    client.raw(bad);
    expect((await client.next('connection.close')).fields['replyCode']).toBe(501);
    expect(client.transport.isEnded).toBe(true);
  });

  test('immediate publishes', async () => {
    expect(await replyTo(methodFrame('basic.publish', 1, ['', 'q', false, true]))).toBe(
      '540 NOT_IMPLEMENTED - immediate=true',
    );
  });

  test('a prefetch in bytes', async () => {
    expect(await replyTo(methodFrame('basic.qos', 1, [10, 0, false]))).toBe(
      '540 NOT_IMPLEMENTED - prefetch_size!=0 (10)',
    );
  });
});

describe('heartbeats (4.2.7)', () => {
  test('are sent when idle, and their absence ends the connection', async () => {
    const harness = await Harness.open();
    const client = await harness.connect([1], { heartbeat: 10 });
    harness.acceptor.tick();
    harness.fixture.clock.advance(5_000);
    harness.acceptor.tick();
    expect(await client.names()).toEqual(['heartbeat']);
    client.raw(HEARTBEAT);
    for (const _ of [1, 2, 3]) {
      harness.fixture.clock.advance(5_000);
      harness.acceptor.tick();
    }
    expect(client.transport.isDestroyed).toBe(false);
    harness.fixture.clock.advance(10_000);
    harness.acceptor.tick();
    expect(client.transport.isDestroyed).toBe(true);
  });

  test('0 switches them off', async () => {
    const harness = await Harness.open();
    const client = await harness.connect([1], { heartbeat: 0 });
    harness.fixture.clock.advance(1_000_000);
    harness.acceptor.tick();
    expect(client.transport.isDestroyed).toBe(false);
    expect(await client.names()).toEqual([]);
  });
});

describe('blocked and unblocked', () => {
  test('only publishers are told, once for all alarms, and their sockets are not read', async () => {
    const harness = await Harness.open();
    const publisher = await harness.connect();
    const consumer = await harness.connect();
    const { broker } = harness.fixture;
    publisher.publish(1, '', 'nowhere', 'm');
    broker.setAlarm('memory', true);
    broker.setAlarm('disk', true);
    const [blocked, ...rest] = await publisher.all();
    expect(blocked).toMatchObject({
      name: 'connection.blocked',
      fields: { reason: 'low on memory' },
    });
    expect(rest).toEqual([]);
    expect(publisher.transport.isPaused).toBe(true);
    expect(consumer.transport.isPaused).toBe(false);
    expect(await consumer.names()).toEqual([]);
    broker.setAlarm('memory', false);
    expect(await publisher.names()).toEqual([]);
    broker.setAlarm('disk', false);
    expect(await publisher.names()).toEqual(['connection.unblocked']);
    expect(publisher.transport.isPaused).toBe(false);
  });

  test('who publishes during an alarm is blocked by that', async () => {
    const harness = await Harness.open();
    harness.fixture.broker.setAlarm('disk', true);
    const client = await harness.connect();
    client.publish(1, '', 'nowhere', 'm');
    expect(await client.names()).toEqual(['connection.blocked']);
  });

  test('a client without the capability is paused silently', async () => {
    const harness = await Harness.open();
    const client = await harness.connect([1], { capabilities: [] });
    client.publish(1, '', 'nowhere', 'm');
    harness.fixture.broker.setAlarm('disk', true);
    expect(await client.names()).toEqual([]);
    expect(client.transport.isPaused).toBe(true);
  });

  test('a commit backlog pauses publishers without a word until it is gone', async () => {
    const harness = await Harness.open();
    const publisher = await harness.connect();
    const consumer = await harness.connect();
    await publisher.declare(1, 'q', {}, { durable: true });
    const body = Buffer.alloc(1024 * 1024);
    const content: Buffer[] = [
      methodFrame('basic.publish', 1, ['', 'q', false, false]),
      headerFrame(1, body.length, 0x1000, Buffer.from([2])),
    ];
    for (let at = 0; at < body.length; at += 128 * 1024 - 8) {
      content.push(bodyFrame(1, body.subarray(at, at + 128 * 1024 - 8)));
    }
    const bytes = Buffer.concat(content);
    for (let count = 0; count < 40; count += 1) publisher.raw(bytes);
    harness.fixture.turn();
    expect(harness.fixture.broker.isOverloaded).toBe(true);
    expect(publisher.transport.isPaused).toBe(true);
    expect(consumer.transport.isPaused).toBe(false);
    expect(await publisher.names()).toEqual([]);
    expect(harness.fixture.broker.isOverloaded).toBe(false);
    expect(publisher.transport.isPaused).toBe(false);
  });

  test('silence of a socket we do not read is not held against the client', async () => {
    const harness = await Harness.open();
    const client = await harness.connect([1], { heartbeat: 2 });
    client.publish(1, '', 'nowhere', 'm');
    harness.fixture.broker.setAlarm('disk', true);
    for (let tick = 0; tick < 10; tick += 1) {
      harness.fixture.clock.advance(2_000);
      harness.acceptor.tick();
    }
    expect(client.transport.isDestroyed).toBe(false);
  });
});

describe('update-secret', () => {
  test('is accepted and keeps what is still allowed', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    await client.declare(1, 'q');
    await client.consume(1, 'q', { tag: 'c' });
    const values = [Buffer.from('new'), 'renewed'];
    await client.call('connection.updateSecret', 0, values, 'connection.updateSecretOk');
    expect(await client.names()).toEqual([]);
  });

  test('cancels consumers whose right to read is gone', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    await client.declare(1, 'q');
    await client.consume(1, 'q', { tag: 'c' });
    const rights = { configure: '.*', write: '.*', read: '^$' };
    harness.fixture.broker.access.setPermission('guest', '/', rights);
    client.send('connection.updateSecret', 0, [Buffer.from('new'), '']);
    expect(await client.names()).toEqual(['basic.cancel', 'connection.updateSecretOk']);
  });

  test('closes with 530 when the vhost is lost', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    harness.fixture.broker.access.clearPermission('guest', '/');
    client.send('connection.updateSecret', 0, [Buffer.from('new'), '']);
    expect((await client.next('connection.close')).fields['replyCode']).toBe(530);
  });
});

test('user limits on connections and channels', async () => {
  const harness = await Harness.open();
  const { access } = harness.fixture.broker;
  access.putUser('guest', { limits: { maxConnections: 1, maxChannels: 1 } });
  const client = await harness.connect([1]);
  client.send('channel.open', 2);
  expect((await client.next('connection.close')).fields['replyCode']).toBe(530);
  client.send('connection.closeOk', 0);
  await harness.connect([1]);
  await expect(harness.connect([])).rejects.toThrow(/user connection limit \(1\) is reached/);
});
