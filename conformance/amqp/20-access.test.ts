/**
 * Permissions: configure, write and read, a regular expression each, per user and vhost; topic
 * permissions on top. The users are made through the management API, so against a broker without
 * one these rules show as skipped.
 */
import { expect } from 'vitest';
import type { MethodArgs } from '../support/amqp-wire.ts';
import { type SpecContext, useBroker } from '../support/spec-test.ts';
import { manage } from '../support/target.ts';
import { parseTarget, type WireChannel, WireConnection } from '../support/wire-client.ts';

const { specTest } = useBroker();

type Right = 'configure' | 'write' | 'read';

interface Account {
  readonly name: string;
  readonly channel: WireChannel;
  remove(): Promise<void>;
}

/** A user with exactly these rights on the test's vhost, and a channel as that user. */
async function account(
  t: SpecContext,
  rights: Partial<Record<Right, string>>,
  tags = '',
): Promise<Account> {
  const name = t.name('user');
  const vhost = encodeURIComponent(parseTarget(t.url).vhost);
  await manage(t.url, 'PUT', `/users/${name}`, { password: 'secret', tags });
  await manage(t.url, 'PUT', `/permissions/${vhost}/${name}`, {
    configure: '^$',
    write: '^$',
    read: '^$',
    ...rights,
  });
  const connection = await t.connect({ user: name, password: 'secret' });
  return {
    name,
    channel: await connection.channel(),
    remove: async () => {
      connection.destroy();
      await manage(t.url, 'DELETE', `/users/${name}`);
    },
  };
}

interface Access {
  readonly what: string;
  readonly method: string;
  /** q and x exist, are owned by nobody and match the user's expressions `q-` and `x-`. */
  readonly args: (q: string, x: string) => Partial<MethodArgs>;
  /** Rights the user needs, by kind of resource. */
  readonly needs: readonly (readonly [Right, 'q' | 'x'])[];
}

const MATRIX: readonly Access[] = [
  {
    what: 'queue.declare',
    method: 'queue.declare',
    args: (q) => ({ queue: q, durable: true }),
    needs: [['configure', 'q']],
  },
  {
    what: 'queue.delete',
    method: 'queue.delete',
    args: (q) => ({ queue: q }),
    needs: [['configure', 'q']],
  },
  {
    what: 'exchange.declare',
    method: 'exchange.declare',
    args: (_, x) => ({ exchange: x, type: 'fanout' }),
    needs: [['configure', 'x']],
  },
  {
    what: 'exchange.delete',
    method: 'exchange.delete',
    args: (_, x) => ({ exchange: x }),
    needs: [['configure', 'x']],
  },
  {
    what: 'queue.bind',
    method: 'queue.bind',
    args: (q, x) => ({ queue: q, exchange: x }),
    needs: [
      ['write', 'q'],
      ['read', 'x'],
    ],
  },
  {
    what: 'queue.unbind',
    method: 'queue.unbind',
    args: (q, x) => ({ queue: q, exchange: x }),
    needs: [
      ['write', 'q'],
      ['read', 'x'],
    ],
  },
  {
    what: 'queue.purge',
    method: 'queue.purge',
    args: (q) => ({ queue: q }),
    needs: [['read', 'q']],
  },
  {
    what: 'basic.consume',
    method: 'basic.consume',
    args: (q) => ({ queue: q }),
    needs: [['read', 'q']],
  },
  {
    what: 'exchange.bind',
    method: 'exchange.bind',
    args: (_, x) => ({ destination: x, source: 'amq.fanout' }),
    needs: [['write', 'x']],
  },
  {
    what: 'alternate-exchange',
    method: 'exchange.declare',
    args: (_, x) => ({
      exchange: `${x}-new`,
      type: 'fanout',
      autoDelete: true,
      arguments: { 'alternate-exchange': x },
    }),
    needs: [
      ['configure', 'x'],
      ['read', 'x'],
      ['write', 'x'],
    ],
  },
  {
    what: 'x-dead-letter-exchange',
    method: 'queue.declare',
    args: (q, x) => ({
      queue: `${q}-new`,
      exclusive: true,
      arguments: { 'x-dead-letter-exchange': x },
    }),
    needs: [
      ['configure', 'q'],
      ['read', 'q'],
      ['write', 'x'],
    ],
  },
];

/** Expressions that give exactly `needs`, less the one at `without`. */
function rightsOf(access: Access, without = -1): Partial<Record<Right, string>> {
  const rights: Record<Right, string[]> = { configure: [], write: [], read: ['amq.fanout'] };
  for (const [index, [right, kind]] of access.needs.entries()) {
    if (index !== without) rights[right].push(`${kind}-.*`);
  }
  return {
    configure: `^(${rights.configure.join('|')})$`,
    write: `^(${rights.write.join('|')})$`,
    read: `^(${rights.read.join('|')})$`,
  };
}

async function withObjects(
  t: SpecContext,
  run: (q: string, x: string) => Promise<void>,
): Promise<void> {
  const admin = await t.channel();
  const q = await admin.queue(t.name('q'), { durable: true });
  const x = await admin.exchange(t.name('x'), 'fanout');
  try {
    await run(q, x);
  } finally {
    await admin.call('queue.delete', { queue: q });
    await admin.call('exchange.delete', { exchange: x });
  }
}

