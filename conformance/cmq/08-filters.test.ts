/** Reference 2.5: tags and routing keys decide who gets a copy. */
import amqp from 'amqplib';
import { describe, expect, test } from 'vitest';
import type { CmqClient, CmqParameters } from '../support/cmq-client.ts';
import { expectCode, makeQueue, unique, useCmq } from '../support/cmq-test.ts';

const { client, server } = useCmq();

/** A topic with one queue per filter, by name. */
async function topicWith(
  cmq: CmqClient,
  filterType: 1 | 2,
  filters: Readonly<Record<string, CmqParameters>>,
) {
  const topicName = unique('t');
  await cmq.ok('CreateTopic', { topicName, filterType });
  const queues = new Map<string, string>();
  for (const [name, filter] of Object.entries(filters)) {
    const endpoint = await makeQueue(cmq);
    queues.set(name, endpoint);
    await cmq.ok('Subscribe', {
      topicName,
      subscriptionName: name,
      protocol: 'queue',
      endpoint,
      notifyContentFormat: 'SIMPLIFIED',
      ...filter,
    });
  }
  const received = async (): Promise<Record<string, string[]>> => {
    const found: Record<string, string[]> = {};
    for (const [name, endpoint] of queues) found[name] = await cmq.drain(endpoint);
    return found;
  };
  return { topicName, received };
}

describe('tags', () => {
  test('truth table', async () => {
    const cmq = client();
    const { topicName, received } = await topicWith(cmq, 1, {
      none: {},
      a: { filterTag: ['a'] },
      ab: { filterTag: ['a', 'b'] },
      five: { filterTag: ['v', 'w', 'x', 'y', 'z'] },
    });
    const publish = (msgBody: string, msgTag?: readonly string[]) =>
      cmq.ok('PublishMessage', { topicName, msgBody, msgTag });
    await publish('untagged');
    await publish('a', ['a']);
    await publish('b', ['b']);
    await publish('c', ['c']);
    await publish('b+z', ['b', 'z']);
    await publish('five', ['q', 'r', 's', 't', 'a']);
    await publish('A', ['A']);
    expect(await received()).toEqual({
      none: ['untagged', 'a', 'b', 'c', 'b+z', 'five', 'A'],
      a: ['a', 'five'],
      ab: ['a', 'b', 'b+z', 'five'],
      five: ['b+z'],
    });
  });

  test('of a batch hold for all of it', async () => {
    const cmq = client();
    const { topicName, received } = await topicWith(cmq, 1, {
      a: { filterTag: ['a'] },
      b: { filterTag: ['b'] },
    });
    await cmq.ok('BatchPublishMessage', { topicName, msgBody: ['1', '2', '3'], msgTag: ['a'] });
    expect(await received()).toEqual({ a: ['1', '2', '3'], b: [] });
  });

  test('that nobody wants are dropped silently', async () => {
    const cmq = client();
    const { topicName, received } = await topicWith(cmq, 1, { a: { filterTag: ['a'] } });
    await cmq.ok('PublishMessage', { topicName, msgBody: 'lost', msgTag: ['b'] });
    await cmq.ok('PublishMessage', { topicName, msgBody: 'lost too' });
    expect(await received()).toEqual({ a: [] });
  });

  test('may change while messages wait: a copy is made at publish', async () => {
    const cmq = client();
    const { topicName, received } = await topicWith(cmq, 1, { a: { filterTag: ['a'] } });
    await cmq.ok('PublishMessage', { topicName, msgBody: 'early', msgTag: ['a'] });
    await cmq.ok('SetSubscriptionAttributes', {
      topicName,
      subscriptionName: 'a',
      filterTag: ['b'],
    });
    await cmq.ok('PublishMessage', { topicName, msgBody: 'no', msgTag: ['a'] });
    await cmq.ok('PublishMessage', { topicName, msgBody: 'yes', msgTag: ['b'] });
    expect(await received()).toEqual({ a: ['early', 'yes'] });
  });

  test('two subscriptions on one queue make two copies', async () => {
    const cmq = client();
    const topicName = unique('t');
    await cmq.ok('CreateTopic', { topicName });
    const endpoint = await makeQueue(cmq);
    for (const subscriptionName of ['one', 'two']) {
      await cmq.ok('Subscribe', { topicName, subscriptionName, protocol: 'queue', endpoint });
    }
    await cmq.ok('PublishMessage', { topicName, msgBody: 'x' });
    expect(await cmq.drain(endpoint)).toEqual(['x', 'x']);
  });
});

