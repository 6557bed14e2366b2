import { describe, expect, test } from 'vitest';
import type { FieldTable, FieldValue } from '../../../src/base/field-value.ts';
import { Harness, type PublishOptions, type TestClient } from './amqp-harness.ts';
import { bodyFrame, headerFrame, methodFrame } from './wire.ts';

const NO_ARGS: FieldTable = new Map();

function headers(entries: Record<string, FieldValue>): FieldTable {
  return new Map(Object.entries(entries));
}

async function refusal(client: TestClient): Promise<string> {
  const { fields } = await client.next('channel.close');
  client.send('channel.closeOk', 1);
  await client.call('channel.open', 1, [], 'channel.openOk');
  return `${String(fields['replyCode'])} ${String(fields['replyText'])}`;
}

describe('routing (1.8.3.7)', () => {
  test('each of many targets gets its own messages', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    const names = Array.from({ length: 300 }, (_, index) => `queue-${index}`);
    for (const name of names) await client.declare(1, name);
    for (const round of [1, 2]) {
      for (const name of names) client.publish(1, '', name, `${name} ${round}`);
    }
    for (const name of names) {
      const got = await client.call('basic.get', 1, [name, true], 'basic.getOk');
      expect(got.body!.toString()).toBe(`${name} 1`);
      expect(got.fields).toMatchObject({ routingKey: name, exchange: '', messageCount: 1 });
    }
  });

  test('a route follows the topology', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    client.publish(1, '', 'q', 'too early');
    await client.declare(1, 'q');
    client.publish(1, '', 'q', 'in time');
    expect(await client.readyCount('q')).toBe(1);
  });

  test('a route follows the rights', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    await client.declare(1, 'q');
    client.publish(1, '', 'q', 'm');
    const rights = { configure: '.*', write: '^$', read: '.*' };
    harness.fixture.broker.access.setPermission('guest', '/', rights);
    client.publish(1, '', 'q', 'm');
    expect(await refusal(client)).toBe(
      "403 ACCESS_REFUSED - write access to exchange 'amq.default' in vhost '/' refused for " +
        "user 'guest'",
    );
  });

  test('a missing exchange is 404, an internal one 403, and the content is consumed', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    client.publish(1, 'missing', '', 'x'.repeat(100));
    expect(await refusal(client)).toBe("404 NOT_FOUND - no exchange 'missing' in vhost '/'");
    client.send('exchange.declare', 1, [
      'inner',
      'fanout',
      false,
      false,
      false,
      true,
      false,
      NO_ARGS,
    ]);
    await client.next('exchange.declareOk');
    client.publish(1, 'inner', '', 'x');
    expect(await refusal(client)).toBe(
      "403 ACCESS_REFUSED - cannot publish to internal exchange 'inner' in vhost '/'",
    );
  });

  test('mandatory messages that reach no queue come back whole', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    const options = { mandatory: true, headers: headers({ a: 1 }), persistent: true };
    client.publish(1, 'amq.direct', 'nowhere', 'body', options);
    const returned = await client.next('basic.return');
    expect(returned.fields).toEqual({
      replyCode: 312,
      replyText: 'NO_ROUTE',
      exchange: 'amq.direct',
      routingKey: 'nowhere',
    });
    expect(returned.body!.toString()).toBe('body');
    expect(returned.properties).toMatchObject({ deliveryMode: 2, headers: headers({ a: 1 }) });
  });

  test('content may arrive in any pieces', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    await client.declare(1, 'q');
    const bytes = Buffer.concat([
      methodFrame('basic.publish', 1, ['', 'q', false, false]),
      headerFrame(1, 6),
      bodyFrame(1, Buffer.from('abc')),
      bodyFrame(1, Buffer.from('def')),
    ]);
    for (const byte of bytes) client.raw(Buffer.from([byte]));
    const got = await client.call('basic.get', 1, ['q', true], 'basic.getOk');
    expect(got.body!.toString()).toBe('abcdef');
  });

  test('content of two channels may interleave', async () => {
    const harness = await Harness.open();
    const client = await harness.connect([1, 2]);
    await client.declare(1, 'q');
    client.raw(
      Buffer.concat([
        methodFrame('basic.publish', 1, ['', 'q', false, false]),
        methodFrame('basic.publish', 2, ['', 'q', false, false]),
        headerFrame(2, 3),
        headerFrame(1, 3),
        bodyFrame(1, Buffer.from('one')),
        bodyFrame(2, Buffer.from('two')),
      ]),
    );
    const first = await client.call('basic.get', 1, ['q', true], 'basic.getOk');
    const second = await client.call('basic.get', 1, ['q', true], 'basic.getOk');
    expect([first.body!.toString(), second.body!.toString()]).toEqual(['one', 'two']);
  });

  test('messages above the limit are refused with 406 once they have passed', async () => {
    const harness = await Harness.open({ maxMessageBytes: 10 });
    const client = await harness.connect();
    await client.declare(1, 'q');
    client.publish(1, '', 'q', 'x'.repeat(11));
    expect(await refusal(client)).toBe(
      '406 PRECONDITION_FAILED - message size 11 is larger than configured max size 10',
    );
    client.publish(1, '', 'q', 'x'.repeat(10));
    expect(await client.readyCount('q')).toBe(1);
  });
});

