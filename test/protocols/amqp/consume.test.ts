import { describe, expect, test } from 'vitest';
import type { FieldTable } from '../../../src/base/field-value.ts';
import { Harness, PROTOCOL_HEADER, type TestClient } from './amqp-harness.ts';
import { methodFrame } from './wire.ts';

const NO_ARGS: FieldTable = new Map();

async function refusal(client: TestClient): Promise<string> {
  const { fields } = await client.next('channel.close');
  client.send('channel.closeOk', 1);
  await client.call('channel.open', 1, [], 'channel.openOk');
  return `${String(fields['replyCode'])} ${String(fields['replyText'])}`;
}

async function withQueue(bodies: readonly string[] = []): Promise<[Harness, TestClient]> {
  const harness = await Harness.open();
  const client = await harness.connect();
  await client.declare(1, 'q');
  for (const body of bodies) harness.fixture.publish('', 'q', body);
  return [harness, client];
}

async function tags(client: TestClient): Promise<unknown[]> {
  return (await client.all())
    .filter(({ name }) => name === 'basic.deliver')
    .map(({ fields }) => fields['deliveryTag']);
}

describe('consume and cancel (1.8.3.3-6)', () => {
  test('consume-ok comes before the first delivery', async () => {
    const [, client] = await withQueue(['1', '2']);
    client.send('basic.consume', 1, ['q', 'c', false, true, false, false, NO_ARGS]);
    const [ok, first, second] = await client.all();
    expect(ok).toMatchObject({ name: 'basic.consumeOk', fields: { consumerTag: 'c' } });
    expect(first).toMatchObject({
      name: 'basic.deliver',
      fields: {
        consumerTag: 'c',
        deliveryTag: 1,
        redelivered: false,
        exchange: '',
        routingKey: 'q',
      },
    });
    expect(second!.fields['deliveryTag']).toBe(2);
    expect([first!.body!.toString(), second!.body!.toString()]).toEqual(['1', '2']);
  });

  test('tags are made up when none is given', async () => {
    const [, client] = await withQueue();
    expect(await client.consume(1, 'q')).toMatch(/^amq\.ctag-[\w-]{22}$/);
  });

  test('a tag in use ends the connection with 530', async () => {
    const [, client] = await withQueue();
    await client.consume(1, 'q', { tag: 'c' });
    client.send('basic.consume', 1, ['q', 'c', false, false, false, false, NO_ARGS]);
    expect((await client.next('connection.close')).fields).toMatchObject({
      replyCode: 530,
      replyText: "NOT_ALLOWED - attempt to reuse consumer tag 'c'",
    });
  });

  test('no delivery follows cancel-ok, and what was delivered stays unacked', async () => {
    const [harness, client] = await withQueue(['1']);
    await client.consume(1, 'q', { tag: 'c' });
    await client.next('basic.deliver');
    await client.call('basic.cancel', 1, ['c', false], 'basic.cancelOk');
    harness.fixture.publish('', 'q', '2');
    expect(await client.names()).toEqual([]);
    const queue = harness.fixture.vhost.topology.queues.get('q')!;
    expect([queue.readyCount, queue.unackedCount]).toEqual([1, 1]);
    client.send('basic.ack', 1, [1, false]);
    expect(queue.unackedCount).toBe(0);
  });

  test('cancelling an unknown tag is answered; with no-wait nothing is', async () => {
    const [, client] = await withQueue();
    await client.call('basic.cancel', 1, ['unknown', false], 'basic.cancelOk');
    client.send('basic.cancel', 1, ['unknown', true]);
    expect(await client.names()).toEqual([]);
  });

  test('exclusive consumers', async () => {
    const [, client] = await withQueue();
    await client.consume(1, 'q', { exclusive: true });
    client.send('basic.consume', 1, ['q', '', false, false, false, false, NO_ARGS]);
    expect(await refusal(client)).toMatch(/^403 ACCESS_REFUSED - queue 'q' in vhost '\/' in/);
  });

  test('the server cancels when the queue goes away, and the client may answer', async () => {
    const [, client] = await withQueue();
    await client.consume(1, 'q', { tag: 'c' });
    client.send('queue.delete', 1, ['q', false, false, true]);
    const cancel = await client.next('basic.cancel');
    expect(cancel.fields).toEqual({ consumerTag: 'c', noWait: true });
    client.send('basic.cancelOk', 1, ['c']);
    await client.declare(1, 'q');
    await client.consume(1, 'q', { tag: 'c' });
  });

  test('a client without the capability is not told', async () => {
    const harness = await Harness.open();
    const client = await harness.connect([1], { capabilities: [] });
    await client.declare(1, 'q');
    await client.consume(1, 'q');
    client.send('queue.delete', 1, ['q', false, false, true]);
    expect(await client.names()).toEqual([]);
  });

  test('messages larger than a frame and than a slab arrive whole', async () => {
    const [harness, client] = await withQueue();
    await client.consume(1, 'q', { noAck: true });
    for (const size of [0, 4_096, 5_000, 20_000, 131_064, 131_065, 400_000]) {
      const body = 'x'.repeat(size);
      harness.fixture.publish('', 'q', body);
      expect((await client.next('basic.deliver')).body!.toString() === body).toBe(true);
    }
  });
});

