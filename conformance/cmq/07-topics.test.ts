/** Reference 2.4: topics and subscriptions, every parameter at its limits and beyond. */
import { describe, expect, test } from 'vitest';
import type { CmqClient, CmqParameters } from '../support/cmq-client.ts';
import {
  expectCode,
  makeQueue,
  now,
  PARAMETER_MODULES,
  unique,
  useCmq,
} from '../support/cmq-test.ts';

const { client } = useCmq();
const KEY_64 = `${'k'.repeat(62)}.k`;

async function makeTopic(cmq: CmqClient, attributes: CmqParameters = {}): Promise<string> {
  const topicName = unique('t');
  await cmq.ok('CreateTopic', { topicName, ...attributes });
  return topicName;
}

/** A subscription to a queue of its own. */
async function subscribe(cmq: CmqClient, topicName: string, more: CmqParameters = {}) {
  const endpoint = await makeQueue(cmq);
  const subscriptionName = unique('s');
  const wanted = { topicName, subscriptionName, protocol: 'queue', endpoint };
  const reply = await cmq.ok('Subscribe', {
    ...wanted,
    notifyContentFormat: 'SIMPLIFIED',
    ...more,
  });
  return { topicName, subscriptionName, endpoint, subscriptionId: reply['subscriptionId'] };
}