describe('headers that ask for something', () => {
  async function attempt(options: PublishOptions): Promise<string> {
    const harness = await Harness.open();
    const client = await harness.connect();
    client.publish(1, '', 'q', 'm', options);
    return refusal(client);
  }

  test('bad expirations', async () => {
    expect(await attempt({ expiration: 'abc' })).toBe(
      "406 PRECONDITION_FAILED - invalid expiration 'abc': no_integer",
    );
    expect(await attempt({ expiration: '-1' })).toMatch(/^406 .*invalid expiration '-1'/);
    expect(await attempt({ expiration: '10x' })).toMatch(/^406 .*invalid expiration '10x'/);
  });

  test('user-id must be the own one, unless the user is an impersonator', async () => {
    expect(await attempt({ userId: 'other' })).toBe(
      "406 PRECONDITION_FAILED - user_id property set to 'other' but authenticated user was 'guest'",
    );
    const harness = await Harness.open();
    const client = await harness.connect();
    await client.declare(1, 'q');
    client.publish(1, '', 'q', 'm', { userId: 'guest' });
    harness.fixture.broker.access.putUser('guest', { tags: ['impersonator'] });
    client.publish(1, '', 'q', 'm', { userId: 'other' });
    expect(await client.readyCount('q')).toBe(2);
  });

  test('CC and BCC route, and BCC is not seen', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    for (const name of ['to', 'cc', 'bcc']) await client.declare(1, name);
    const sent = headers({ CC: ['cc', 'to'], BCC: ['bcc'], keep: 'this' });
    client.publish(1, '', 'to', 'body', { headers: sent });
    for (const name of ['to', 'cc', 'bcc']) {
      const got = await client.call('basic.get', 1, [name, true], 'basic.getOk');
      expect(got.body!.toString()).toBe('body');
      expect(got.fields['messageCount']).toBe(0);
      expect(got.properties!.headers).toEqual(headers({ CC: ['cc', 'to'], keep: 'this' }));
    }
  });

  test('a dead letter goes by the keys of BCC, too, and tells nobody', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    const dead = { 'x-dead-letter-exchange': 'amq.direct', 'x-max-length': 1 };
    await client.declare(1, 'to', dead);
    for (const name of ['own', 'cc', 'bcc']) await client.declare(1, name);
    for (const [name, key] of [
      ['own', 'to'],
      ['cc', 'by-cc'],
      ['bcc', 'by-bcc'],
    ] as const) {
      harness.fixture.bind(name, 'amq.direct', key);
    }
    const sent = headers({ CC: ['by-cc'], BCC: ['by-bcc'] });
    client.publish(1, '', 'to', 'first', { headers: sent });
    client.publish(1, '', 'to', 'second');
    for (const name of ['own', 'cc', 'bcc']) {
      const got = await client.call('basic.get', 1, [name, true], 'basic.getOk');
      expect(got.body!.toString()).toBe('first');
      const table = got.properties!.headers!;
      expect([table.get('CC'), table.has('BCC')]).toEqual([['by-cc'], false]);
      const [death] = table.get('x-death') as FieldTable[];
      expect(death!.get('routing-keys')).toEqual(['to', 'by-cc']);
    }
  });

  test('CC must be an array; what is no string in it is left out', async () => {
    expect(await attempt({ headers: headers({ CC: 'cc' }) })).toMatch(/^406 PRECONDITION_FAILED/);
    expect(await attempt({ headers: headers({ BCC: 1 }) })).toMatch(/^406 PRECONDITION_FAILED/);
  });
});

describe('confirms', () => {
  async function confirming(): Promise<[Harness, TestClient]> {
    const harness = await Harness.open();
    const client = await harness.connect();
    await client.declare(1, 'q', {}, { durable: true });
    await client.call('confirm.select', 1, [false], 'confirm.selectOk');
    return [harness, client];
  }

  test('number from 1 and cover what is on disk', async () => {
    const [, client] = await confirming();
    for (const body of ['1', '2', '3']) client.publish(1, '', 'q', body, { persistent: true });
    expect(client.transport.received.length).toBe(0);
    const acks = await client.all();
    expect(acks.at(-1)).toMatchObject({ name: 'basic.ack', fields: { deliveryTag: 3 } });
  });

  test('a returned message is returned before it is confirmed', async () => {
    const [, client] = await confirming();
    client.publish(1, '', 'nowhere', 'm', { mandatory: true });
    expect(await client.names()).toEqual(['basic.return', 'basic.ack']);
  });

  test('a refused message is nacked', async () => {
    const [, client] = await confirming();
    await client.declare(1, 'full', { 'x-max-length': 1, 'x-overflow': 'reject-publish' });
    client.publish(1, '', 'full', '1');
    client.publish(1, '', 'full', '2');
    client.publish(1, '', 'q', '3');
    expect((await client.all()).map(({ name, fields }) => [name, fields['deliveryTag']])).toEqual([
      ['basic.ack', 1],
      ['basic.nack', 2],
      ['basic.ack', 3],
    ]);
  });

  test('select is idempotent and excludes tx', async () => {
    const [, client] = await confirming();
    await client.call('confirm.select', 1, [false], 'confirm.selectOk');
    client.send('confirm.select', 1, [true]);
    expect(await client.names()).toEqual([]);
    client.send('tx.select', 1);
    expect(await refusal(client)).toBe(
      '406 PRECONDITION_FAILED - cannot switch from confirm to tx mode',
    );
  });
});

