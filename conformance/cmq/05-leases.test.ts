/** Reference 2.3: visibility, receipt handles, long polling. Time is real here: tests run at once. */
import { describe, expect, test } from 'vitest';
import { eventually, expectCode, makeQueue, pause, timed, useCmq } from '../support/cmq-test.ts';

const { client, server } = useCmq();
/** Seconds of a poll that is to wake, and how soon it does: a busy machine is no missed wake. */
const WAIT_SECONDS = 30;
const WAKE_MS = 20_000;
/** What the machine may add to the end of a poll; a client gives up a second after it. */
const END_MS = 900;

describe.concurrent('leases', () => {
  test('S9a: not deleted is visible again: same id, new handle, counted, first time kept', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq, { visibilityTimeout: 6 });
    const msgId = await cmq.send(queueName, 'x');
    const first = await cmq.receive(queueName);
    expectCode(await cmq.call('ReceiveMessage', { queueName }), 7000);
    const second = await cmq.receive(queueName, WAIT_SECONDS);
    const third = await cmq.receive(queueName, WAIT_SECONDS);
    const all = [first, second, third];
    expect(all.map((message) => message.msgId)).toEqual([msgId, msgId, msgId]);
    expect(all.map((message) => message.dequeueCount)).toEqual([1, 2, 3]);
    expect(new Set(all.map((message) => message.receiptHandle)).size).toBe(3);
    expect(new Set(all.map((message) => message.firstDequeueTime)).size).toBe(1);
    expect(new Set(all.map((message) => message.enqueueTime)).size).toBe(1);
    for (const { receiptHandle } of [first, second]) {
      expectCode(await cmq.call('DeleteMessage', { queueName, receiptHandle }), 4430, 10260);
    }
    await cmq.remove(queueName, third);
    expect(await cmq.counters(queueName)).toMatchObject({ active: 0, inactive: 0 });
  });

  test('a handle dies at its deadline even when nobody else has the message', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq, { visibilityTimeout: 1 });
    await cmq.send(queueName, 'x');
    const { receiptHandle } = await cmq.receive(queueName);
    await eventually(
      async () => (await cmq.counters(queueName)).active === 1,
      'the lease is over by itself',
    );
    expectCode(await cmq.call('DeleteMessage', { queueName, receiptHandle }), 4430, 10260);
  });

  test('a receive may ask for a lease of its own', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq, { visibilityTimeout: 40_000 });
    await cmq.send(queueName, 'x');
    const short = await cmq.ok('ReceiveMessage', { queueName, visibilityTimeout: 1 });
    expect(short.nextVisibleTime - short.firstDequeueTime).toBe(1);
    const again = await cmq.receive(queueName, WAIT_SECONDS);
    expect(again.dequeueCount).toBe(2);
    const batch = { queueName, numOfMsg: 1, visibilityTimeout: 43_200 };
    expectCode(await cmq.call('BatchReceiveMessage', batch), 7000);
  });

  test('a lease ends on the second, and returned messages keep their place', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq, { visibilityTimeout: 3 });
    await cmq.send(queueName, 'first');
    const { ms } = await timed(async () => {
      await cmq.receive(queueName);
      await cmq.send(queueName, 'second');
      await eventually(async () => (await cmq.counters(queueName)).inactive === 0, 'it ends');
    });
    expect(ms).toBeGreaterThanOrEqual(2_990);
    expect(ms).toBeLessThan(3_000 + WAKE_MS);
    await cmq.ok('SetQueueAttributes', { queueName, visibilityTimeout: 43_200 });
    expect((await cmq.receive(queueName)).msgBody).toBe('first');
    expect((await cmq.receive(queueName)).msgBody).toBe('second');
  });

  test('changing visibilityTimeout acts on the next receive, not on leases that run', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq, { visibilityTimeout: 1 });
    await cmq.send(queueName, 'x');
    const first = await cmq.receive(queueName);
    await cmq.ok('SetQueueAttributes', { queueName, visibilityTimeout: 30 });
    const second = await cmq.receive(queueName, WAIT_SECONDS);
    expect(second.nextVisibleTime - first.firstDequeueTime).toBeGreaterThanOrEqual(30);
  });
});

