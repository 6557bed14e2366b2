import { describe, expect, test } from 'vitest';
import type { FieldTable } from '../../../src/base/field-value.ts';
import { Harness, type TestClient } from './amqp-harness.ts';
import { type FieldInput, methodFrame } from './wire.ts';

const NO_ARGS: FieldTable = new Map();

async function refusal(client: TestClient, channel = 1): Promise<string> {
  const { fields } = await client.next('channel.close');
  client.send('channel.closeOk', channel);
  await client.call('channel.open', channel, [], 'channel.openOk');
  return `${String(fields['replyCode'])} ${String(fields['replyText'])}`;
}

describe('channel (1.5)', () => {
  test('flow(active) is acknowledged', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    const { fields } = await client.call('channel.flow', 1, [true], 'channel.flowOk');
    expect(fields['active']).toBe(true);
  });

  test('the number is free again after close-ok', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    await client.call('channel.close', 1, [200, '', 0, 0], 'channel.closeOk');
    await client.call('channel.open', 1, [], 'channel.openOk');
  });

  test('after an error everything but close-ok is discarded', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    client.send('queue.purge', 1, ['missing', false]);
    client.send('queue.declare', 1, ['q', false, false, false, false, false, NO_ARGS]);
    client.publish(1, '', 'q', 'lost');
    client.send('basic.ack', 1, [1, false]);
    const [close, ...rest] = await client.all();
    expect(close).toMatchObject({
      name: 'channel.close',
      fields: {
        replyCode: 404,
        replyText: "NOT_FOUND - no queue 'missing' in vhost '/'",
        failedClassId: 50,
        failedMethodId: 30,
      },
    });
    expect(rest).toEqual([]);
    expect(harness.fixture.vhost.topology.queues.has('q')).toBe(false);
    client.send('channel.closeOk', 1);
    await client.call('channel.open', 1, [], 'channel.openOk');
  });

  test('a close that crosses ours is answered', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    client.send('queue.purge', 1, ['missing', false]);
    client.send('channel.close', 1, [200, '', 0, 0]);
    expect(await client.names()).toEqual(['channel.close', 'channel.closeOk']);
    client.send('channel.closeOk', 1);
    await client.call('channel.open', 1, [], 'channel.openOk');
  });

  test('open before close-ok to a close of ours ends the connection', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    client.send('queue.purge', 1, ['missing', false]);
    client.send('channel.open', 1);
    const [, close] = await client.all();
    expect(close).toMatchObject({
      name: 'connection.close',
      fields: {
        replyCode: 504,
        replyText: "CHANNEL_ERROR - second 'channel.open' seen",
        failedClassId: 20,
        failedMethodId: 10,
      },
    });
  });

  test('open behind a close that is not answered yet ends the connection', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    const durable = ['q', false, true, false, false, false, NO_ARGS];
    client.send('queue.declare', 1, durable);
    client.send('channel.close', 1, [200, '', 0, 0]);
    client.send('basic.ack', 1, [1, false]);
    client.send('queue.declare', 1, durable);
    client.send('channel.open', 1);
    expect(await client.names()).toEqual(['connection.close']);
  });

  test('settlements for a channel that has just ended are ignored', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    client.send('queue.purge', 1, ['missing', false]);
    client.send('channel.closeOk', 1);
    client.send('basic.ack', 1, [1, false]);
    client.send('basic.nack', 1, [1, false, true]);
    client.send('basic.reject', 1, [1, true]);
    expect(await client.names()).toEqual(['channel.close']);
  });

  test('other channels go on, also with what came in the same chunk', async () => {
    const harness = await Harness.open();
    const client = await harness.connect([1, 2]);
    client.raw(
      Buffer.concat([
        methodFrame('queue.purge', 1, ['missing', false]),
        methodFrame('queue.declare', 2, ['q', false, false, false, false, false, NO_ARGS]),
      ]),
    );
    expect(await client.names()).toEqual(['channel.close', 'queue.declareOk']);
  });
});