for (const access of MATRIX) {
  const needs = access.needs.map(([right, kind]) => `${right} on ${kind}`).join(', ');
  specTest(
    { section: 'permissions', rule: `${access.what} needs ${needs}`, needsManagement: true },
    async (t) => {
      await withObjects(t, async (q, x) => {
        for (let without = 0; without < access.needs.length; without += 1) {
          const user = await account(t, rightsOf(access, without));
          const right = access.needs[without]![0];
          await user.channel.refused(
            access.method,
            access.args(q, x),
            403,
            new RegExp(
              `^ACCESS_REFUSED - ${right} access to (queue|exchange) '.*' in vhost '.*' ` +
                `refused for user '${user.name}'$`,
            ),
          );
          await user.remove();
        }
        const user = await account(t, rightsOf(access));
        await user.channel.call(access.method, access.args(q, x));
        await user.remove();
      });
    },
  );
}

specTest(
  { section: 'permissions', rule: 'basic.get needs read', needsManagement: true },
  async (t) => {
    await withObjects(t, async (q) => {
      const refused = await account(t, { configure: '.*', write: '.*' });
      await refused.channel.refused('basic.get', { queue: q }, 403, 'ACCESS_REFUSED - read access');
      await refused.remove();
      const allowed = await account(t, { read: '^q-' });
      expect(await allowed.channel.get(q)).toBeUndefined();
      await allowed.remove();
    });
  },
);

specTest(
  { section: 'permissions', rule: 'basic.publish needs write', needsManagement: true },
  async (t) => {
    await withObjects(t, async (_, x) => {
      const refused = await account(t, { configure: '.*', read: '.*' });
      refused.channel.publish(x, 'k', 'no');
      await refused.channel.expectClose(403, 'ACCESS_REFUSED - write access to exchange');
      await refused.remove();
      const allowed = await account(t, { write: '^x-' });
      allowed.channel.publish(x, 'k', 'yes');
      await allowed.channel.sync();
      await allowed.remove();
    });
  },
);

specTest(
  {
    section: 'permissions',
    rule: 'the default exchange is amq.default in expressions',
    needsManagement: true,
  },
  async (t) => {
    await withObjects(t, async (q) => {
      const refused = await account(t, { write: '^q-' });
      refused.channel.publish('', q, 'no');
      await refused.channel.expectClose(403, "write access to exchange 'amq.default' in vhost");
      await refused.remove();
      const allowed = await account(t, { write: '^amq\\.default$' });
      await allowed.channel.confirmSelect();
      allowed.channel.publish('', q, 'yes');
      await allowed.channel.confirmed(1);
      await allowed.remove();
    });
  },
);

specTest(
  {
    section: 'permissions',
    rule: 'without any on the vhost the connection gets 530',
    needsManagement: true,
  },
  async (t) => {
    const name = t.name('user');
    await manage(t.url, 'PUT', `/users/${name}`, { password: 'secret', tags: '' });
    const refused = WireConnection.open(t.url, { user: name, password: 'secret' });
    await expect(refused).rejects.toMatchObject({ level: 'connection', code: 530 });
    await manage(t.url, 'DELETE', `/users/${name}`);
  },
);

specTest(
  { section: 'user-id', rule: 'an impersonator may set another name', needsManagement: true },
  async (t) => {
    await withObjects(t, async (q) => {
      const user = await account(t, { write: '.*', read: '.*' }, 'impersonator');
      user.channel.publish('', q, 'x', { userId: 'somebody' });
      expect((await user.channel.getSoon(q)).properties.userId).toBe('somebody');
      await user.remove();
    });
  },
);

specTest(
  {
    section: 'topic permissions',
    rule: 'write limits routing keys, with {username} in the expression',
    needsManagement: true,
  },
  async (t) => {
    const admin = await t.channel();
    const exchange = await admin.exchange(t.name('x'), 'topic');
    const user = await account(t, { write: '.*', read: '.*', configure: '.*' });
    const vhost = encodeURIComponent(parseTarget(t.url).vhost);
    await manage(t.url, 'PUT', `/topic-permissions/${vhost}/${user.name}`, {
      exchange,
      write: '^{username}\\..*',
      read: '^public\\..*',
    });
    const connection = await t.connect({ user: user.name, password: 'secret' });
    const channel = await connection.channel();
    channel.publish(exchange, `${user.name}.a`, 'yes');
    await channel.sync();
    channel.publish(exchange, 'other.a', 'no');
    await channel.expectClose(403, "ACCESS_REFUSED - write access to topic 'other.a' in exchange");
    const reader = await connection.channel();
    const queue = await reader.queue('', { exclusive: true });
    await reader.bind(queue, exchange, 'public.a');
    await reader.refused(
      'queue.bind',
      { queue, exchange, routingKey: 'private.a' },
      403,
      "ACCESS_REFUSED - read access to topic 'private.a' in exchange",
    );
    await user.remove();
    await admin.call('exchange.delete', { exchange });
  },
);