describe('qos (1.8.3.1)', () => {
  const BODIES = ['1', '2', '3', '4', '5', '6'];

  test('a prefetch holds for consumers made after it', async () => {
    const [, client] = await withQueue(BODIES);
    await client.call('basic.qos', 1, [0, 2, false], 'basic.qosOk');
    await client.consume(1, 'q');
    expect(await tags(client)).toEqual([1, 2]);
    client.send('basic.ack', 1, [1, false]);
    expect(await tags(client)).toEqual([3]);
    client.send('basic.ack', 1, [3, true]);
    expect(await tags(client)).toEqual([4, 5]);
  });

  test('global: the consumers of a channel share it', async () => {
    const [, client] = await withQueue(BODIES);
    await client.call('basic.qos', 1, [0, 3, true], 'basic.qosOk');
    await client.consume(1, 'q');
    expect(await tags(client)).toEqual([1, 2, 3]);
    await client.consume(1, 'q');
    expect(await tags(client)).toEqual([]);
    client.send('basic.nack', 1, [2, true, false]);
    expect(await tags(client)).toEqual([4, 5]);
    await client.call('basic.qos', 1, [0, 0, true], 'basic.qosOk');
    expect(await tags(client)).toEqual([6]);
  });

  test('a limit per consumer ends the one of the channel', async () => {
    const [, client] = await withQueue(BODIES);
    await client.call('basic.qos', 1, [0, 1, true], 'basic.qosOk');
    await client.consume(1, 'q');
    expect(await tags(client)).toEqual([1]);
    await client.call('basic.qos', 1, [0, 2, false], 'basic.qosOk');
    expect(await tags(client)).toEqual([2, 3, 4, 5, 6]);
  });

  test('no-ack consumers and basic.get are not limited', async () => {
    const [, client] = await withQueue(BODIES);
    await client.call('basic.qos', 1, [0, 1, false], 'basic.qosOk');
    await client.consume(1, 'q', { noAck: true });
    expect(await tags(client)).toEqual([1, 2, 3, 4, 5, 6]);
  });
});

describe('get (1.8.3.10)', () => {
  test('empty, with count, and acknowledged', async () => {
    const [harness, client] = await withQueue(['1', '2']);
    const first = await client.call('basic.get', 1, ['q', false], 'basic.getOk');
    expect(first.fields).toEqual({
      deliveryTag: 1,
      redelivered: false,
      exchange: '',
      routingKey: 'q',
      messageCount: 1,
    });
    await client.call('basic.get', 1, ['q', true], 'basic.getOk');
    await client.call('basic.get', 1, ['q', false], 'basic.getEmpty');
    const queue = harness.fixture.vhost.topology.queues.get('q')!;
    expect(queue.unackedCount).toBe(1);
    client.send('basic.ack', 1, [1, false]);
    expect(queue.unackedCount).toBe(0);
    client.send('basic.ack', 1, [2, false]);
    expect(await refusal(client)).toBe('406 PRECONDITION_FAILED - unknown delivery tag 2');
  });
});