test('access.request of old clients is granted', async () => {
  const harness = await Harness.open();
  const client = await harness.connect();
  const values = ['/data', false, false, true, true, true];
  const { fields } = await client.call('access.request', 1, values, 'access.requestOk');
  expect(fields['ticket']).toBe(1);
});

describe('exchange (1.6)', () => {
  const declare = (name: string, type: string, flags: Partial<Record<string, boolean>> = {}) =>
    [
      name,
      type,
      flags['passive'] === true,
      flags['durable'] === true,
      false,
      flags['internal'] === true,
      flags['noWait'] === true,
      NO_ARGS,
    ] satisfies FieldInput[];

  test('declare, bind, unbind, delete and their replies', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    const ok = (name: string, values: FieldInput[]) =>
      client.call(`exchange.${name}`, 1, values, `exchange.${name}Ok`);
    await ok('declare', declare('a', 'fanout', { durable: true }));
    await ok('declare', declare('b', 'fanout'));
    await client.declare(1, 'q');
    client.send('queue.bind', 1, ['q', 'b', '', false, NO_ARGS]);
    await client.next('queue.bindOk');
    await ok('bind', ['b', 'a', '', false, NO_ARGS]);
    client.publish(1, 'a', '', 'through');
    expect(await client.readyCount('q')).toBe(1);
    await ok('unbind', ['b', 'a', '', false, NO_ARGS]);
    client.publish(1, 'a', '', 'nowhere');
    expect(await client.readyCount('q')).toBe(1);
    await ok('delete', ['a', false, false]);
    await ok('delete', ['a', false, false]);
  });

  test('no-wait methods are not answered', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    client.send('exchange.declare', 1, declare('a', 'direct', { noWait: true }));
    client.send('exchange.delete', 1, ['a', false, true]);
    client.send('queue.declare', 1, ['q', false, false, false, false, true, NO_ARGS]);
    client.send('queue.purge', 1, ['q', true]);
    client.send('queue.delete', 1, ['q', false, false, true]);
    expect(await client.names()).toEqual([]);
  });

  test('refusals', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    client.send('exchange.declare', 1, declare('missing', '', { passive: true }));
    expect(await refusal(client)).toBe("404 NOT_FOUND - no exchange 'missing' in vhost '/'");
    client.send('exchange.declare', 1, declare('amq.mine', 'direct'));
    expect(await refusal(client)).toMatch(/^403 ACCESS_REFUSED - exchange name 'amq.mine'/);
    client.send('exchange.declare', 1, declare('x', 'no-such-type'));
    expect(await refusal(client)).toMatch(/^406 PRECONDITION_FAILED/);
    client.send('exchange.declare', 1, declare('', 'direct'));
    expect(await refusal(client)).toMatch(/^403 ACCESS_REFUSED/);
    client.send('exchange.declare', 1, declare('amq.direct', 'fanout', { durable: true }));
    expect(await refusal(client)).toBe(
      "406 PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'amq.direct' in vhost '/': " +
        "received 'fanout' but current is 'direct'",
    );
  });
});

