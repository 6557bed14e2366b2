import { expect, test } from 'vitest';
import { FORMAT_NAMED } from '../../../src/engine/message.ts';
import { copyMessage } from '../../../src/engine/message-copy.ts';
import type { ClassicQueue } from '../../../src/engine/queue/classic-queue.ts';
import type { FoundEntry } from '../../../src/engine/queue/queue-inspector.ts';
import { bodyOf, EngineFixture } from '../../support/engine-fixture.ts';

test('a message is found by the id it carries, and none is decoded that does not', async () => {
  const e = await EngineFixture.open();
  const queue = e.queue('q') as ClassicQueue;
  for (let n = 0; n < 2_000; n += 1) {
    const headers = new Map([['x-msg-id', `${700_000 + n}`]]);
    const message = e.message('', 'q', `${n}`, { persistent: n % 2 === 0, headers });
    queue.publish(copyMessage(message, { format: FORMAT_NAMED }));
  }
  const format = e.broker.formats[0]!;
  let decoded = 0;
  const headersOf = format.headers.bind(format);
  format.headers = (message) => {
    decoded += 1;
    return headersOf(message);
  };
  const find = async (id: string): Promise<FoundEntry | undefined> => {
    let answer: { found: FoundEntry | undefined } | undefined;
    queue.find(id, (found) => {
      answer = { found };
    });
    while (answer === undefined) await e.settle();
    return answer.found;
  };
  expect(bodyOf((await find('701500'))!.entry.message)).toBe('1500');
  // Ten have it as a part of theirs, and may be looked at in memory and on disk.
  expect(await find('70150')).toBeUndefined();
  expect(decoded).toBeLessThan(50);
  decoded = 0;
  expect(await find('999999')).toBeUndefined();
  expect(decoded).toBe(0);
});
