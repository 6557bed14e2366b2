/**
 * Permissions: configure, write and read, a regular expression each, per user and vhost; topic
 * permissions on top. All users stand in one definitions document, which our server loads at its
 * start and a RabbitMQ takes through its management API.
 */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, inject } from 'vitest';
import type { MethodArgs } from '../support/amqp-wire.ts';
import { type SpecContext, useBroker } from '../support/spec-test.ts';
import { manage } from '../support/target.ts';
import { parseTarget, type WireChannel, WireConnection } from '../support/wire-client.ts';

type Right = 'configure' | 'write' | 'read';

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

/** Users by what they are for, with a suffix of this run. */
const RUN = randomBytes(4).toString('hex');
const users: { name: string; password: string; tags: string }[] = [];
const permissions: Record<string, string>[] = [];
const topicPermissions: Record<string, string>[] = [];
const VHOST = parseTarget(inject('target').url ?? 'amqp://localhost').vhost;

function user(label: string, rights?: Partial<Record<Right, string>>, tags = ''): string {
  const name = `${label}-${RUN}`;
  users.push({ name, password: 'secret', tags });
  const none = { configure: '^$', write: '^$', read: '^$' };
  if (rights) permissions.push({ user: name, vhost: VHOST, ...none, ...rights });
  return name;
}

const ACCOUNTS = MATRIX.map((access) => ({
  access,
  allowed: user(`${access.what}-all`, rightsOf(access)),
  refused: access.needs.map((_, without) => ({
    name: user(`${access.what}-less-${without}`, rightsOf(access, without)),
    right: access.needs[without]![0],
  })),
}));
const NO_READ = user('no-read', { configure: '.*', write: '.*' });
const QUEUE_READER = user('queue-reader', { read: '^q-' });
const NO_WRITE = user('no-write', { configure: '.*', read: '.*' });
const EXCHANGE_WRITER = user('exchange-writer', { write: '^x-' });
const QUEUE_WRITER = user('queue-writer', { write: '^q-' });
const DEFAULT_WRITER = user('default-writer', { write: '^amq\\.default$' });
const STRANGER = user('stranger');
const IMPERSONATOR = user('impersonator', { write: '.*', read: '.*' }, 'impersonator');
const TOPICAL = user('topical', { configure: '.*', write: '.*', read: '.*' });
topicPermissions.push({
  user: TOPICAL,
  vhost: VHOST,
  exchange: 'amq.topic',
  write: '^{username}\\..*',
  read: '^public\\..*',
});

const definitions = { users, permissions, topic_permissions: topicPermissions };
const file = path.join(os.tmpdir(), `conformance-definitions-${RUN}.json`);
if (inject('target').url === undefined) {
  // A first start with definitions creates neither the default vhost nor the default user.
  const everything = { configure: '.*', write: '.*', read: '.*' };
  const whole = {
    vhosts: [{ name: VHOST }],
    users: [...users, { name: 'guest', password: 'guest', tags: 'administrator' }],
    permissions: [...permissions, { user: 'guest', vhost: VHOST, ...everything }],
    topic_permissions: topicPermissions,
  };
  fs.writeFileSync(file, JSON.stringify(whole));
}

const { specTest, url, isPeer } = useBroker({
  args: ['--host', '127.0.0.1', '--load-definitions', file],
});

beforeAll(async () => {
  if (isPeer) await manage(url(), 'POST', '/definitions', definitions);
});

afterAll(async () => {
  fs.rmSync(file, { force: true });
  if (!isPeer) return;
  for (const { name } of users) await manage(url(), 'DELETE', `/users/${name}`);
});

