/** What of sessions is on disk: each change costs what it changes, and all of it comes back. */
import { expect, test, vi } from 'vitest';
import { SESSION_LEVELS_MAX } from '../../../src/base/limits.ts';
import { BrokerError } from '../../../src/base/errors.ts';
import { topicToKey } from '../../../src/engine/session/routing-key.ts';
import type { Sessions } from '../../../src/engine/session/sessions.ts';
import type { Session } from '../../../src/engine/session/session.ts';
import { levelsOf, type Subscription } from '../../../src/engine/session/subscription.ts';
import { MemoryDisk } from '../../../src/store/memory-disk.ts';
import { EngineFixture } from '../../support/engine-fixture.ts';
import { SeededRandom } from '../../support/seeded-random.ts';

const REQUEST = { clientId: 'dev', cleanStart: false, expiryMs: 1_000_000 };

function subscription(filter: string, qos: 0 | 1 | 2 = 1, identifier = 0): Subscription {
  const [, group, topicFilter = filter] = /^\$share\/([^/]+)\/(.*)$/.exec(filter) ?? [];
  const queue = topicFilter.startsWith('$queue/') ? topicFilter.slice(7) : undefined;
  return {
    filter,
    topicFilter,
    ...(group !== undefined && { group }),
    ...(queue !== undefined && { queue }),
    qos,
    noLocal: false,
    retainAsPublished: false,
    identifier,
  };
}

function subscribe(e: EngineFixture, session: Session, one: Subscription): boolean {
  return e.vhost.sessions.subscribe(e.actor, session, one, topicToKey(one.topicFilter));
}

/** Characters of definitions that the store is given from now on. */
function countWritten(e: EngineFixture): () => number {
  let count = 0;
  const define = e.store.define.bind(e.store);
  vi.spyOn(e.store, 'define').mockImplementation((kind, key, value) => {
    const counted = (): string => {
      const text = typeof value === 'string' ? value : value();
      count += kind.length + key.length + text.length;
      return text;
    };
    define(kind, key, counted);
  });
  return () => count;
}

test('one subscription after the other costs the same each', async () => {
  const e = await EngineFixture.open();
  const { session } = e.vhost.sessions.open(e.actor, REQUEST);
  await e.settle();
  const written = countWritten(e);
  const costs: number[] = [];
  for (let at = 1000; at < 2000; at += 1) {
    const before = written();
    subscribe(e, session, subscription(`sensors/${at}/temperature`));
    await e.settle();
    costs.push(written() - before);
  }
  expect(costs[0]).toBeLessThan(300);
  expect(new Set(costs).size).toBe(1);
});

test('what is subscribed as it was is not written again', async () => {
  const disk = new MemoryDisk();
  const e = await EngineFixture.open({ disk });
  const { session } = e.vhost.sessions.open(e.actor, REQUEST);
  subscribe(e, session, subscription('a', 1));
  await e.settle();
  const written = countWritten(e);
  expect(subscribe(e, session, subscription('a', 1))).toBe(false);
  await e.settle();
  expect(written()).toBe(0);
  const others: Subscription[] = [
    subscription('a', 2),
    subscription('a', 2, 5),
    { ...subscription('a', 2, 5), noLocal: true },
    { ...subscription('a', 2, 5), noLocal: true, retainAsPublished: true },
  ];
  for (const other of others) {
    subscribe(e, session, other);
    await e.settle();
    const again = await EngineFixture.open({ disk: copyOf(disk) });
    expect(again.vhost.sessions.find('dev')?.subscriptions.get('a')).toEqual(other);
  }
});

test('a session from when it was one definition is read, and is as others from then on', async () => {
  const disk = new MemoryDisk();
  const old = await EngineFixture.open({ disk });
  old.queue('work');
  old.vhost.sessions.open(old.actor, REQUEST);
  await old.settle();
  const subscriptions = ['a/#', 'b', '$share/g/c', '$share/g/$queue/work'].map((filter) =>
    subscription(filter),
  );
  const value = JSON.stringify({ expiryMs: 1_000_000, subscriptions });
  const [id, definition] = [...disk.definitions].find(([, { kind }]) => kind === 'session')!;
  disk.definitions.set(id, { ...definition, value });
  let e = await EngineFixture.open({ disk });
  const { session } = e.vhost.sessions.open(e.actor, REQUEST);
  expect([...session.subscriptions.values()]).toEqual(subscriptions);
  e.vhost.sessions.unsubscribe(session, 'b');
  subscribe(e, session, subscription('a/#', 2));
  await e.settle();
  for (let restarts = 0; restarts < 2; restarts += 1) {
    e = await EngineFixture.open({ disk });
    const found = [...e.vhost.sessions.find('dev')!.subscriptions.values()];
    expect(found.map(({ filter, qos }) => `${filter} ${qos}`).toSorted()).toEqual([
      '$share/g/$queue/work 1',
      '$share/g/c 1',
      'a/# 2',
    ]);
    await e.settle();
  }
});