describe('topics', () => {
  test('have default attributes', async () => {
    const cmq = client();
    const before = now();
    const topicName = unique('t');
    const { topicId } = await cmq.ok('CreateTopic', { topicName });
    expect(topicId).toMatch(/^\S+$/);
    const reply = await cmq.ok('GetTopicAttributes', { topicName });
    expect(reply).toMatchObject({
      filterType: 1,
      maxMsgSize: 1_048_576,
      msgRetentionSeconds: 86_400,
      msgCount: 0,
    });
    expect(Number(reply['createTime'])).toBeGreaterThanOrEqual(before);
  });

  test('of either filter type keep it', async () => {
    const cmq = client();
    for (const filterType of [1, 2]) {
      const topicName = await makeTopic(cmq, { filterType });
      expect((await cmq.ok('GetTopicAttributes', { topicName }))['filterType']).toBe(filterType);
      await cmq.call('SetTopicAttributes', { topicName, filterType: 3 - filterType });
      expect((await cmq.ok('GetTopicAttributes', { topicName }))['filterType']).toBe(filterType);
    }
  });

  test.each([0, 3, 'tags'])('of filter type %s are refused', async (filterType) => {
    const reply = await client().call('CreateTopic', { topicName: unique('t'), filterType });
    expectCode(reply, 4000, ...PARAMETER_MODULES);
  });

  test.each([1_024, 1_048_576])('take messages of at most %i bytes', async (maxMsgSize) => {
    const cmq = client();
    const topicName = await makeTopic(cmq, { maxMsgSize });
    expect((await cmq.ok('GetTopicAttributes', { topicName }))['maxMsgSize']).toBe(maxMsgSize);
    const other = await makeTopic(cmq);
    await cmq.ok('SetTopicAttributes', { topicName: other, maxMsgSize });
    expect((await cmq.ok('GetTopicAttributes', { topicName: other }))['maxMsgSize']).toBe(
      maxMsgSize,
    );
  });

  test.each([1_023, 1_048_577, 'big'])('refuse maxMsgSize %s', async (maxMsgSize) => {
    const cmq = client();
    const created = await cmq.call('CreateTopic', { topicName: unique('t'), maxMsgSize });
    expectCode(created, 4000, ...PARAMETER_MODULES);
    const topicName = await makeTopic(cmq);
    const set = await cmq.call('SetTopicAttributes', { topicName, maxMsgSize });
    expectCode(set, 4000, ...PARAMETER_MODULES);
  });

  test.each(['1t', '-t', 't.t', 't t', `t${'x'.repeat(64)}`])('are not named %j', async (name) => {
    expectCode(await client().call('CreateTopic', { topicName: name }), 4000, 10590);
  });

  test('are named once, without regard to case', async () => {
    const cmq = client();
    const topicName = unique('Topic');
    await cmq.ok('CreateTopic', { topicName });
    expectCode(await cmq.call('CreateTopic', { topicName }), 4460);
    expectCode(await cmq.call('CreateTopic', { topicName: topicName.toUpperCase() }), 4460);
    await cmq.ok('GetTopicAttributes', { topicName: topicName.toLowerCase() });
    await cmq.ok('DeleteTopic', { topicName });
    await cmq.ok('CreateTopic', { topicName });
  });

  test('are listed in pages and found by a word', async () => {
    const cmq = client();
    const mark = unique('page');
    for (let at = 0; at < 22; at += 1) await cmq.ok('CreateTopic', { topicName: `${mark}-${at}` });
    const first = await cmq.ok('ListTopic', { searchWord: mark });
    expect(first['totalCount']).toBe(22);
    expect(first['topicList']).toHaveLength(20);
    const second = await cmq.ok('ListTopic', { searchWord: mark, offset: 20, limit: 50 });
    expect(second['topicList']).toHaveLength(2);
    expectCode(await cmq.call('ListTopic', { limit: 51 }), 4000, ...PARAMETER_MODULES);
  });

  test('with subscriptions are not deleted: 4000/10540', async () => {
    const cmq = client();
    const { topicName, subscriptionName } = await subscribe(cmq, await makeTopic(cmq));
    expectCode(await cmq.call('DeleteTopic', { topicName }), 4000, 10540);
    await cmq.ok('Unsubscribe', { topicName, subscriptionName });
    await cmq.ok('DeleteTopic', { topicName });
    expectCode(await cmq.call('GetTopicAttributes', { topicName }), 4440, 10600);
  });

  test.each([
    ['GetTopicAttributes', {}],
    ['SetTopicAttributes', { maxMsgSize: 2_048 }],
    ['DeleteTopic', {}],
    ['PublishMessage', { msgBody: 'x' }],
    ['BatchPublishMessage', { msgBody: ['x'] }],
    ['ListSubscriptionByTopic', {}],
    ['Subscribe', { subscriptionName: 's', protocol: 'http', endpoint: 'http://example.com/' }],
    ['Unsubscribe', { subscriptionName: 's' }],
    ['GetSubscriptionAttributes', { subscriptionName: 's' }],
    ['SetSubscriptionAttributes', { subscriptionName: 's' }],
    ['ClearSubscriptionFilterTags', { subscriptionName: 's' }],
  ] as const)('that are absent: %s is 4440/10600', async (action, parameters) => {
    const reply = await client().call(action, { topicName: unique('absent'), ...parameters });
    expectCode(reply, 4440, 10600);
  });
});