/** A channel as one of the users. */
async function as(t: SpecContext, name: string): Promise<WireChannel> {
  return await t.channel({ user: name, password: 'secret' });
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

for (const { access, allowed, refused } of ACCOUNTS) {
  const needs = access.needs.map(([right, kind]) => `${right} on ${kind}`).join(', ');
  specTest(
    { section: 'permissions', rule: `${access.what} needs ${needs}`, needsDefinitions: true },
    async (t) => {
      await withObjects(t, async (q, x) => {
        for (const { name, right } of refused) {
          const channel = await as(t, name);
          await channel.refused(
            access.method,
            access.args(q, x),
            403,
            new RegExp(
              `^ACCESS_REFUSED - ${right} access to (queue|exchange) '.*' in vhost '.*' ` +
                `refused for user '${name}'$`,
            ),
          );
        }
        await (await as(t, allowed)).call(access.method, access.args(q, x));
      });
    },
  );
}

specTest(
  { section: 'permissions', rule: 'basic.get needs read', needsDefinitions: true },
  async (t) => {
    await withObjects(t, async (q) => {
      const refused = await as(t, NO_READ);
      await refused.refused('basic.get', { queue: q }, 403, 'ACCESS_REFUSED - read access');
      expect(await (await as(t, QUEUE_READER)).get(q)).toBeUndefined();
    });
  },
);

specTest(
  { section: 'permissions', rule: 'basic.publish needs write', needsDefinitions: true },
  async (t) => {
    await withObjects(t, async (_, x) => {
      const refused = await as(t, NO_WRITE);
      refused.publish(x, 'k', 'no');
      await refused.expectClose(403, 'ACCESS_REFUSED - write access to exchange');
      const allowed = await as(t, EXCHANGE_WRITER);
      allowed.publish(x, 'k', 'yes');
      await allowed.sync();
    });
  },
);

specTest(
  {
    section: 'permissions',
    rule: 'the default exchange is amq.default in expressions',
    needsDefinitions: true,
  },
  async (t) => {
    await withObjects(t, async (q) => {
      const refused = await as(t, QUEUE_WRITER);
      refused.publish('', q, 'no');
      await refused.expectClose(403, "write access to exchange 'amq.default' in vhost");
      const allowed = await as(t, DEFAULT_WRITER);
      await allowed.confirmSelect();
      allowed.publish('', q, 'yes');
      await allowed.confirmed(1);
    });
  },
);

specTest(
  {
    section: 'permissions',
    rule: 'passive declares need any of the three',
    needsDefinitions: true,
  },
  async (t) => {
    await withObjects(t, async (q) => {
      for (const name of [QUEUE_READER, QUEUE_WRITER]) {
        await (await as(t, name)).call('queue.declare', { queue: q, passive: true });
      }
      const refused = await as(t, DEFAULT_WRITER);
      await refused.refused('queue.declare', { queue: q, passive: true }, 403, 'ACCESS_REFUSED');
    });
  },
);

specTest(
  {
    section: 'permissions',
    rule: 'without any on the vhost the connection gets 530',
    needsDefinitions: true,
  },
  async (t) => {
    const refused = WireConnection.open(t.url, { user: STRANGER, password: 'secret' });
    await expect(refused).rejects.toMatchObject({ level: 'connection', code: 530 });
  },
);

specTest(
  {
    section: 'connection.start-ok',
    rule: 'a wrong password of a known user gets 403',
    needsDefinitions: true,
  },
  async (t) => {
    const refused = WireConnection.open(t.url, { user: NO_READ, password: 'guess' });
    await expect(refused).rejects.toMatchObject({ level: 'connection', code: 403 });
  },
);

specTest(
  { section: 'user-id', rule: 'an impersonator may set another name', needsDefinitions: true },
  async (t) => {
    await withObjects(t, async (q) => {
      const channel = await as(t, IMPERSONATOR);
      channel.publish('', q, 'x', { userId: 'somebody' });
      expect((await channel.getSoon(q)).properties.userId).toBe('somebody');
    });
  },
);

specTest(
  {
    section: 'topic permissions',
    rule: 'limit keys of publishes and binds, with {username} in the expression',
    needsDefinitions: true,
  },
  async (t) => {
    const exchange = 'amq.topic';
    const connection = await t.connect({ user: TOPICAL, password: 'secret' });
    const channel = await connection.channel();
    channel.publish(exchange, `${TOPICAL}.a`, 'yes');
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
  },
);
