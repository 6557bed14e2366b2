import { expect, test } from 'vitest';
import { ScryptLane } from '../../../src/engine/access/scrypt-lane.ts';

const SALT = Buffer.alloc(16);
const PASSWORD = Buffer.from('p');
const LINE = 20;

/** A lane in which one address has as many waiting as can wait; what became of them, in order. */
function besieged(): { lane: ScryptLane; ends: string[] } {
  const lane = new ScryptLane(LINE);
  const ends: string[] = [];
  for (let at = 0; at <= LINE; at += 1) {
    lane.derive(PASSWORD, SALT, 'evil', (key) => ends.push(key === undefined ? 'refused' : 'evil'));
  }
  return { lane, ends };
}

test('an address that has many waiting keeps nobody else from his turn', async () => {
  const { lane, ends } = besieged();
  for (const from of ['a', 'b']) {
    const key = await new Promise((done) => lane.derive(PASSWORD, SALT, from, done));
    expect(key).toBeInstanceOf(Buffer);
  }
  // The first took the place of one, and each had one before it, or two.
  expect(ends.filter((end) => end === 'refused')).toHaveLength(1);
  expect(ends.length).toBeLessThan(8);
});

test('one more of the same address is refused, and what was there stays', async () => {
  const { lane, ends } = besieged();
  const key = await new Promise((done) => lane.derive(PASSWORD, SALT, 'evil', done));
  expect(key).toBeUndefined();
  expect(ends).not.toContain('refused');
});