describe('publishing', () => {
  test('to a topic without subscriptions is 6030/10650', async () => {
    const cmq = client();
    const topicName = await makeTopic(cmq);
    expectCode(await cmq.call('PublishMessage', { topicName, msgBody: 'x' }), 6030, 10650);
    const batch = { topicName, msgBody: ['x', 'y'] };
    expectCode(await cmq.call('BatchPublishMessage', batch), 6030, 10650);
  });

  test('gives each copy the id of the message', async () => {
    const cmq = client();
    const topicName = await makeTopic(cmq);
    const one = await subscribe(cmq, topicName);
    const two = await subscribe(cmq, topicName);
    const { msgId } = await cmq.ok('PublishMessage', { topicName, msgBody: 'x' });
    expect(msgId).toMatch(/^\d{1,20}$/);
    for (const { endpoint } of [one, two]) {
      expect(await cmq.receive(endpoint)).toMatchObject({ msgBody: 'x', msgId });
    }
  });

  test('in a batch of 16 keeps order and ids; 17 are refused', async () => {
    const cmq = client();
    const { topicName, endpoint } = await subscribe(cmq, await makeTopic(cmq));
    const msgBody = Array.from({ length: 16 }, (_, at) => `n${at}`);
    const { msgList } = await cmq.ok('BatchPublishMessage', { topicName, msgBody });
    const { msgInfoList } = await cmq.ok('BatchReceiveMessage', {
      queueName: endpoint,
      numOfMsg: 16,
    });
    expect(msgInfoList.map((message) => message.msgBody)).toEqual(msgBody);
    expect(msgInfoList.map((message) => message.msgId)).toEqual(
      msgList.map((message) => message.msgId),
    );
    const more = { topicName, msgBody: [...msgBody, 'x'] };
    expectCode(await cmq.call('BatchPublishMessage', more), 4000, 10370);
    const gap = { topicName, 'msgBody.0': 'a', 'msgBody.2': 'b' };
    expectCode(await cmq.call('BatchPublishMessage', gap), 4000, 10380);
  });

  test('an empty body is 4000/10120, a large one 4400/10230', async () => {
    const cmq = client();
    const { topicName } = await subscribe(cmq, await makeTopic(cmq, { maxMsgSize: 1_024 }));
    expectCode(await cmq.call('PublishMessage', { topicName, msgBody: '' }), 4000, 10120);
    await cmq.ok('PublishMessage', { topicName, msgBody: 'x'.repeat(1_024) });
    const large = { topicName, msgBody: 'x'.repeat(1_025) };
    expectCode(await cmq.call('PublishMessage', large), 4400, 10230);
    const batch = { topicName, msgBody: ['x', 'x'.repeat(1_025)] };
    expectCode(await cmq.call('BatchPublishMessage', batch), 4400, 10230);
  });

  test('takes five tags of 16 characters and no more', async () => {
    const cmq = client();
    const { topicName } = await subscribe(cmq, await makeTopic(cmq));
    const tag = 'x'.repeat(16);
    const publish = (msgTag: readonly string[]) =>
      cmq.call('PublishMessage', { topicName, msgBody: 'x', msgTag });
    expectCode(await publish([tag, 'b', 'c', 'd', 'e']), 0);
    expectCode(await publish(['a', 'b', 'c', 'd', 'e', 'f']), 4000, 10720);
    expectCode(await publish([`${tag}x`]), 4000, 10720, ...PARAMETER_MODULES);
  });

  test('to a topic of type 2 needs a routing key of at most 64 bytes and 15 dots', async () => {
    const cmq = client();
    const topicName = await makeTopic(cmq, { filterType: 2 });
    await subscribe(cmq, topicName, { bindingKey: ['#'] });
    const publish = (routingKey?: string) =>
      cmq.call('PublishMessage', { topicName, msgBody: 'x', routingKey });
    expectCode(await publish(), 4000, 10700);
    expectCode(await publish(''), 4000, 10700);
    expectCode(await publish(KEY_64), 0);
    expectCode(await publish(`${KEY_64}x`), 4000, 10690, ...PARAMETER_MODULES);
    expectCode(await publish(`${'a.'.repeat(15)}a`), 0);
    expectCode(await publish(`${'a.'.repeat(16)}a`), 4000, 10690, 10691);
  });
});