describe('get of what is not there', () => {
  test('is 404, and the channel can be closed', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    client.send('basic.get', 1, ['missing', true]);
    expect(await refusal(client)).toBe("404 NOT_FOUND - no queue 'missing' in vhost '/'");
  });
});

describe('settling (1.8.3.13-17)', () => {
  async function delivered(): Promise<[Harness, TestClient]> {
    const [harness, client] = await withQueue(['1', '2', '3']);
    await client.consume(1, 'q', { tag: 'c' });
    expect(await tags(client)).toEqual([1, 2, 3]);
    return [harness, client];
  }

  test('unknown, repeated and zero tags are 406', async () => {
    for (const [method, values, tag] of [
      ['basic.ack', [9, false], 9],
      ['basic.ack', [9, true], 9],
      ['basic.ack', [0, false], 0],
      ['basic.nack', [9, false, true], 9],
      ['basic.reject', [9, true], 9],
    ] as const) {
      const [, client] = await delivered();
      client.send(method, 1, [...values]);
      expect(await refusal(client)).toBe(`406 PRECONDITION_FAILED - unknown delivery tag ${tag}`);
    }
    const [, client] = await delivered();
    client.send('basic.ack', 1, [2, false]);
    client.send('basic.ack', 1, [2, false]);
    expect(await refusal(client)).toBe('406 PRECONDITION_FAILED - unknown delivery tag 2');
  });

  test('tag 0 with multiple settles everything, also nothing', async () => {
    const [harness, client] = await delivered();
    client.send('basic.ack', 1, [0, true]);
    client.send('basic.ack', 1, [0, true]);
    expect(await client.names()).toEqual([]);
    expect(harness.fixture.vhost.topology.queues.get('q')!.unackedCount).toBe(0);
  });

  test('nack with requeue returns to the old place, redelivered', async () => {
    const [, client] = await delivered();
    client.send('basic.nack', 1, [2, true, true]);
    const again = await client.all();
    expect(
      again.map(({ body, fields }) => [
        body!.toString(),
        fields['deliveryTag'],
        fields['redelivered'],
      ]),
    ).toEqual([
      ['1', 4, true],
      ['2', 5, true],
    ]);
  });

  test('reject without requeue drops', async () => {
    const [harness, client] = await delivered();
    client.send('basic.reject', 1, [1, false]);
    expect(await client.names()).toEqual([]);
    const queue = harness.fixture.vhost.topology.queues.get('q')!;
    expect([queue.readyCount, queue.unackedCount]).toEqual([0, 2]);
  });

  test('recover requeues all of the channel and answers; recover-async does not', async () => {
    const [, client] = await delivered();
    client.send('basic.recover', 1, [true]);
    expect(await client.names()).toEqual([
      'basic.recoverOk',
      'basic.deliver',
      'basic.deliver',
      'basic.deliver',
    ]);
    client.send('basic.recoverAsync', 1, [true]);
    expect(await tags(client)).toEqual([7, 8, 9]);
    client.send('basic.recover', 1, [false]);
    expect((await client.next('connection.close')).fields).toMatchObject({
      replyCode: 540,
      replyText: 'NOT_IMPLEMENTED - requeue=false',
    });
  });

  test('the end of the channel gives deliveries back', async () => {
    const [harness, client] = await delivered();
    await client.call('channel.close', 1, [200, '', 0, 0], 'channel.closeOk');
    const queue = harness.fixture.vhost.topology.queues.get('q')!;
    expect([queue.readyCount, queue.unackedCount, queue.consumerCount]).toEqual([3, 0, 0]);
  });

  test('deliveries of a deleted queue can be settled', async () => {
    const [, client] = await delivered();
    client.send('queue.delete', 1, ['q', false, false, true]);
    client.send('basic.ack', 1, [1, false]);
    client.send('basic.nack', 1, [3, true, true]);
    expect(await client.names()).toEqual(['basic.cancel']);
  });
});

