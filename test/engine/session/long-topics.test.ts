/** Topics and filters have up to 64 KiB, and words of them stay when they have gone. */
import { expect, test } from 'vitest';
import { MQTT_SYNTAX, TopicTrie } from '../../../src/engine/exchange/topic-trie.ts';
import { EngineFixture } from '../../support/engine-fixture.ts';
import { liveHeapBytes } from '../../support/live-heap.ts';

const COUNT = 200;
const REST = 'r'.repeat(60_000);

/** As they come: each a text of its own. */
const long = (at: number) => Buffer.from(`a-word-of-some-length-${at}/${REST}`).toString();
const short = (at: number) => Buffer.from(`a-word-of-some-length-${at}/x`).toString();

/** Bytes of the heap that `action` leaves in use. */
async function left(action: (at: number) => Promise<void> | void): Promise<number> {
  await action(0);
  const before = liveHeapBytes();
  for (let at = 1; at <= COUNT; at += 1) await action(at);
  return liveHeapBytes() - before;
}

test('a word of a filter that has gone keeps nothing of it', async () => {
  const trie = new TopicTrie<string>(MQTT_SYNTAX);
  const bytes = await left((at) => {
    trie.add(long(at), 'v');
    trie.add(short(at), 'v');
    trie.remove(long(at), 'v');
  });
  const found: string[] = [];
  trie.match('a-word-of-some-length-7/x', found);
  expect(found).toEqual(['v']);
  expect(bytes).toBeLessThan(2_000_000);
});

test('a word of a topic that retains no more keeps nothing of it', async () => {
  const fixture = await EngineFixture.open();
  const { retained } = fixture.vhost;
  const message = fixture.message('amq.topic', 'k', 'x');
  const bytes = await left(async (at) => {
    retained.set(long(at), message);
    retained.set(short(at), message);
    retained.clear(long(at));
    await fixture.settle();
  });
  expect(retained.match('a-word-of-some-length-7/x', 0)).toHaveLength(1);
  expect(bytes).toBeLessThan(2_000_000);
});
