import { stderr, stdin } from 'node:process';
import type { ReadStream } from 'node:tty';

const CTRL_C = '\u0003';
const CTRL_D = '\u0004';
const BACKSPACES: readonly string[] = ['\b', '\u007f'];
const ENDS: readonly string[] = ['\r', '\n', CTRL_D, CTRL_C];

/** What a process exits with that was interrupted at a prompt, as in shells. */
const INTERRUPTED = 130;

/** Where a line is typed, and where that is asked for. */
export interface Terminal {
  readonly input: Pick<
    ReadStream,
    'setRawMode' | 'setEncoding' | 'resume' | 'pause' | 'on' | 'off'
  >;
  readonly output: { write(text: string): unknown };
  exit(code: number): void;
}

const OWN_TERMINAL: Terminal = { input: stdin, output: stderr, exit: (code) => process.exit(code) };

/** Asks for a line at a terminal, which does not show what is typed. */
export function readHidden(prompt: string, terminal: Terminal = OWN_TERMINAL): Promise<string> {
  const { input, output } = terminal;
  // First this: what is typed as soon as the prompt is there must not show either.
  input.setRawMode(true);
  input.setEncoding('utf8');
  input.resume();
  output.write(prompt);
  return new Promise((resolve) => {
    const letters: string[] = [];
    const onData = (text: string): void => {
      for (const letter of text) {
        if (ENDS.includes(letter)) {
          input.off('data', onData);
          input.setRawMode(false);
          input.pause();
          output.write('\n');
          if (letter === CTRL_C) terminal.exit(INTERRUPTED);
          else resolve(letters.join(''));
          return;
        }
        if (BACKSPACES.includes(letter)) letters.pop();
        else letters.push(letter);
      }
    };
    input.on('data', onData);
  });
}
