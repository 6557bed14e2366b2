import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { User } from '../../src/engine/access/user.ts';
import type { Broker } from '../../src/engine/broker.ts';
import { exportDefinitions } from '../../src/engine/definitions-export.ts';
import { DefinitionsError, importDefinitions } from '../../src/engine/definitions-import.ts';
import { MemoryDisk } from '../../src/store/memory-disk.ts';
import { openEmptyBroker } from '../support/empty-broker.ts';
import { cpuMs } from '../support/cpu-time.ts';

async function problemsOf(broker: Broker, json: unknown): Promise<readonly string[]> {
  try {
    await importDefinitions(broker, json);
  } catch (error) {
    if (error instanceof DefinitionsError) return error.problems;
    throw error;
  }
  return [];
}

function login(broker: Broker, name: string, password: string): Promise<User | undefined> {
  return new Promise((resolve) => broker.access.authenticate(name, password, resolve));
}

function rabbitHash(algorithm: 'sha256' | 'sha512', password: string): string {
  const salt = Buffer.from([1, 2, 3, 4]);
  const digest = createHash(algorithm).update(salt).update(password).digest();
  return Buffer.concat([salt, digest]).toString('base64');
}

/** The rows in an order that does not depend on who wrote them. */
function sorted(rows: readonly object[]): readonly object[] {
  const textOf = (row: object) => JSON.stringify(Object.entries(row).sort());
  return [...rows].sort((a, b) => (textOf(a) < textOf(b) ? -1 : 1));
}

/** What RabbitMQ 4 exports, shortened. */
const EXPORTED = {
  rabbit_version: '4.3.6',
  rabbitmq_definition_format: 'cluster',
  original_cluster_name: 'rabbit@host',
  users: [
    {
      name: 'ann',
      password_hash: rabbitHash('sha256', 'secret'),
      hashing_algorithm: 'rabbit_password_hashing_sha256',
      tags: ['administrator'],
      limits: { 'max-connections': 10 },
    },
    {
      name: 'bob',
      password_hash: rabbitHash('sha512', 'hidden'),
      hashing_algorithm: 'rabbit_password_hashing_sha512',
      tags: 'monitoring, policymaker',
      limits: [],
    },
    { name: 'cid', password: 'plain', tags: '' },
    { name: 'dee', tags: [] },
  ],
  vhosts: [
    { name: '/', limits: [], metadata: { description: 'x', default_queue_type: 'classic' } },
    { name: 'shop' },
  ],
  permissions: [{ user: 'ann', vhost: 'shop', configure: '.*', write: '^o', read: '' }],
  topic_permissions: [
    { user: 'ann', vhost: 'shop', exchange: 'events', write: '^a\\.', read: '.*' },
  ],
  parameters: [
    {
      value: { pattern: '.*', 'apply-to': 'queues', priority: 1, definition: { 'max-length': 9 } },
      vhost: 'shop',
      component: 'operator_policy',
      name: 'cap',
    },
  ],
  global_parameters: [{ name: 'cluster_name', value: 'rabbit@host' }],
  policies: [
    {
      vhost: 'shop',
      name: 'ttl',
      pattern: '^o',
      'apply-to': 'queues',
      definition: { 'message-ttl': 5000 },
      priority: 2,
    },
  ],
  queues: [
    {
      name: 'orders',
      vhost: 'shop',
      durable: true,
      auto_delete: false,
      arguments: { 'x-queue-type': 'quorum', 'x-dead-letter-exchange': 'dead' },
    },
    { name: 'log', vhost: '/', durable: true, auto_delete: false, arguments: {} },
  ],
  exchanges: [
    {
      name: 'events',
      vhost: 'shop',
      type: 'topic',
      durable: true,
      auto_delete: false,
      internal: false,
      arguments: { 'alternate-exchange': 'dead' },
    },
    { name: 'dead', vhost: 'shop', type: 'headers', durable: true, auto_delete: false },
  ],
  bindings: [
    {
      source: 'events',
      vhost: 'shop',
      destination: 'orders',
      destination_type: 'queue',
      routing_key: 'a.#',
      arguments: {},
    },
    {
      source: 'dead',
      vhost: 'shop',
      destination: 'orders',
      destination_type: 'queue',
      routing_key: '',
      arguments: { 'x-match': 'any', n: 1, f: 1.5, b: true, list: [1, 'two'], map: { k: 'v' } },
    },
    {
      source: 'events',
      vhost: 'shop',
      destination: 'dead',
      destination_type: 'exchange',
      routing_key: 'dead',
      arguments: {},
    },
    {
      source: 'amq.topic',
      vhost: '/',
      destination: 'log',
      destination_type: 'queue',
      routing_key: '#',
      arguments: {},
    },
  ],
};

