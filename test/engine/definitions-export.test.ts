import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FieldValue } from '../../src/base/field-value.ts';
import { exportDefinitions } from '../../src/engine/definitions-export.ts';
import { importDefinitions } from '../../src/engine/definitions-import.ts';
import { openEmptyBroker } from '../support/empty-broker.ts';
import { EngineFixture } from '../support/engine-fixture.ts';

const NAMES = ['a', 'b.c', 'ü', '__proto__', ' '];
const VHOSTS = ['/', 'v'];

const name = fc.constantFrom(...NAMES);
const vhost = fc.constantFrom(...VHOSTS);

/** Any JSON value an argument may have. */
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.integer(),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e20, max: 1e20 }),
    fc.string({ maxLength: 4 }),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 2 }),
    fc.dictionary(fc.string({ maxLength: 3 }), tie('value'), { maxKeys: 2 }),
  ),
}));
/** Names that mean nothing to any type, so that every value is good. */
const args = fc.dictionary(fc.constantFrom('free', 'loose', 'x-nothing'), value, { maxKeys: 3 });

const user = fc.record({
  name,
  tags: fc.uniqueArray(fc.constantFrom('administrator', 'own', 'management')),
  password_hash: fc.constantFrom('', Buffer.alloc(36, 1).toString('base64')),
  limits: fc.record({ 'max-channels': fc.nat(9) }, { requiredKeys: [] }),
});
const pattern = fc.constantFrom('', '.*', '^a', 'b\\.c$');
const permission = fc.record({
  user: name,
  vhost,
  configure: pattern,
  write: pattern,
  read: pattern,
});
const topicPermission = fc.record({
  user: name,
  vhost,
  exchange: name,
  write: pattern,
  read: pattern,
});
const policy = fc.record({
  name,
  vhost,
  pattern,
  priority: fc.integer({ min: -5, max: 5 }),
  'apply-to': fc.constantFrom('all', 'queues', 'exchanges'),
  definition: fc.record({ 'max-length': fc.nat(), 'message-ttl': fc.nat() }),
});
const exchange = fc.record({
  name,
  vhost,
  type: fc.constantFrom('direct', 'fanout', 'topic', 'headers'),
  durable: fc.boolean(),
  auto_delete: fc.boolean(),
  internal: fc.boolean(),
  arguments: args,
});
const queue = fc.record({
  name,
  vhost,
  durable: fc.boolean(),
  auto_delete: fc.boolean(),
  arguments: args,
});
const binding = fc.record({
  vhost,
  source: fc.constantFrom('amq.topic', 'amq.headers'),
  destination: name,
  destination_type: fc.constant('queue'),
  routing_key: fc.constantFrom('', 'k', 'a.*.#'),
  arguments: args,
});

function unique<T extends object>(item: fc.Arbitrary<T>, ...keys: (keyof T)[]) {
  const selector = (row: T) => JSON.stringify(keys.map((key) => row[key]));
  return fc.uniqueArray(item, { selector, maxLength: 5 });
}

const definitions = fc.record({
  vhosts: fc.constant(VHOSTS.map((vhostName) => ({ name: vhostName }))),
  // All of them, so that permissions and bindings have something to refer to.
  users: fc.tuple(...NAMES.map((fixed) => user.map((row) => ({ ...row, name: fixed })))),
  queues: fc.tuple(
    ...VHOSTS.flatMap((where) =>
      NAMES.map((fixed) => queue.map((row) => ({ ...row, name: fixed, vhost: where }))),
    ),
  ),
  permissions: unique(permission, 'user', 'vhost'),
  topic_permissions: unique(topicPermission, 'user', 'vhost', 'exchange'),
  policies: unique(policy, 'name', 'vhost'),
  parameters: unique(policy, 'name', 'vhost').map((rows) =>
    rows.map(({ name: policyName, vhost: where, ...rest }) => ({
      component: 'operator_policy',
      name: policyName,
      vhost: where,
      value: rest,
    })),
  ),
  exchanges: unique(exchange, 'name', 'vhost'),
  bindings: fc.array(binding, { maxLength: 6 }),
});

/** As it is read from a file. */
function viaText(json: unknown): unknown {
  return JSON.parse(JSON.stringify(json));
}

describe('exportDefinitions', () => {
  it('comes back the same through an import, and says nothing new to its own broker', async () => {
    await fc.assert(
      fc.asyncProperty(definitions, async (document) => {
        const broker = await openEmptyBroker();
        await importDefinitions(broker, viaText(document));
        const exported = viaText(exportDefinitions(broker));
        expect((await importDefinitions(broker, exported)).applied).toEqual({});
        const other = await openEmptyBroker();
        await importDefinitions(other, exported);
        expect(viaText(exportDefinitions(other))).toEqual(exported);
        const row = (exported as typeof document).queues.find(({ name: n }) => n === 'ü')!;
        const given = document.queues.find((q) => q.name === 'ü' && q.vhost === row.vhost)!;
        expect(row.arguments).toEqual(viaText(given.arguments));
      }),
      { numRuns: 30, seed: 11 },
    );
  });

  it('shows kinds of values that JSON has not, and knows them again', async () => {
    const e = await EngineFixture.open();
    e.queue('q', { 'x-max-priority': 3n });
    const rich: [string, FieldValue][] = [
      ['bytes', Buffer.from([255, 0])],
      ['time', { kind: 'timestamp', value: 1_700_000_000 }],
      ['decimal', { kind: 'decimal', scale: 2, value: 314 }],
      ['double', { kind: 'double', value: 10 }],
      ['table', new Map([['list', [1n, { kind: 'float', value: 0.5 }]]])],
    ];
    e.bind('q', 'amq.headers', 'k', new Map(rich));
    const exported = exportDefinitions(e.broker) as Record<string, { arguments: unknown }[]>;
    expect(exported['bindings']![0]!.arguments).toEqual({
      bytes: '/wA=',
      time: 1_700_000_000,
      decimal: 3.14,
      double: 10,
      table: { list: [1, 0.5] },
    });
    expect((await importDefinitions(e.broker, viaText(exported))).applied).toEqual({});
  });

  it('leaves out exclusive queues, their bindings and what every vhost has', async () => {
    const e = await EngineFixture.open();
    e.queue('mine', {}, { exclusive: true });
    e.bind('mine', 'amq.direct', 'k');
    expect(exportDefinitions(e.broker)).toMatchObject({
      vhosts: [{ name: '/' }],
      users: [{ name: 'guest', hashing_algorithm: 'scrypt', tags: ['administrator'] }],
      permissions: [{ user: 'guest', vhost: '/', configure: '.*', write: '.*', read: '.*' }],
      queues: [],
      exchanges: [],
      bindings: [],
    });
  });
});