test('a subscription without a session goes, and does not come back with a new one', async () => {
  const disk = new MemoryDisk();
  const e = await EngineFixture.open({ disk });
  const { session } = e.vhost.sessions.open(e.actor, REQUEST);
  subscribe(e, session, subscription('a'));
  await e.settle();
  const [id] = [...disk.definitions].find(([, { kind }]) => kind === 'session')!;
  disk.definitions.delete(id);
  const after = await EngineFixture.open({ disk });
  expect(after.vhost.sessions.open(after.actor, REQUEST).isPresent).toBe(false);
  await after.settle();
  const later = await EngineFixture.open({ disk });
  expect(later.vhost.sessions.find('dev')?.subscriptions.size).toBe(0);
});

test('long filters count as more levels: a session has a limit of their bytes, too', async () => {
  expect(['a', 'a/b', 'x'.repeat(255), 'x'.repeat(256)].map(levelsOf)).toEqual([1, 2, 1, 2]);
  const e = await EngineFixture.open();
  const { session } = e.vhost.sessions.open(e.actor, REQUEST);
  const long = 'x'.repeat(65_535);
  subscribe(e, session, subscription(long));
  session.levelCount = SESSION_LEVELS_MAX - 255;
  expect(() => subscribe(e, session, subscription(`${long.slice(1)}y`))).toThrow(BrokerError);
  expect(subscribe(e, session, subscription(long, 2))).toBe(false);
  expect(subscribe(e, session, subscription('short'))).toBe(true);
});

const FILTERS = [
  'a',
  'a/b',
  '+/b',
  '#',
  '$share/g/a',
  '$share/h/a',
  '$share/g/$queue/work',
  'é/"\\',
];
const CLIENTS = ['one', 'two', 'one","a'];

/** All that is to be found after a restart. */
function stateOf(sessions: Sessions): string[] {
  const lines: string[] = [];
  for (const clientId of CLIENTS) {
    const session = sessions.find(clientId);
    if (session?.isPersistent !== true) continue;
    lines.push(`${clientId} ${session.expiryMs}`);
    for (const one of session.subscriptions.values()) {
      lines.push(`${clientId} ${JSON.stringify(one)} ${sessions.sharedQueue(one)?.name}`);
    }
  }
  return lines.toSorted();
}

function copyOf(disk: MemoryDisk): MemoryDisk {
  const copy = new MemoryDisk();
  for (const [id, definition] of disk.definitions) copy.definitions.set(id, { ...definition });
  return copy;
}

function act(e: EngineFixture, random: SeededRandom): void {
  const { sessions, topology } = e.vhost;
  const clientId = CLIENTS[random.below(CLIENTS.length)]!;
  const session = sessions.find(clientId);
  const what = random.below(20);
  if (session === undefined || what === 0) {
    const cleanStart = random.below(2) === 0;
    const expiryMs = random.below(4) === 0 ? 0 : 1_000_000 + random.below(3);
    sessions.open(e.actor, { clientId, cleanStart, expiryMs });
  } else if (what < 12) {
    const filter = FILTERS[random.below(FILTERS.length)]!;
    subscribe(e, session, subscription(filter, random.below(3) as 0, random.below(2)));
  } else if (what < 16) {
    sessions.unsubscribe(session, FILTERS[random.below(FILTERS.length)]!);
  } else if (what === 16) {
    sessions.setExpiry(session, 1_000_000 + random.below(3));
  } else if (what === 17) {
    sessions.end(session);
  } else if (what === 18) {
    const shares = [...topology.queues.keys()].filter((name) => name.startsWith('mqtt-share-'));
    if (shares.length > 0) e.vhost.deleteQueue(e.actor, shares[0]!, false, false);
  } else if (session.hasQueue && topology.queues.has(session.queue.name)) {
    e.vhost.deleteQueue(e.actor, session.queue.name, false, false);
  }
}

test('whatever was done, a crash finds what the last commit had', async () => {
  const first = new MemoryDisk();
  await (await EngineFixture.open({ disk: first })).settle();
  for (let seed = 1; seed <= 100; seed += 1) {
    const random = new SeededRandom(seed);
    const disk = copyOf(first);
    let e = await EngineFixture.open({ disk });
    e.queue('work');
    await e.settle();
    let committed = stateOf(e.vhost.sessions);
    for (let step = 0; step < 60; step += 1) {
      act(e, random);
      const what = random.below(8);
      if (what <= 2) {
        await e.settle();
        committed = stateOf(e.vhost.sessions);
      } else if (what === 3) {
        e = await EngineFixture.open({ disk, clock: e.clock });
        expect(stateOf(e.vhost.sessions), `seed ${seed}, step ${step}`).toEqual(committed);
      }
    }
  }
});
