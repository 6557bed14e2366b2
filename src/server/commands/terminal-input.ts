import { stderr, stdin } from 'node:process';

const CTRL_C = '\u0003';
const CTRL_D = '\u0004';
const BACKSPACES: readonly string[] = ['\b', '\u007f'];

/** Asks for a line at the terminal of this process, which does not show what is typed. */
export function readHidden(prompt: string): Promise<string> {
  stderr.write(prompt);
  stdin.setRawMode(true).setEncoding('utf8').resume();
  return new Promise((resolve) => {
    let letters: string[] = [];
    const onData = (text: string): void => {
      for (const letter of text) {
        if (letter === '\r' || letter === '\n' || letter === CTRL_D || letter === CTRL_C) {
          stdin.off('data', onData).setRawMode(false).pause();
          stderr.write('\n');
          // Nothing has been changed yet; 130 is what shells show for an interrupt.
          if (letter === CTRL_C) process.exit(130);
          resolve(letters.join(''));
          return;
        }
        if (BACKSPACES.includes(letter)) letters = letters.slice(0, -1);
        else letters.push(letter);
      }
    };
    stdin.on('data', onData);
  });
}
