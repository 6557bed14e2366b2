/** RETAIN where no more can be retained: whoever can be told is told, and nothing is done by half. */
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Any, Harness } from './mqtt-harness.ts';

const LIMITS = '../../../src/base/limits.ts';
const QUOTA_EXCEEDED = 0x97;

vi.resetModules();
vi.doMock(LIMITS, async (original) => ({
  ...(await original<object>()),
  RETAINED_MESSAGES_MAX: 3,
  RETAINED_LEVELS_MAX: 8,
  RETAINED_BYTES_MAX: 1_000,
}));
afterAll(() => {
  vi.doUnmock(LIMITS);
  vi.resetModules();
});
const { Harness: Opened } = await import('./mqtt-harness.ts');
const { silentLogger } = await import('../../../src/base/logger.ts');

let harness: Harness;

beforeEach(async () => {
  harness = await Opened.open();
});

/** What a new subscriber of everything gets, as `topic=payload`. */
async function retained(): Promise<string[]> {
  const client = await harness.connect('reader');
  await client.subscribe('#', { qos: 1 });
  const got = await client.publishes();
  await client.disconnect();
  return got.map(({ topic, payload }: Any) => `${topic}=${payload}`).toSorted();
}

/** Three messages are retained: no fourth topic can be. */
async function fill(properties?: Any): Promise<void> {
  const client = await harness.connect('filler');
  for (const topic of ['a', 'b', 'c']) {
    client.publish(topic, 'old', { qos: 1, retain: true, properties });
    const { reasonCode } = await client.next('puback');
    expect(reasonCode ?? 0).toBeLessThan(0x80);
  }
  await client.disconnect();
}

describe('a message of 5.0 that cannot be retained', () => {
  test.each([1, 2] as const)('is refused with QoS %i, and not delivered', async (qos) => {
    await fill();
    const reader = await harness.connect('r');
    await reader.subscribe('d', { qos: 2 });
    const client = await harness.connect('p');
    client.publish('d', 'new', { qos, retain: true });
    const answer = await client.next(qos === 1 ? 'puback' : 'pubrec');
    expect(answer.reasonCode).toBe(QUOTA_EXCEEDED);
    expect(await reader.messages()).toEqual([]);
    // With room for it the repeat does all of it, once.
    client.publish('a', '', { qos: 1, retain: true, messageId: 2 });
    await client.next('puback');
    client.publish('d', 'new', { qos, retain: true });
    expect((await client.next(qos === 1 ? 'puback' : 'pubrec')).reasonCode ?? 0).toBe(0);
    if (qos === 2) client.send({ cmd: 'pubrel', messageId: 1 });
    expect(await reader.messages()).toEqual(['new']);
    expect(await retained()).toEqual(['b=old', 'c=old', 'd=new']);
  });

  test('leaves what its topic retains', async () => {
    await fill();
    const client = await harness.connect('p');
    client.publish('a', 'x'.repeat(2_000), { qos: 1, retain: true });
    expect((await client.next('puback')).reasonCode).toBe(QUOTA_EXCEEDED);
    client.publish('b', 'new', { qos: 1, retain: true });
    expect((await client.next('puback')).reasonCode).not.toBe(QUOTA_EXCEEDED);
    expect(await retained()).toEqual(['a=old', 'b=new', 'c=old']);
  });

  test('is one of too many levels, too', async () => {
    const client = await harness.connect('p');
    client.publish('1/2/3/4/5/6/7', 'm', { qos: 1, retain: true });
    expect((await client.next('puback')).reasonCode).not.toBe(QUOTA_EXCEEDED);
    client.publish('1/2/3/4/5/6/8/9', 'm', { qos: 1, retain: true });
    expect((await client.next('puback')).reasonCode).toBe(QUOTA_EXCEEDED);
    client.publish('1/2/3/4/5/6/8', 'm', { qos: 1, retain: true });
    expect((await client.next('puback')).reasonCode).not.toBe(QUOTA_EXCEEDED);
    client.publish('1/2', 'm', { qos: 1, retain: true });
    expect((await client.next('puback')).reasonCode).not.toBe(QUOTA_EXCEEDED);
    expect(await retained()).toEqual(['1/2/3/4/5/6/7=m', '1/2/3/4/5/6/8=m', '1/2=m']);
  });

  test('has the room of those that have expired', async () => {
    await fill({ messageExpiryInterval: 10 });
    harness.advance(10_000);
    const client = await harness.connect('p');
    client.publish('d', 'new', { qos: 1, retain: true });
    expect((await client.next('puback')).reasonCode).not.toBe(QUOTA_EXCEEDED);
    expect(await retained()).toEqual(['d=new']);
  });

  test('is published without RETAIN, and one without payload always is', async () => {
    await fill();
    const client = await harness.connect('p');
    client.publish('d', 'new', { qos: 1 });
    expect((await client.next('puback')).reasonCode).not.toBe(QUOTA_EXCEEDED);
    client.publish('d', '', { qos: 1, retain: true });
    expect((await client.next('puback')).reasonCode).not.toBe(QUOTA_EXCEEDED);
  });
});