describe('routing keys', () => {
  const table = [
    ['1.*.0', '1.x.0', true],
    ['1.*.0', '1.0', false],
    ['1.*.0', '1.x.y.0', false],
    ['1.#.0', '1.2.3.4.4.2.2.0', true],
    ['1.#.0', '1.0', true],
    ['1.#.0', '1.0.1', false],
    ['#', 'anything.at.all', true],
    ['#', 'x', true],
    ['*', 'x', true],
    ['*', 'x.y', false],
    ['a.#', 'a', true],
    ['#.a', 'x.y.a', true],
    ['*.*', 'a.b', true],
    ['a.b', 'A.b', false],
    ['a.b', 'a.b', true],
  ] as const;

  test('the table of the reference', async () => {
    const cmq = client();
    for (const pattern of new Set(table.map(([first]) => first))) {
      const { topicName, received } = await topicWith(cmq, 2, { s: { bindingKey: [pattern] } });
      const rows = table.filter(([first]) => first === pattern);
      for (const [, routingKey, isMatch] of rows) {
        await publish(cmq, topicName, routingKey, isMatch);
      }
      const wanted = rows.filter(([, , matches]) => matches).map(([, key]) => key);
      expect((await received())['s'], pattern).toEqual(wanted);
    }
  });

  test('are OR-combined, one copy per subscription', async () => {
    const cmq = client();
    const { topicName, received } = await topicWith(cmq, 2, {
      many: { bindingKey: ['a.#', '#.b', 'a.b', '*', 'x'] },
    });
    for (const key of ['a.b', 'z.b', 'x']) await publish(cmq, topicName, key, true);
    await publish(cmq, topicName, 'n.n', false);
    expect(await received()).toEqual({ many: ['a.b', 'z.b', 'x'] });
  });

  test('agree with a topic exchange and a plain matcher on random pairs', async () => {
    const cmq = client();
    let seed = 20_260_101;
    const pick = (count: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((seed / 2_147_483_648) * count);
    };
    const words = (letters: readonly string[]) =>
      Array.from({ length: 1 + pick(4) }, () => letters[pick(letters.length)]!).join('.');
    const made = Array.from({ length: 160 }, () => words(['a', 'b', '*', '#']));
    // A key may have two `#`, as in an AMQP topic exchange here (docs/AMQP.md).
    const patterns = [...new Set(made)].filter((pattern) => pattern.split('#').length <= 3);
    const keys = [...new Set(Array.from({ length: 160 }, () => words(['a', 'b', 'c'])))];
    const filters = patterns.map((key, at) => [`s${at}`, { bindingKey: [key] }] as const);
    const { topicName, received } = await topicWith(cmq, 2, Object.fromEntries(filters));

    const connection = await amqp.connect(server().url);
    const channel = await connection.createConfirmChannel();
    const exchange = unique('x');
    await channel.assertExchange(exchange, 'topic', { autoDelete: true });
    const queues: string[] = [];
    for (const pattern of patterns) {
      const { queue } = await channel.assertQueue('', { exclusive: true });
      await channel.bindQueue(queue, exchange, pattern);
      queues.push(queue);
    }
    const isWanted = (pattern: string, key: string): boolean =>
      matches(pattern.split('.'), key.split('.'));
    await Promise.all(
      keys.map(async (key) => {
        const isMatch = patterns.some((pattern) => isWanted(pattern, key));
        await publish(cmq, topicName, key, isMatch);
        channel.publish(exchange, key, Buffer.from(key));
      }),
    );
    await channel.waitForConfirms();
    const found = await received();
    for (const [at, pattern] of patterns.entries()) {
      const wanted = keys.filter((key) => isWanted(pattern, key));
      expect(found[`s${at}`]!.toSorted(), pattern).toEqual(wanted.toSorted());
      const { messageCount } = await channel.checkQueue(queues[at]!);
      expect(messageCount, pattern).toBe(wanted.length);
    }
    await connection.close();
  });
});

/** Publishes a key as its own body; one that no pattern matches is reported with 6030/10730. */
async function publish(cmq: CmqClient, topicName: string, routingKey: string, isMatch: boolean) {
  const reply = await cmq.call('PublishMessage', { topicName, msgBody: routingKey, routingKey });
  if (isMatch) expectCode(reply, 0);
  else expectCode(reply, 6030, 10730);
}

/** `*` is one word, `#` any number of them. */
function matches(pattern: readonly string[], key: readonly string[]): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return key.length === 0;
  if (first === '#') {
    return key.some((_, at) => matches(rest, key.slice(at))) || matches(rest, []);
  }
  return key.length > 0 && (first === '*' || first === key[0]) && matches(rest, key.slice(1));
}