describe.concurrent('long polling', () => {
  test('wakes on a send', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    const polled = timed(() => cmq.receive(queueName, WAIT_SECONDS));
    await pause(1_000);
    const sent = await timed(() => cmq.send(queueName, 'x'));
    const { ms, value } = await polled;
    expect(value.msgBody).toBe('x');
    expect(ms).toBeGreaterThanOrEqual(990);
    expect(ms).toBeLessThan(1_000 + sent.ms + WAKE_MS);
  });

  test('wakes when a delay is due', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    const { ms } = await timed(async () => {
      await cmq.send(queueName, 'x', { delaySeconds: 1 });
      await cmq.receive(queueName, WAIT_SECONDS);
    });
    expect(ms).toBeGreaterThanOrEqual(990);
    expect(ms).toBeLessThan(1_000 + WAKE_MS);
  });

  test('wakes when a lease ends', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq, { visibilityTimeout: 1 });
    await cmq.send(queueName, 'x');
    await cmq.receive(queueName);
    const { ms, value } = await timed(() => cmq.receive(queueName, WAIT_SECONDS));
    expect(value.dequeueCount).toBe(2);
    expect(ms).toBeLessThan(1_000 + WAKE_MS);
  });

  test('wakes on a rewind', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq, { rewindSeconds: 600 });
    await cmq.send(queueName, 'x');
    await cmq.remove(queueName, await cmq.receive(queueName));
    const polled = timed(() => cmq.receive(queueName, WAIT_SECONDS));
    await pause(500);
    const startConsumeTime = Math.floor(Date.now() / 1000) - 60;
    await cmq.ok('RewindQueue', { queueName, startConsumeTime });
    const { ms, value } = await polled;
    expect(value.msgBody).toBe('x');
    expect(ms).toBeLessThan(500 + WAKE_MS);
  });

  test('wakes when a message is given back', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    await cmq.send(queueName, 'x');
    const { receiptHandle } = await cmq.receive(queueName);
    const polled = cmq.receive(queueName, WAIT_SECONDS);
    await pause(300);
    await cmq.ok('ChangeMessageVisibility', { queueName, receiptHandle, visibilityTimeout: 0 });
    expect((await polled).dequeueCount).toBe(2);
  });

  test('ends with 7000 when its time is over, well inside a second', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    const call = () => cmq.call('ReceiveMessage', { queueName, pollingWaitSeconds: 2 });
    // One that came late because of the machine is tried again.
    await eventually(async () => {
      const { ms, value } = await timed(call);
      expectCode(value, 7000, 10200);
      expect(ms).toBeGreaterThanOrEqual(1_990);
      return ms < 2_000 + END_MS;
    }, 'an end in time');
  });

  test('waits as long as the queue says when the receive says nothing', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq, { pollingWaitSeconds: 1 });
    const { ms, value } = await timed(() => cmq.call('ReceiveMessage', { queueName }));
    expectCode(value, 7000);
    expect(ms).toBeGreaterThanOrEqual(990);
    await cmq.ok('SetQueueAttributes', { queueName, pollingWaitSeconds: WAIT_SECONDS });
    const none = { queueName, pollingWaitSeconds: 0 };
    expect((await timed(() => cmq.call('ReceiveMessage', none))).ms).toBeLessThan(WAKE_MS);
  });

  test('one send wakes exactly one of many, and the line is fair', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    const order: number[] = [];
    const polls: Promise<void>[] = [];
    for (let at = 0; at < 5; at += 1) {
      const poll = cmq.call('ReceiveMessage', { queueName, pollingWaitSeconds: 10 });
      polls.push(
        poll.then((reply) => {
          if (reply.code === 0) order.push(at);
        }),
      );
      await pause(250);
    }
    await cmq.send(queueName, 'one');
    await eventually(async () => order.length > 0, 'one wakes');
    await pause(200);
    expect(order).toEqual([0]);
    await cmq.ok('BatchSendMessage', { queueName, msgBody: ['two', 'three'] });
    await Promise.all(polls);
    expect(order.toSorted()).toEqual([0, 1, 2]);
  });

  test('a client that has gone takes no message', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    for (let at = 0; at < 5; at += 1) {
      const gone = new AbortController();
      const poll = cmq.call('ReceiveMessage', { queueName, pollingWaitSeconds: 10 }, gone.signal);
      const ended = poll.catch(() => 'gone');
      await pause(100);
      gone.abort();
      expect(await ended).toBe('gone');
    }
    await pause(3_000);
    await cmq.send(queueName, 'kept');
    expect((await cmq.receive(queueName)).dequeueCount).toBe(1);
  });

  test('ends with 4440 when its queue is deleted', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    const poll = cmq.call('ReceiveMessage', { queueName, pollingWaitSeconds: WAIT_SECONDS });
    await pause(200);
    await cmq.ok('DeleteQueue', { queueName });
    const { ms, value } = await timed(() => poll);
    expect([4440, 7000]).toContain(value.code);
    expect(ms).toBeLessThan(WAKE_MS);
  });

  test('a batch receive that waits gets what one send of many brings', async () => {
    const cmq = client();
    const queueName = await makeQueue(cmq);
    const wait = { queueName, numOfMsg: 16, pollingWaitSeconds: 10 };
    const poll = cmq.ok('BatchReceiveMessage', wait);
    await pause(200);
    await cmq.ok('BatchSendMessage', { queueName, msgBody: ['a', 'b', 'c'] });
    const got = (await poll).msgInfoList.map((message) => message.msgBody);
    const rest = await cmq.drain(queueName);
    expect(got.length).toBeGreaterThan(0);
    expect([...got, ...rest]).toEqual(['a', 'b', 'c']);
  });
});

test('the server logged no error', () => {
  expect(server().errors).toEqual([]);
});
