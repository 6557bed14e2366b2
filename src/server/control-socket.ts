/**
 * Where the commands of `tributary` reach the process that serves a data directory: a socket file
 * in that directory, for its owner only. Whoever may connect could as well read and write the data,
 * so there is no other login.
 *
 * One connection is one order: a line of JSON there, a line of JSON back, sent when what was
 * changed is on disk. The data directory's lock is held, so a socket file that lies there is one
 * that a killed process left.
 */
import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import type { Logger } from '../base/logger.ts';
import { CommandError, type Order, type Outcome } from './commands/command.ts';
import { controlPath } from './commands/control-path.ts';

/** Bytes of an order: some words and a secret. */
const ORDER_BYTES_MAX = 64 * 1024;
/** How long a client may take to say what it wants, in ms. */
const ORDER_MS_MAX = 10_000;
/** Everything that is made while this is in force is for its owner only. */
const PRIVATE_UMASK = 0o177;

/** Carries out one order, durably. @throws CommandError */
export type CarryOut = (order: Order) => Promise<Outcome>;

export class ControlSocket {
  readonly #server: Server;
  readonly #clients: Set<Socket>;

  private constructor(server: Server, clients: Set<Socket>) {
    this.#server = server;
    this.#clients = clients;
  }

  /**
   * Takes orders from now on. Without a socket, which some file systems do not have, the server
   * serves all the same: undefined then, and a line in the log.
   */
  static async listen(
    directory: string,
    carryOut: CarryOut,
    logger: Logger,
  ): Promise<ControlSocket | undefined> {
    const path = controlPath(directory);
    const clients = new Set<Socket>();
    const server = createServer({ allowHalfOpen: true }, (client) => {
      clients.add(client);
      client.on('close', () => clients.delete(client));
      serve(client, carryOut, logger);
    });
    try {
      if (path === undefined) throw new Error('the path of the data directory is too long for it');
      rmSync(path, { force: true });
      await bind(server, path);
    } catch (error) {
      const { message } = error as Error;
      logger.warn({ error: message }, 'no control socket: commands need the server stopped');
      return undefined;
    }
    // After this an error concerns one accept (no file handles left): the next one may work.
    server.on('error', ({ message }) => logger.warn({ error: message }, 'no order taken'));
    return new ControlSocket(server, clients);
  }

  /** Takes no more orders; who waits for an answer gets none. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const client of this.#clients) client.destroy();
    await closed;
  }
}

function bind(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const usual = process.umask(PRIVATE_UMASK);
    try {
      // The file is made before this returns.
      server.listen(path, () => {
        server.off('error', reject);
        resolve();
      });
    } finally {
      process.umask(usual);
    }
  });
}

function serve(client: Socket, carryOut: CarryOut, logger: Logger): void {
  const chunks: Buffer[] = [];
  let byteCount = 0;
  client.setTimeout(ORDER_MS_MAX, () => client.destroy());
  client.on('error', () => client.destroy());
  client.on('data', (chunk) => {
    chunks.push(chunk);
    byteCount += chunk.length;
    if (byteCount > ORDER_BYTES_MAX) client.destroy();
  });
  client.on('end', () => {
    client.setTimeout(0);
    void answer(Buffer.concat(chunks), carryOut, logger).then((reply) =>
      client.end(`${JSON.stringify(reply)}\n`),
    );
  });
}

async function answer(
  bytes: Buffer,
  carryOut: CarryOut,
  logger: Logger,
): Promise<Outcome | { readonly error: string }> {
  try {
    const order = readOrder(bytes);
    const outcome = await carryOut(order);
    const { command, words } = order;
    logger.info({ command, words }, 'command carried out');
    return outcome;
  } catch (error) {
    const { message, stack } = error as Error;
    const isExpected = error instanceof CommandError;
    if (!isExpected) logger.error({ error: message, stack }, 'command failed by a fault of ours');
    return { error: message };
  }
}

/** @throws CommandError for what no command of this version sends */
function readOrder(bytes: Buffer): Order {
  let order: Partial<Order> | null;
  try {
    order = JSON.parse(bytes.toString('utf8')) as Partial<Order> | null;
  } catch {
    order = null;
  }
  const { command, words, options, secret } = order ?? {};
  const isOrder =
    typeof command === 'string' &&
    isTextList(words) &&
    typeof options === 'object' &&
    options !== null &&
    Object.values(options).every(isTextList) &&
    (secret === undefined || typeof secret === 'string');
  if (!isOrder) throw new CommandError('the server does not understand this command');
  return { command, words, options, secret };
}

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}