describe('queue (1.7)', () => {
  test('names are given, and stand for "" afterwards', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    const name = await client.declare(1, '');
    expect(name).toMatch(/^amq\.gen-/);
    client.send('queue.bind', 1, ['', 'amq.direct', '', false, NO_ARGS]);
    await client.next('queue.bindOk');
    client.publish(1, 'amq.direct', name, 'm');
    const got = await client.call('basic.get', 1, ['', true], 'basic.getOk');
    expect(got.body!.toString()).toBe('m');
    await client.call('queue.unbind', 1, ['', 'amq.direct', '', NO_ARGS], 'queue.unbindOk');
  });

  test('"" without a declare is 404', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    client.send('queue.purge', 1, ['', false]);
    expect(await refusal(client)).toBe('404 NOT_FOUND - no previously declared queue');
  });

  test('line breaks are stripped from names', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    expect(await client.declare(1, 'a\r\nb')).toBe('ab');
    await client.call(
      'queue.bind',
      1,
      ['ab\n', 'amq.direct\r', 'k', false, new Map()],
      'queue.bindOk',
    );
    await client.call(
      'queue.unbind',
      1,
      ['ab\n', 'amq.direct\r', 'k', new Map()],
      'queue.unbindOk',
    );
    const between = ['amq.fanout\n', 'amq.direct\r\n', 'k', false, new Map()];
    await client.call('exchange.bind', 1, between, 'exchange.bindOk');
    await client.call('exchange.unbind', 1, between, 'exchange.unbindOk');
    expect(harness.fixture.vhost.topology.exchange('amq.direct')!.bindingCount).toBe(0);
  });

  test('declare, purge and delete count', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    await client.declare(1, 'q');
    for (const body of ['1', '2', '3']) client.publish(1, '', 'q', body);
    const values = ['q', true, false, false, false, false, NO_ARGS];
    const declared = await client.call('queue.declare', 1, values, 'queue.declareOk');
    expect(declared.fields).toMatchObject({ messageCount: 3, consumerCount: 0 });
    const purged = await client.call('queue.purge', 1, ['q', false], 'queue.purgeOk');
    expect(purged.fields['messageCount']).toBe(3);
    client.publish(1, '', 'q', '4');
    client.send('queue.delete', 1, ['q', false, true, false]);
    expect(await refusal(client)).toMatch(/^406 PRECONDITION_FAILED - queue 'q' in vhost '\/'/);
    const deleted = await client.call(
      'queue.delete',
      1,
      ['q', false, false, false],
      'queue.deleteOk',
    );
    expect(deleted.fields['messageCount']).toBe(1);
    const again = await client.call(
      'queue.delete',
      1,
      ['q', false, false, false],
      'queue.deleteOk',
    );
    expect(again.fields['messageCount']).toBe(0);
  });

  test('a foreign exclusive queue is locked', async () => {
    const harness = await Harness.open();
    const owner = await harness.connect();
    await owner.declare(1, 'mine', {}, { exclusive: true });
    const client = await harness.connect();
    client.send('queue.declare', 1, ['mine', true, false, false, false, false, NO_ARGS]);
    expect(await refusal(client)).toMatch(/^405 RESOURCE_LOCKED/);
  });

  test('replies keep the order of their methods while some wait for the disk', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    client.send('queue.declare', 1, ['d', false, true, false, false, false, NO_ARGS]);
    client.send('basic.qos', 1, [0, 5, false]);
    client.send('basic.consume', 1, ['d', 'c', false, true, false, false, NO_ARGS]);
    client.publish(1, '', 'd', 'm');
    client.send('basic.get', 1, ['d', true]);
    client.send('basic.cancel', 1, ['c', false]);
    expect(client.transport.received.length).toBe(0);
    expect(await client.names()).toEqual([
      'queue.declareOk',
      'basic.qosOk',
      'basic.consumeOk',
      'basic.getOk',
      'basic.cancelOk',
    ]);
  });

  test('an error follows the replies that were owed before it', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    client.send('queue.declare', 1, ['d', false, true, false, false, false, NO_ARGS]);
    client.send('queue.purge', 1, ['missing', false]);
    expect(await client.names()).toEqual(['queue.declareOk', 'channel.close']);
  });
});

test('reply texts are cut to 255 bytes', async () => {
  const harness = await Harness.open();
  const client = await harness.connect();
  client.send('queue.purge', 1, ['é'.repeat(127), false]);
  const { fields } = await client.next('channel.close');
  const text = String(fields['replyText']);
  expect(Buffer.byteLength(text)).toBeLessThanOrEqual(255);
  expect(text).not.toContain('\ufffd');
});
