/** Which right each method needs, as a client sees it. */
import { describe, expect, test } from 'vitest';
import type { FieldTable } from '../../../src/base/field-value.ts';
import { Harness, type TestClient } from './amqp-harness.ts';
import type { FieldInput } from './wire.ts';

const NO_ARGS: FieldTable = new Map();

interface Case {
  readonly method: string;
  readonly values: FieldInput[];
  /** The right that is enough, and what it is needed on. */
  readonly needs: Partial<Record<'configure' | 'write' | 'read', string>>;
}

const CASES: readonly Case[] = [
  {
    method: 'exchange.declare',
    values: ['x1', 'direct', false, false, false, false, false, NO_ARGS],
    needs: { configure: 'x1' },
  },
  { method: 'exchange.delete', values: ['x', false, false], needs: { configure: 'x' } },
  {
    method: 'exchange.bind',
    values: ['y', 'x', '', false, NO_ARGS],
    needs: { write: 'y', read: 'x' },
  },
  {
    method: 'exchange.unbind',
    values: ['y', 'x', '', false, NO_ARGS],
    needs: { write: 'y', read: 'x' },
  },
  {
    method: 'queue.declare',
    values: ['q1', false, false, false, false, false, NO_ARGS],
    needs: { configure: 'q1' },
  },
  {
    method: 'queue.bind',
    values: ['q', 'x', '', false, NO_ARGS],
    needs: { write: 'q', read: 'x' },
  },
  { method: 'queue.unbind', values: ['q', 'x', '', NO_ARGS], needs: { write: 'q', read: 'x' } },
  { method: 'queue.purge', values: ['q', false], needs: { read: 'q' } },
  { method: 'queue.delete', values: ['q', false, false, false], needs: { configure: 'q' } },
  {
    method: 'basic.consume',
    values: ['q', 'c', false, true, false, false, NO_ARGS],
    needs: { read: 'q' },
  },
  { method: 'basic.get', values: ['q', true], needs: { read: 'q' } },
];

async function prepared(rights: Record<string, string>): Promise<TestClient> {
  const harness = await Harness.open();
  harness.fixture.queue('q');
  harness.fixture.exchange('x', 'fanout');
  harness.fixture.exchange('y', 'fanout');
  const patterns = { configure: '^$', write: '^$', read: '^$', ...rights };
  harness.fixture.broker.access.setPermission('guest', '/', patterns);
  return harness.connect();
}

describe('rights', () => {
  test.each(CASES)('$method', async ({ method, values, needs }) => {
    const rights = Object.fromEntries(
      Object.entries(needs).map(([right, name]) => [right, `^${name}$`]),
    );
    const allowed = await prepared(rights);
    allowed.send(method, 1, values);
    expect(await allowed.names()).not.toContain('channel.close');
    for (const right of Object.keys(needs)) {
      const refused = await prepared({ ...rights, [right]: '^$' });
      refused.send(method, 1, values);
      const { fields } = await refused.next('channel.close');
      expect(fields['replyCode']).toBe(403);
      expect(fields['replyText']).toMatch(
        new RegExp(`^ACCESS_REFUSED - ${right} access to \\w+ '\\w+' in vhost '/' refused for`),
      );
    }
  });

  test('publishing needs write on the exchange', async () => {
    const client = await prepared({ write: '^y$' });
    client.publish(1, 'y', '', 'm');
    client.publish(1, 'x', '', 'm');
    expect((await client.next('channel.close')).fields['replyCode']).toBe(403);
  });

  test('topic permissions hold for the routing key and for those of CC', async () => {
    for (const [key, cc, isAllowed] of [
      ['mine.1', 'mine.2', true],
      ['other', 'mine.2', false],
      ['mine.1', 'other', false],
    ] as const) {
      const harness = await Harness.open();
      const patterns = { write: '^mine', read: '.*' };
      harness.fixture.broker.access.setTopicPermission('guest', '/', 'amq.topic', patterns);
      const client = await harness.connect();
      client.publish(1, 'amq.topic', key, 'm', { headers: new Map([['CC', [cc]]]) });
      expect((await client.names()).includes('channel.close')).toBe(!isAllowed);
    }
  });
});

test('a deleted user has no connections: it would go on to be given messages', async () => {
  const harness = await Harness.open();
  const { access } = harness.fixture.broker;
  access.putUser('stays', {});
  const client = await harness.connect();
  harness.acceptor.tick();
  expect(await client.names()).toEqual([]);
  access.deleteUser('guest');
  harness.acceptor.tick();
  const { fields } = await client.next('connection.close');
  expect(fields['replyText']).toBe("CONNECTION_FORCED - user 'guest' was deleted");
});