describe('tx (1.9)', () => {
  async function transactional(): Promise<[Harness, TestClient]> {
    const harness = await Harness.open();
    const client = await harness.connect();
    await client.declare(1, 'q', {}, { durable: true });
    await client.call('tx.select', 1, [], 'tx.selectOk');
    return [harness, client];
  }

  test('publishes are seen after commit only', async () => {
    const [, client] = await transactional();
    client.publish(1, '', 'q', 'm', { persistent: true });
    client.publish(1, '', 'nowhere', 'back', { mandatory: true });
    expect(await client.readyCount('q')).toBe(0);
    client.send('tx.commit', 1);
    expect(client.transport.received.length).toBe(0);
    expect(await client.names()).toEqual(['basic.return', 'tx.commitOk']);
    expect(await client.readyCount('q')).toBe(1);
  });

  test('rollback forgets publishes and makes acks outstanding again', async () => {
    const [harness, client] = await transactional();
    harness.fixture.publish('', 'q', 'm');
    await client.consume(1, 'q');
    await client.next('basic.deliver');
    client.publish(1, '', 'q', 'never');
    client.send('basic.ack', 1, [1, false]);
    await client.call('tx.rollback', 1, [], 'tx.rollbackOk');
    const queue = harness.fixture.vhost.topology.queues.get('q')!;
    expect([queue.readyCount, queue.unackedCount]).toEqual([0, 1]);
    client.send('basic.ack', 1, [1, false]);
    await client.call('tx.commit', 1, [], 'tx.commitOk');
    expect(queue.unackedCount).toBe(0);
  });

  test('acks count at commit; a tag acked in the transaction is unknown', async () => {
    const [harness, client] = await transactional();
    harness.fixture.publish('', 'q', 'm');
    await client.consume(1, 'q');
    await client.next('basic.deliver');
    client.send('basic.ack', 1, [1, false]);
    const queue = harness.fixture.vhost.topology.queues.get('q')!;
    expect(queue.unackedCount).toBe(1);
    client.send('basic.ack', 1, [1, false]);
    expect(await refusal(client)).toBe('406 PRECONDITION_FAILED - unknown delivery tag 1');
    await harness.settle();
    expect(queue.readyCount).toBe(1);
  });

  test('a queue that refuses makes the commit partial', async () => {
    const [, client] = await transactional();
    await client.declare(1, 'full', { 'x-max-length': 0, 'x-overflow': 'reject-publish' });
    client.publish(1, '', 'full', 'm');
    client.send('tx.commit', 1);
    expect(await refusal(client)).toBe('406 PRECONDITION_FAILED - partial tx completion');
  });

  test('time to live and delay begin with the commit', async () => {
    const [harness, client] = await transactional();
    client.publish(1, '', 'q', 'm', { expiration: '1000' });
    await harness.settle();
    harness.fixture.clock.advance(5_000);
    await client.call('tx.commit', 1, [], 'tx.commitOk');
    expect(await client.readyCount('q')).toBe(1);
    harness.fixture.clock.advance(1_001);
    client.send('basic.get', 1, ['q', true]);
    expect(await client.names()).toEqual(['basic.getEmpty']);
  });

  test('an exchange deleted before the commit is no route, and harms nothing else', async () => {
    const [, client] = await transactional();
    const declare = ['x', 'fanout', false, false, false, false, false, new Map()];
    await client.call('exchange.declare', 1, declare, 'exchange.declareOk');
    client.publish(1, 'x', '', 'back', { mandatory: true });
    client.publish(1, '', 'q', 'm');
    await client.call('exchange.delete', 1, ['x', false, false], 'exchange.deleteOk');
    client.send('tx.commit', 1);
    expect(await client.names()).toEqual(['basic.return', 'tx.commitOk']);
    expect(await client.readyCount('q')).toBe(1);
  });

  test('errors of a publish come with the publish', async () => {
    const [, client] = await transactional();
    client.publish(1, 'missing', '', 'm');
    expect(await refusal(client)).toMatch(/^404 NOT_FOUND/);
  });

  test('commit and rollback need a select; a confirming channel refuses it', async () => {
    const harness = await Harness.open();
    const client = await harness.connect();
    client.send('tx.commit', 1);
    expect(await refusal(client)).toBe('406 PRECONDITION_FAILED - channel is not transactional');
    client.send('tx.rollback', 1);
    expect(await refusal(client)).toMatch(/^406/);
    await client.call('tx.select', 1, [], 'tx.selectOk');
    client.send('confirm.select', 1, [false]);
    expect(await refusal(client)).toBe(
      '406 PRECONDITION_FAILED - cannot switch from tx to confirm mode',
    );
  });
});
