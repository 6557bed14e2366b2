/** Dead letters that are made to hurt: nothing here may throw inside a turn. */
import { describe, expect, test } from 'vitest';
import type { FieldValue } from '../../src/base/field-value.ts';
import { DEATHS_PER_RUN_MAX } from '../../src/base/limits.ts';
import { encodeHeader } from '../../protocols/amqp/content-header.ts';
import { FORMAT_AMQP, Message } from '../../src/engine/message.ts';
import { EngineFixture } from '../support/engine-fixture.ts';

/** Publishes to q, whose messages die at once into `dead`, with a header given as bytes. */
async function dieWith(header: Buffer): Promise<EngineFixture> {
  const e = await EngineFixture.open();
  e.queue('q', {
    'x-max-length': 0,
    'x-dead-letter-exchange': '',
    'x-dead-letter-routing-key': 'dead',
  });
  e.queue('dead');
  const bytes = Buffer.concat([header, Buffer.from('x')]);
  const at = e.clock.wallMs();
  const message = new Message('', 'q', FORMAT_AMQP, bytes, 0, header.length, 1, true, -1, -1, at);
  e.vhost.publish(e.vhost.resolveRoute(e.actor, '', 'q'), message);
  await e.settle();
  return e;
}

function headerWith(death: ReadonlyMap<string, FieldValue>): Buffer {
  return encodeHeader({ deliveryMode: 2, headers: new Map([['x-death', [death]]]) }, 1);
}

describe('a forged x-death', () => {
  const counts: [string, FieldValue][] = [
    ['the largest integer', 2n ** 63n - 1n],
    ['a double', { kind: 'double', value: 1.5 }],
    ['a text', 'many'],
    ['nothing', null],
  ];
  for (const [name, count] of counts) {
    test(`with ${name} as count`, async () => {
      const known = new Map<string, FieldValue>([
        ['queue', 'q'],
        ['reason', 'maxlen'],
        ['count', count],
        ['time', { kind: 'timestamp', value: 2 ** 64 - 2048 }],
      ]);
      const e = await dieWith(headerWith(known));
      expect(e.get('dead')?.body).toBe('x');
    });
  }

  test('with a name that is not UTF-8 and grows when it is mended', async () => {
    const header = headerWith(new Map([['k'.repeat(255), 'v']]));
    const at = header.indexOf('k'.repeat(255));
    header.fill(0xff, at, at + 255);
    const e = await dieWith(header);
    expect(e.get('dead')?.body).toBe('x');
  });
});

describe('a chain of queues that overflow into each other', () => {
  test('is followed to its end, however long', async () => {
    const e = await EngineFixture.open();
    const length = 300;
    for (let n = 0; n < length; n += 1) {
      e.queue(`q${n}`, {
        'x-max-length': 0,
        'x-dead-letter-exchange': '',
        'x-dead-letter-routing-key': `q${n + 1}`,
      });
    }
    const end = e.queue(`q${length}`);
    e.publish('', 'q0', 'x', { persistent: true });
    await e.settle();
    expect(end.readyCount).toBe(1);
  });

  test('has an end where each feeds all others', async () => {
    const e = await EngineFixture.open();
    e.exchange('dlx', 'fanout');
    // Once per way through nine queues: 109,601 deaths in a row.
    const args = { 'x-max-length': 0, 'x-dead-letter-exchange': 'dlx' };
    const queues = [0, 1, 2, 3, 4, 5, 6, 7, 8].map((n) => e.queue(`q${n}`, args));
    for (const queue of queues) e.bind(queue.name, 'dlx', '');
    const sink = e.queue('sink');
    e.bind('sink', 'dlx', '');
    e.publish('', 'q0', 'x', { persistent: true });
    expect(queues.map((queue) => queue.readyCount)).toEqual(queues.map(() => 0));
    expect(sink.readyCount).toBe(DEATHS_PER_RUN_MAX);
  });
});

describe('x-dead-letter-routing-key', () => {
  const long = 'k'.repeat(256);

  test('must fit into a delivery, as argument', async () => {
    const e = await EngineFixture.open();
    const args = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': long };
    expect(() => e.queue('q', args)).toThrow(/value_too_long/);
  });

  test('... and as policy', async () => {
    const e = await EngineFixture.open();
    const definition = { 'dead-letter-exchange': 'x', 'dead-letter-routing-key': long };
    const input = { pattern: '.*', definition };
    expect(() => e.broker.policies.put('policy', '/', 'p', input)).toThrow(/routing.key/);
  });
});