describe('back-pressure', () => {
  test('a full socket gets nothing until it drains', async () => {
    const [harness, client] = await withQueue();
    const body = 'x'.repeat(300_000);
    client.transport.isStalled = true;
    await client.consume(1, 'q', { noAck: true });
    for (let index = 0; index < 20; index += 1) harness.fixture.publish('', 'q', body);
    await harness.settle();
    expect(client.transport.bufferedBytes).toBeLessThan(2_500_000);
    let deliveredCount = (await client.names()).length;
    for (let round = 0; round < 20 && deliveredCount < 20; round += 1) {
      client.transport.bufferedBytes = 0;
      client.transport.handler!.onDrain();
      deliveredCount += (await client.names()).length;
    }
    expect(deliveredCount).toBe(20);
  });

  test('a client that reads no replies is not read until it does', async () => {
    const [harness, client] = await withQueue();
    const body = 'x'.repeat(1_000_000);
    for (let index = 0; index < 60; index += 1) harness.fixture.publish('', 'q', body);
    client.transport.isStalled = true;
    for (let index = 0; index < 60; index += 1) client.send('basic.get', 1, ['q', true]);
    await harness.settle();
    expect(client.transport.isPaused).toBe(true);
    expect(client.transport.bufferedBytes).toBeLessThan(18_000_000);
    let replyCount = (await client.names()).length;
    for (let round = 0; round < 20 && replyCount < 60; round += 1) {
      client.transport.bufferedBytes = 0;
      client.transport.handler!.onDrain();
      replyCount += (await client.names()).length;
    }
    expect(replyCount).toBe(60);
    client.transport.bufferedBytes = 0;
    client.transport.handler!.onDrain();
    expect(client.transport.isPaused).toBe(false);
  });
});

describe('holding input', () => {
  test('who does not read replies is not read, and loses none', async () => {
    const [harness, client] = await withQueue();
    const body = 'x'.repeat(1024 * 1024);
    for (let count = 0; count < 40; count += 1) harness.fixture.publish('', 'q', body);
    client.transport.isStalled = true;
    const get = methodFrame('basic.get', 1, ['q', true]);
    client.raw(Buffer.concat(Array.from({ length: 40 }, () => get)));
    await harness.settle();
    expect(client.transport.isPaused).toBe(true);
    expect(client.transport.bufferedBytes).toBeLessThan(18 * 1024 * 1024);
    let answers = await client.names();
    for (let round = 0; round < 5; round += 1) {
      client.transport.bufferedBytes = 0;
      client.transport.handler!.onDrain();
      answers = answers.concat(await client.names());
    }
    expect(answers).toEqual(Array.from({ length: 40 }, () => 'basic.getOk'));
    expect(client.transport.isPaused).toBe(false);
  });

  test('many gets that wait for the disk hold the connection, and are answered in order', async () => {
    const [harness, client] = await withQueue(Array.from({ length: 100 }, (_, i) => `${i}`));
    const { vhost } = harness.fixture;
    const waiting: (() => void)[] = [];
    const get = vhost.get.bind(vhost);
    vhost.get = (actor, name, done) => waiting.push(() => get(actor, name, done));
    const frame = methodFrame('basic.get', 1, ['q', true]);
    client.raw(Buffer.concat(Array.from({ length: 100 }, () => frame)));
    expect(waiting.length).toBe(64);
    expect(client.transport.isPaused).toBe(true);
    while (waiting.length > 0) {
      for (const run of waiting.splice(0)) run();
      await harness.settle();
    }
    expect(client.transport.isPaused).toBe(false);
    const bodies = (await client.all()).map(({ body }) => body!.toString());
    expect(bodies).toEqual(Array.from({ length: 100 }, (_, index) => `${index}`));
  });

  test('a peer whose login is being checked is not read', async () => {
    const harness = await Harness.open();
    const client = harness.accept();
    client.raw(PROTOCOL_HEADER);
    await client.next('connection.start');
    const response = Buffer.from('\0guest\0guest');
    client.send('connection.startOk', 0, [NO_ARGS, 'PLAIN', response, 'en_US']);
    expect(client.transport.isPaused).toBe(true);
    await harness.until(() => client.transport.received.length > 0);
    expect(client.transport.isPaused).toBe(false);
    await client.next('connection.tune');
  });

  test('a silent reader is dropped when its heartbeats are missed', async () => {
    const harness = await Harness.open();
    const client = await harness.connect([1], { heartbeat: 10 });
    await client.declare(1, 'q');
    const body = 'x'.repeat(1024 * 1024);
    for (let count = 0; count < 20; count += 1) harness.fixture.publish('', 'q', body);
    client.transport.isStalled = true;
    const get = methodFrame('basic.get', 1, ['q', true]);
    client.raw(Buffer.concat(Array.from({ length: 20 }, () => get)));
    harness.acceptor.tick();
    expect(client.transport.isPaused).toBe(true);
    harness.fixture.clock.advance(20_000);
    harness.acceptor.tick();
    expect(client.transport.isDestroyed).toBe(true);
  });
});

