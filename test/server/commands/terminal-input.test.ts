import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { readHidden, type Terminal } from '../../../src/server/commands/terminal-input.ts';

/** A terminal that notes what is done with it, in order. */
function makeTerminal() {
  const keys = new PassThrough();
  const notes: string[] = [];
  const input = Object.assign(keys, {
    setRawMode: (isRaw: boolean) => {
      notes.push(isRaw ? 'hidden' : 'shown');
      return input;
    },
  });
  const terminal = {
    input,
    output: { write: (text: string) => notes.push(text) },
    exit: (code: number) => notes.push(`exit ${code}`),
  } as unknown as Terminal;
  return { keys, notes, terminal };
}

test('reads a line, hidden from before the prompt to its end', async () => {
  const { keys, notes, terminal } = makeTerminal();
  const line = readHidden('password: ', terminal);
  expect(notes).toEqual(['hidden', 'password: ']);
  keys.write('sec');
  keys.write('x\u007frät\rmore');
  expect(await line).toBe('secrät');
  expect(notes.slice(2)).toEqual(['shown', '\n']);
});

test('an interrupt ends the process and not the line', async () => {
  const { keys, notes, terminal } = makeTerminal();
  void readHidden('password: ', terminal);
  keys.write('abc\u0003');
  await expect.poll(() => notes).toContain('exit 130');
  expect(notes).toContain('shown');
});