describe('importDefinitions', () => {
  it('applies what RabbitMQ exports', async () => {
    const broker = await openEmptyBroker();
    const { applied, warnings } = await importDefinitions(broker, EXPORTED);
    expect(applied).toEqual({
      users: 4,
      vhosts: 2,
      permissions: 1,
      topic_permissions: 1,
      policies: 2,
      exchanges: 2,
      queues: 2,
      bindings: 4,
    });
    expect(warnings).toEqual([]);
    expect(await login(broker, 'ann', 'secret')).toMatchObject({ limits: { maxConnections: 10 } });
    expect((await login(broker, 'bob', 'hidden'))?.tags).toEqual(
      new Set(['monitoring', 'policymaker']),
    );
    expect(await login(broker, 'cid', 'plain')).toMatchObject({ name: 'cid' });
    expect(broker.access.user('cid')?.password?.algorithm).toBe('scrypt');
    expect(broker.access.user('dee')?.password).toBeUndefined();
    const { topology } = broker.vhost('shop')!;
    const settings = topology.queues.get('orders')!.settings;
    expect(settings).toMatchObject({
      queueType: 'quorum',
      deadLetterExchange: 'dead',
      messageTtlMs: 5000,
      maxLength: 9,
    });
    expect(topology.exchanges.get('events')!.alternateExchange).toBe('dead');
    const [binding] = topology.exchanges.get('dead')!.bindings();
    expect(binding!.arguments).toEqual(
      new Map<string, unknown>([
        ['x-match', 'any'],
        ['n', 1],
        ['f', { kind: 'double', value: 1.5 }],
        ['b', true],
        ['list', [1, 'two']],
        ['map', new Map([['k', 'v']])],
      ]),
    );
    expect(broker.access.user('guest')).toBeUndefined();
  });

  it('applies a file that RabbitMQ 4.3 wrote, and exports the same', async () => {
    const url = new URL('../fixtures/rabbitmq-4.3-definitions.json', import.meta.url);
    const file = JSON.parse(readFileSync(url, 'utf8')) as Record<string, object[]>;
    const broker = await openEmptyBroker();
    const { warnings } = await importDefinitions(broker, file);
    expect(warnings).toEqual([
      "exchange 'amq.rabbitmq.log' in vhost '/' is left out: the name is reserved",
    ]);
    const exported = exportDefinitions(broker) as unknown as Record<string, object[]>;
    for (const kind of ['users', 'permissions', 'topic_permissions', 'policies', 'parameters']) {
      expect(sorted(exported[kind]!)).toEqual(sorted(file[kind]!));
    }
    expect(sorted(exported['queues']!)).toEqual(sorted(file['queues']!));
    expect(sorted(exported['bindings']!)).toEqual(sorted(file['bindings']!));
    expect(exported['exchanges']).toHaveLength(2);
    expect(await login(broker, 'zed', 'zzz')).toMatchObject({ limits: { maxChannels: 5 } });
  });

  it('takes 10,000 queues with 50,000 bindings in a few seconds', async () => {
    const count = 10_000;
    const names = Array.from({ length: count }, (_, n) => `q${n}`);
    const broker = await openEmptyBroker();
    const startedMs = cpuMs();
    const { applied } = await importDefinitions(broker, {
      vhosts: [{ name: '/' }],
      queues: names.map((name) => ({ name, vhost: '/' })),
      bindings: names.flatMap((destination) =>
        [1, 2, 3, 4, 5].map((key) => ({
          vhost: '/',
          source: 'amq.topic',
          destination,
          routing_key: `${destination}.${key}.#`,
        })),
      ),
    });
    expect(applied).toMatchObject({ queues: count, bindings: count * 5 });
    // More than an order of magnitude above what it takes: only quadratic work reaches it.
    expect(cpuMs() - startedMs).toBeLessThan(30_000);
  });

  it('is durable with one commit and loads again without a write', async () => {
    const disk = new MemoryDisk();
    const broker = await openEmptyBroker(disk);
    await importDefinitions(broker, EXPORTED);
    await broker.store.close();
    const again = await openEmptyBroker(disk);
    expect(exportDefinitions(again)).toEqual(exportDefinitions(broker));
    expect(await importDefinitions(again, EXPORTED)).toEqual({ applied: {}, warnings: [] });
    expect(again.store.isDirty).toBe(false);
  });

  it('gives users, rights and policies the new form, and adds what is new', async () => {
    const broker = await openEmptyBroker();
    await importDefinitions(broker, EXPORTED);
    const { applied } = await importDefinitions(broker, {
      users: [{ name: 'ann', password: 'other', tags: [] }],
      permissions: [{ user: 'ann', vhost: 'shop', configure: '', write: '', read: '.*' }],
      policies: [
        { vhost: 'shop', name: 'ttl', pattern: '^o', definition: { 'message-ttl': 1 } },
        { vhost: '/', name: 'more', pattern: '', definition: { 'max-length': 1 } },
      ],
      queues: [{ name: 'new', vhost: '/' }],
    });
    expect(applied).toEqual({ users: 1, permissions: 1, policies: 2, queues: 1 });
    expect(await login(broker, 'ann', 'secret')).toBeUndefined();
    expect(await login(broker, 'ann', 'other')).toBeDefined();
    expect(broker.access.permission('ann', 'shop')!.read.source).toBe('.*');
    expect(broker.vhost('shop')!.topology.queues.get('orders')!.settings.messageTtlMs).toBe(1);
    expect(broker.vhost('/')!.topology.queues.get('log')).toBeDefined();
  });

  it('names every mistake and applies nothing', async () => {
    const broker = await openEmptyBroker();
    const bind = { vhost: '/', destination: 'q', destination_type: 'queue', routing_key: 'k' };
    const problems = await problemsOf(broker, {
      vhosts: [{ name: '/' }, { name: '' }, 7],
      users: [
        { name: 'a', password_hash: 'AAAA', hashing_algorithm: 'rabbit_password_hashing_md5' },
        { name: 'b', password_hash: 'AAAA' },
        { name: 'c', password: 'x', password_hash: rabbitHash('sha256', 'x') },
        { name: 'd', tags: [1], limits: { 'max-channels': 'x' } },
        { name: 'ok', tags: [] },
      ],
      permissions: [
        { user: 'nobody', vhost: 'nowhere', configure: '', write: '(', read: '' },
        { user: 'ok', vhost: '/', configure: '' },
      ],
      policies: [
        { vhost: '/', name: 'p', pattern: '.*', definition: { 'ha-mode': 'all' } },
        { vhost: '/', name: 'r', pattern: '.*', priority: 'x', definition: [] },
      ],
      queues: [
        { name: 'q', vhost: '/', arguments: { 'x-message-ttl': 'soon' } },
        { name: 'q', vhost: '/' },
        { name: 'free' },
      ],
      exchanges: [{ name: 'x', vhost: '/', type: 'none', durable: 'yes' }],
      bindings: [
        { ...bind, source: 'gone' },
        { ...bind, source: 'amq.headers', arguments: { 'x-match': 'some' } },
        { ...bind, source: 'amq.direct', destination: 'lost' },
        { ...bind, source: 'amq.direct', destination_type: 'topic' },
        { ...bind, source: 'amq.direct', vhost: 'nowhere' },
      ],
    });
    expect(problems).toEqual([
      "vhost '': name must not be empty",
      'vhosts[2]: must be an object',
      "user 'a': MD5 password hashes are not accepted, give the user a new password",
      "user 'b': password_hash is not a base64 hash of algorithm rabbit_password_hashing_sha256",
      "user 'c': has both password and password_hash",
      "user 'd': tags must be a list of texts, or a text with commas",
      "user 'd': limits.max-channels must be a whole number",
      "permission 'ok' in vhost '/': write is missing",
      "permission 'ok' in vhost '/': read is missing",
      "policy 'r' in vhost '/': definition must be an object",
      "policy 'r' in vhost '/': priority must be a whole number",
      "exchange 'x' in vhost '/': durable must be true or false",
      "queue 'free': vhost is missing",
      "binding bindings[3]: destination_type must be 'queue' or 'exchange'",
      "permission of user 'nobody' in vhost 'nowhere': there is no such vhost",
      "permission of user 'nobody' in vhost 'nowhere': there is no such user",
      "permission of user 'nobody' in vhost 'nowhere': invalid regular expression: " +
        '/(/: Unterminated group',
      'policy \'p\' in vhost \'/\': [{<<"ha-mode">>,<<"all">>}] are not recognised policy settings',
      "queue 'q' in vhost '/': is there twice",
      "queue 'q' in vhost '/': invalid arg 'x-message-ttl' for queue 'q' in vhost '/': " +
        '"expected integer, got longstr"',
      "binding from exchange 'gone' to queue 'q' in vhost '/' with key 'k': " +
        "there is no 'gone'",
      "binding from exchange 'amq.headers' to queue 'q' in vhost '/' with key 'k': " +
        'Invalid x-match field value <<"some">>; expected all, any, all-with-x, or any-with-x',
      "binding from exchange 'amq.direct' to queue 'lost' in vhost '/' with key 'k': " +
        "there is no 'lost'",
      "binding from exchange 'amq.direct' to queue 'q' in vhost 'nowhere' with key 'k': " +
        'there is no such vhost',
    ]);
    expect([...broker.vhosts()]).toEqual([]);
    expect([...broker.access.users()]).toEqual([]);
    expect(broker.store.isDirty).toBe(false);
  });

  it('refuses exchanges and queues that are there in another form', async () => {
    const broker = await openEmptyBroker();
    await importDefinitions(broker, EXPORTED);
    const problems = await problemsOf(broker, {
      exchanges: [{ name: 'events', vhost: 'shop', type: 'fanout' }],
      queues: [
        { name: 'orders', vhost: 'shop', durable: false },
        { name: 'log', vhost: '/', arguments: { 'x-max-length': 5 } },
      ],
    });
    expect(problems).toHaveLength(3);
    expect(problems[0]).toMatch(/inequivalent arg 'type' for exchange 'events' in vhost 'shop'/);
    expect(problems[1]).toMatch(/inequivalent arg 'durable' for queue 'orders' in vhost 'shop'/);
    expect(problems[2]).toMatch(/inequivalent arg 'x-max-length' for queue 'log' in vhost '\/'/);
  });

  it('leaves out what has no meaning here, with a warning', async () => {
    const broker = await openEmptyBroker();
    const { applied, warnings } = await importDefinitions(broker, {
      vhosts: [
        { name: '/', limits: { 'max-queues': 5 }, metadata: { default_queue_type: 'quorum' } },
      ],
      global_parameters: [{ name: 'mqtt_port_to_vhost_mapping', value: {} }],
      parameters: [{ component: 'shovel', name: 's', vhost: '/', value: {} }],
      queues: [{ name: 'amq.gen-1', vhost: '/' }],
      exchanges: [
        { name: 'amq.direct', vhost: '/', type: 'direct' },
        { name: 'amq.rabbitmq.log', vhost: '/', type: 'topic' },
        { name: '', vhost: '/', type: 'direct' },
      ],
      bindings: [
        { vhost: '/', source: 'amq.direct', destination: 'amq.gen-1', routing_key: 'k' },
        { vhost: '/', source: 'amq.rabbitmq.log', destination: 'q', routing_key: '#' },
        { vhost: '/', source: '', destination: 'q', routing_key: 'q' },
      ],
    });
    expect(applied).toEqual({ vhosts: 1 });
    expect(warnings).toHaveLength(9);
  });

  it.each([[null], [[]], ['text'], [{ queues: {} }]])('refuses %j', async (json) => {
    expect(await problemsOf(await openEmptyBroker(), json)).toHaveLength(1);
  });
});
