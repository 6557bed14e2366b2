import { connect } from 'node:net';
import { CommandError, type Order, type Outcome } from './command.ts';
import { controlPath } from './control-path.ts';

/** How long the server may take, in ms: a change is answered when it is on disk. */
const ANSWER_MS_MAX = 60_000;

/** There is no server, or none that this user may ask. */
const NOBODY = new Set(['ENOENT', 'ECONNREFUSED', 'EACCES', 'EPERM', 'ENOTSOCK', 'ENOTDIR']);

/** What the server answers: one of the two. */
interface Answer extends Partial<Outcome> {
  readonly error?: string;
}

/**
 * Has the process that serves `directory` carry out an order; undefined when there is none.
 *
 * @param isLong whether it is waited for until it is done
 * @throws CommandError what the server says is wrong, or that it does not answer
 */
export function sendOrder(
  directory: string,
  order: Order,
  isLong: boolean,
): Promise<Outcome | undefined> {
  const path = controlPath(directory);
  if (path === undefined) return Promise.resolve(undefined);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(path);
    const fail = (text: string): void => {
      socket.destroy();
      reject(new CommandError(text));
    };
    socket.setTimeout(isLong ? 0 : ANSWER_MS_MAX, () =>
      fail('the server does not answer (is its disk full?); it may still do what it was asked'),
    );
    socket.on('connect', () => socket.end(`${JSON.stringify(order)}\n`));
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (NOBODY.has(error.code ?? '')) resolve(undefined);
      else fail(`no answer from the server: ${error.message}`);
    });
    socket.on('end', () => {
      const answer = parseAnswer(Buffer.concat(chunks));
      if (answer === undefined) fail('the server stopped before it answered; ask again');
      else if (answer.error !== undefined) fail(answer.error);
      else resolve({ output: answer.output ?? '', note: answer.note });
    });
  });
}

/** Undefined for an answer that was cut. */
function parseAnswer(bytes: Buffer): Answer | undefined {
  try {
    return JSON.parse(bytes.toString('utf8')) as Answer;
  } catch {
    return undefined;
  }
}