describe('where no answer can tell', () => {
  test.each([
    { version: 4, qos: 0 },
    { version: 4, qos: 1 },
    { version: 4, qos: 2 },
    { version: 5, qos: 0 },
  ] as const)('it is published, not retained, and logged: $version, QoS $qos', async (one) => {
    const { version, qos } = one;
    await fill();
    const reader = await harness.connect('r');
    await reader.subscribe('d');
    const warn = vi.spyOn(silentLogger, 'warn');
    const client = await harness.connect('p', { version });
    client.publish('d', 'new', { qos, retain: true });
    if (qos > 0) await client.next(qos === 1 ? 'puback' : 'pubrec');
    expect(await reader.messages()).toEqual(['new']);
    expect(await retained()).toEqual(['a=old', 'b=old', 'c=old']);
    expect(warn.mock.calls).toHaveLength(1);
    expect(warn.mock.calls[0]![0]).toMatchObject({ vhost: '/', topic: 'd', notRetained: 1 });
    warn.mockRestore();
  });

  test('nothing older comes back in its place, after a restart neither', async () => {
    await fill();
    const client = await harness.connect('p', { version: 4 });
    client.publish('a', 'x'.repeat(2_000), { qos: 1, retain: true });
    await client.next('puback');
    expect(await retained()).toEqual(['b=old', 'c=old']);
    const { disk } = harness.fixture.store as Any;
    harness = await Opened.open({}, { disk });
    expect(await retained()).toEqual(['b=old', 'c=old']);
  });

  test('the log has one line a minute', async () => {
    await fill();
    const warn = vi.spyOn(silentLogger, 'warn');
    const client = await harness.connect('p', { version: 4 });
    for (let at = 0; at < 100; at += 1) client.publish('d'.repeat(5_000), 'm', { retain: true });
    await harness.settle();
    expect(warn.mock.calls).toHaveLength(1);
    harness.advance(60_000);
    client.publish('d', 'm', { retain: true });
    await harness.settle();
    expect(warn.mock.calls).toHaveLength(2);
    expect(warn.mock.calls[1]![0]).toMatchObject({ topic: 'd', notRetained: 100 });
    expect(JSON.stringify(warn.mock.calls[0]).length).toBeLessThan(1_000);
    warn.mockRestore();
  });

  test('a will is published', async () => {
    await fill();
    const reader = await harness.connect('r');
    await reader.subscribe('d');
    const will: Any = { topic: 'd', payload: Buffer.from('gone'), qos: 1, retain: true };
    await (await harness.connect('w', { will })).lose();
    expect(await reader.messages()).toEqual(['gone']);
    expect(await retained()).toEqual(['a=old', 'b=old', 'c=old']);
  });
});