describe('direct reply-to', () => {
  const REPLY_TO = 'amq.rabbitmq.reply-to';

  test('a request carries an opaque name that reaches the requester', async () => {
    const harness = await Harness.open();
    const requester = await harness.connect();
    const replier = await harness.connect();
    await replier.declare(1, 'requests');
    await requester.consume(1, REPLY_TO, { tag: 'r', noAck: true });
    requester.publish(1, '', 'requests', 'question', { replyTo: REPLY_TO });
    const request = await replier.call('basic.get', 1, ['requests', true], 'basic.getOk');
    const key = request.properties!.replyTo!;
    expect(key).toMatch(/^amq\.rabbitmq\.reply-to\../);
    expect(await replier.declare(1, key)).toBe(key);
    replier.publish(1, '', key, 'answer', { mandatory: true });
    expect(await replier.names()).toEqual([]);
    const reply = await requester.next('basic.deliver');
    expect(reply.fields).toMatchObject({ consumerTag: 'r', deliveryTag: 1, routingKey: key });
    expect(reply.body!.toString()).toBe('answer');
    await requester.call('basic.cancel', 1, ['r', false], 'basic.cancelOk');
    replier.publish(1, '', key, 'late', { mandatory: true });
    expect(await replier.names()).toEqual(['basic.return']);
    replier.send('queue.declare', 1, [key, true, false, false, false, false, NO_ARGS]);
    expect(await refusal(replier)).toMatch(/^404 NOT_FOUND - no queue 'amq\.rabbitmq\.reply-to\./);
  });

  test('its rules', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    client.send('basic.consume', 1, [REPLY_TO, '', false, false, false, false, NO_ARGS]);
    expect(await refusal(client)).toBe(
      '406 PRECONDITION_FAILED - reply consumer cannot acknowledge',
    );
    client.publish(1, '', 'q', 'm', { replyTo: REPLY_TO });
    expect(await refusal(client)).toBe(
      '406 PRECONDITION_FAILED - fast reply consumer does not exist',
    );
    await client.consume(1, REPLY_TO, { noAck: true });
    client.send('basic.consume', 1, [REPLY_TO, '', false, true, false, false, NO_ARGS]);
    expect(await refusal(client)).toBe('406 PRECONDITION_FAILED - reply consumer already set');
    client.send('queue.bind', 1, [REPLY_TO, 'amq.direct', 'k', false, NO_ARGS]);
    expect(await refusal(client)).toMatch(/^404 NOT_FOUND/);
    expect(await client.declare(1, REPLY_TO)).toBe(REPLY_TO);
  });
});
