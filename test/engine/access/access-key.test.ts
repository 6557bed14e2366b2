import { expect, test } from 'vitest';
import {
  type AccessKey,
  KEY_ID_PREFIX,
  keyProblem,
  newKeyPair,
} from '../../../src/engine/access/access-key.ts';
import { exportDefinitions } from '../../../src/engine/definitions-export.ts';
import { importDefinitions } from '../../../src/engine/definitions-import.ts';
import { MemoryDisk } from '../../../src/store/memory-disk.ts';
import { EngineFixture } from '../../support/engine-fixture.ts';
import { SeededRandom } from '../../support/seeded-random.ts';

const KEY: AccessKey = {
  id: 'AKIDone',
  secret: 'secret-of-one',
  user: 'guest',
  vhost: '/',
  isEnabled: true,
};

test('keys are made of letters and digits, each as likely as any other', () => {
  const random = new SeededRandom(1);
  const counts = new Map<string, number>();
  const ids = new Set<string>();
  for (let count = 0; count < 500; count += 1) {
    const { id, secret } = newKeyPair(random);
    expect(keyProblem({ id, secret })).toBeUndefined();
    expect(id).toMatch(/^AKID[A-Za-z0-9]{32}$/);
    expect(secret).toMatch(/^[A-Za-z0-9]{32}$/);
    ids.add(id);
    for (const letter of id.slice(KEY_ID_PREFIX.length)) {
      counts.set(letter, (counts.get(letter) ?? 0) + 1);
    }
  }
  expect(ids.size).toBe(500);
  expect(counts.size).toBe(62);
  // 16,000 letters over 62: 258 of each, give or take.
  for (const count of counts.values()) expect(Math.abs(count - 258)).toBeLessThan(100);
});

test.each<[Partial<AccessKey>, boolean]>([
  [{}, true],
  [{ id: 'a' }, true],
  [{ id: 'x'.repeat(64) }, true],
  [{ id: 'x'.repeat(65) }, false],
  [{ id: '' }, false],
  [{ id: 'a b' }, false],
  [{ id: 'a/b' }, false],
  [{ secret: 'x'.repeat(8) }, true],
  [{ secret: 'x'.repeat(7) }, false],
  [{ secret: 'x'.repeat(256) }, true],
  [{ secret: 'x'.repeat(257) }, false],
])('%j is a key: %s', async (change, isGood) => {
  const { broker } = await EngineFixture.open();
  const put = () => broker.access.keys.put({ ...KEY, ...change });
  if (isGood) expect(put).not.toThrow();
  else expect(put).toThrow();
});

test('a key needs its user and goes with it, or with its vhost', async () => {
  const { broker } = await EngineFixture.open();
  const { access } = broker;
  expect(() => access.keys.put({ ...KEY, user: 'nobody' })).toThrow("no user 'nobody'");
  access.putUser('ann', {});
  broker.addVHost('v');
  access.keys.put(KEY);
  access.keys.put({ ...KEY, id: 'AKIDann', user: 'ann' });
  access.keys.put({ ...KEY, id: 'AKIDv', vhost: 'v' });
  access.deleteUser('ann');
  access.removeVHost('v');
  expect([...access.keys.all()]).toEqual([KEY]);
  expect(access.keys.delete('AKIDone')).toBe(true);
  expect(access.keys.delete('AKIDone')).toBe(false);
});

test('keys survive a restart, changed ones as they were changed last', async () => {
  const disk = new MemoryDisk();
  const first = await EngineFixture.open({ disk });
  const { keys } = first.broker.access;
  keys.put(KEY);
  keys.put({ ...KEY, id: 'AKIDtwo' });
  keys.put({ ...KEY, id: 'AKIDgone' });
  keys.put({ ...KEY, id: 'AKIDtwo', isEnabled: false });
  keys.delete('AKIDgone');
  first.broker.turn();
  await first.broker.store.close();
  const second = await EngineFixture.open({ disk });
  expect([...second.broker.access.keys.all()]).toEqual([
    KEY,
    { ...KEY, id: 'AKIDtwo', isEnabled: false },
  ]);
});

test('definitions files hold keys, both ways', async () => {
  const { broker } = await EngineFixture.open();
  const row = { id: 'AKIDone', secret: 'secret-of-one', user: 'guest', vhost: '/' };
  const load = (...rows: object[]) => importDefinitions(broker, { access_keys: rows });
  expect((await load(row)).applied).toEqual({ access_keys: 1 });
  // What is there already costs no write.
  expect((await load(row)).applied).toEqual({});
  expect((await load({ ...row, enabled: false })).applied).toEqual({ access_keys: 1 });
  expect(exportDefinitions(broker)['access_keys']).toEqual([{ ...row, enabled: false }]);
  await expect(load(row, row)).rejects.toThrow("access key 'AKIDone': is there twice");
  await expect(load({ ...row, user: 'x' })).rejects.toThrow('there is no such user');
  await expect(load({ ...row, vhost: 'x' })).rejects.toThrow('there is no such vhost');
  await expect(load({ ...row, secret: 'short' })).rejects.toThrow('the secret of a key has');
  await expect(load({ ...row, id: '' })).rejects.toThrow('id must not be empty');
  await expect(load({ ...row, enabled: 1 })).rejects.toThrow('enabled must be true or false');
});