describe('subscriptions', () => {
  test('tell their attributes and are listed', async () => {
    const cmq = client();
    const topicName = await makeTopic(cmq);
    const one = await subscribe(cmq, topicName, { filterTag: ['a', 'b'] });
    expect(one.subscriptionId).toMatch(/^\S+$/);
    const { subscriptionName, endpoint } = one;
    const reply = await cmq.ok('GetSubscriptionAttributes', { topicName, subscriptionName });
    expect(reply).toMatchObject({
      protocol: 'queue',
      endpoint,
      notifyStrategy: 'EXPONENTIAL_DECAY_RETRY',
      notifyContentFormat: 'SIMPLIFIED',
      filterTags: ['a', 'b'],
      msgCount: 0,
    });
    expect(reply['topicOwner']).toBeDefined();
    expect(reply['createTime']).toBeTypeOf('number');
    const list = await cmq.ok('ListSubscriptionByTopic', { topicName });
    expect(list['totalCount']).toBe(1);
    expect(list['subscriptionList']).toMatchObject([
      { subscriptionName, protocol: 'queue', endpoint },
    ]);
  });

  test('are listed in pages and found by a word', async () => {
    const cmq = client();
    const topicName = await makeTopic(cmq);
    const endpoint = await makeQueue(cmq);
    for (let at = 0; at < 22; at += 1) {
      const subscriptionName = `sub-${String(at).padStart(2, '0')}`;
      await cmq.ok('Subscribe', { topicName, subscriptionName, protocol: 'queue', endpoint });
    }
    const first = await cmq.ok('ListSubscriptionByTopic', { topicName });
    expect(first['totalCount']).toBe(22);
    expect(first['subscriptionList']).toHaveLength(20);
    const some = await cmq.ok('ListSubscriptionByTopic', { topicName, searchWord: 'sub-1' });
    expect(some['totalCount']).toBe(10);
    const last = await cmq.ok('ListSubscriptionByTopic', { topicName, offset: 20, limit: 5 });
    expect(last['subscriptionList']).toHaveLength(2);
  });

  test('exist once under a name: 4490/10470, and absent ones are 4440', async () => {
    const cmq = client();
    const { topicName, subscriptionName, endpoint } = await subscribe(cmq, await makeTopic(cmq));
    const again = { topicName, subscriptionName, protocol: 'queue', endpoint };
    expectCode(await cmq.call('Subscribe', again), 4490, 10470);
    const absent = { topicName, subscriptionName: unique('absent') };
    for (const action of [
      'Unsubscribe',
      'GetSubscriptionAttributes',
      'SetSubscriptionAttributes',
      'ClearSubscriptionFilterTags',
    ]) {
      expect((await cmq.call(action, absent)).code, action).toBe(4440);
    }
  });

  test('change strategy and filter, never protocol or endpoint', async () => {
    const cmq = client();
    const { topicName, subscriptionName, endpoint } = await subscribe(cmq, await makeTopic(cmq), {
      filterTag: ['a'],
    });
    const place = { topicName, subscriptionName };
    const filterTag = ['c', 'd', 'e', 'f', 'g'];
    await cmq.ok('SetSubscriptionAttributes', {
      ...place,
      notifyStrategy: 'BACKOFF_RETRY',
      filterTag,
    });
    for (const other of [{ endpoint: 'elsewhere' }, { protocol: 'http' }]) {
      const refused = await cmq.call('SetSubscriptionAttributes', { ...place, ...other });
      expectCode(refused, 4000, 10110);
    }
    expect(await cmq.ok('GetSubscriptionAttributes', place)).toMatchObject({
      notifyStrategy: 'BACKOFF_RETRY',
      filterTags: filterTag,
      endpoint,
      protocol: 'queue',
    });
    await cmq.ok('ClearSubscriptionFilterTags', place);
    const cleared = await cmq.ok('GetSubscriptionAttributes', place);
    expect(cleared['filterTags'] ?? []).toEqual([]);
  });

  test.each([
    ['protocol', { protocol: 'smtp' }, [10510]],
    ['strategy', { notifyStrategy: 'NEVER' }, [10520]],
    ['content format', { notifyContentFormat: 'XML' }, [10530]],
    ['content format of a queue', { notifyContentFormat: 'JSON' }, [10500, 10630, 10640]],
    ['http endpoint', { protocol: 'http', endpoint: 'nowhere' }, [10500, 10630, 10640]],
    ['name', { subscriptionName: '1s' }, [10590]],
    ['number of tags', { filterTag: ['a', 'b', 'c', 'd', 'e', 'f'] }, [10490, 10670]],
    ['length of a tag', { filterTag: ['x'.repeat(17)] }, [10670, ...PARAMETER_MODULES]],
  ] as const)('with a wrong %s are refused', async (_name, wrong, modules) => {
    const cmq = client();
    const topicName = await makeTopic(cmq);
    const endpoint = await makeQueue(cmq);
    const good = { topicName, subscriptionName: 's', protocol: 'queue', endpoint };
    const reply = await cmq.call('Subscribe', {
      ...good,
      notifyContentFormat: 'SIMPLIFIED',
      ...wrong,
    });
    expectCode(reply, 4000, ...modules);
  });

  test('to an absent queue are refused', async () => {
    const cmq = client();
    const reply = await cmq.call('Subscribe', {
      topicName: await makeTopic(cmq),
      subscriptionName: 's',
      protocol: 'queue',
      endpoint: unique('absent'),
    });
    expect([4000, 4440], reply.message).toContain(reply.code);
  });

  test('with blanks in the URL are 4510/10570, and endpoints may have 500 characters', async () => {
    const cmq = client();
    const topicName = await makeTopic(cmq);
    const try_ = (subscriptionName: string, endpoint: string) =>
      cmq.call('Subscribe', { topicName, subscriptionName, protocol: 'http', endpoint });
    expectCode(await try_('s', 'http://example.com/a b'), 4510, 10570);
    const start = 'http://example.com/';
    expectCode(await try_('s', `${start}${'x'.repeat(501 - start.length)}`), 4000);
    expectCode(await try_('s', `${start}${'x'.repeat(500 - start.length)}`), 0);
    await cmq.ok('Unsubscribe', { topicName, subscriptionName: 's' });
  });

  test('of a topic of type 2 have one to five keys of at most 64 bytes and 15 dots', async () => {
    const cmq = client();
    const topicName = await makeTopic(cmq, { filterType: 2 });
    const endpoint = await makeQueue(cmq);
    const try_ = (subscriptionName: string, bindingKey?: readonly string[]) =>
      cmq.call('Subscribe', {
        topicName,
        subscriptionName,
        protocol: 'queue',
        endpoint,
        notifyContentFormat: 'SIMPLIFIED',
        bindingKey,
      });
    expectCode(await try_('none'), 4000, 10710);
    expectCode(await try_('six', ['a', 'b', 'c', 'd', 'e', 'f']), 4000, 10680, 10370);
    expectCode(await try_('long', [`${KEY_64}x`]), 4000, 10680, ...PARAMETER_MODULES);
    expectCode(await try_('dots', [`${'a.'.repeat(16)}a`]), 4000, 10690, 10691);
    expectCode(await try_('five', ['a', 'b', 'c', KEY_64, `${'a.'.repeat(15)}a`]), 0);
    const place = { topicName, subscriptionName: 'five' };
    const reply = await cmq.ok('GetSubscriptionAttributes', place);
    expect(reply['bindingKey']).toHaveLength(5);
    await cmq.ok('SetSubscriptionAttributes', { ...place, bindingKey: ['x.#'] });
    const changed = await cmq.ok('GetSubscriptionAttributes', place);
    expect(changed['bindingKey']).toEqual(['x.#']);
  });

  test('that end take nothing more', async () => {
    const cmq = client();
    const topicName = await makeTopic(cmq);
    const one = await subscribe(cmq, topicName);
    const two = await subscribe(cmq, topicName);
    await cmq.ok('PublishMessage', { topicName, msgBody: 'both' });
    const { subscriptionName } = one;
    await cmq.ok('Unsubscribe', { topicName, subscriptionName });
    await cmq.ok('PublishMessage', { topicName, msgBody: 'one' });
    expect(await cmq.drain(one.endpoint)).toEqual(['both']);
    expect(await cmq.drain(two.endpoint)).toEqual(['both', 'one']);
  });
});
