/**
 * What has come in on one channel and was not asked for yet, in order, and how the channel ended.
 */
import type { DecodedHeader, MethodArgs } from './amqp-wire.ts';

/**
 * Ms. How long a wait lasts unless the test says otherwise: nobody waits that long unless something
 * is broken, and a busy machine may stand still for seconds.
 */
export const DEFAULT_TIMEOUT_MS = 60_000;

/** A channel.close or connection.close from the server, or the bare end of the socket. */
export class CloseError extends Error {
  readonly level: 'channel' | 'connection' | 'socket';
  readonly code: number;
  readonly text: string;
  readonly classId: number;
  readonly methodId: number;

  constructor(level: CloseError['level'], args: Partial<MethodArgs> = {}) {
    super(`${level} closed: ${args.replyCode ?? 0} ${args.replyText ?? ''}`);
    this.level = level;
    this.code = args.replyCode ?? 0;
    this.text = args.replyText ?? '';
    this.classId = args.classId ?? 0;
    this.methodId = args.methodId ?? 0;
  }
}

/** One method from the server, with its content if it has any. */
export interface Incoming {
  readonly name: string;
  readonly args: MethodArgs;
  readonly header?: DecodedHeader;
  readonly body?: Buffer;
}

/** Waits a bounded time for `promise`. */
export async function within<T>(promise: Promise<T>, timeoutMs: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing in ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** An ordered mailbox with one reader. */
export class Inbox {
  readonly #items: Incoming[] = [];
  #wake: (() => void) | undefined;
  #error: CloseError | undefined;

  get size(): number {
    return this.#items.length;
  }

  get error(): CloseError | undefined {
    return this.#error;
  }

  put(item: Incoming): void {
    this.#items.push(item);
    this.#wake?.();
  }

  putBack(items: readonly Incoming[]): void {
    this.#items.unshift(...items);
  }

  fail(error: CloseError): void {
    this.#error ??= error;
    this.#wake?.();
  }

  reset(): void {
    this.#error = undefined;
    this.#items.length = 0;
  }

  async next(timeoutMs: number, what: string): Promise<Incoming> {
    const until = Date.now() + timeoutMs;
    for (;;) {
      const item = this.#items.shift();
      if (item) return item;
      if (this.#error) throw this.#error;
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await within(woken, Math.max(1, until - Date.now()), `waiting for ${what}`);
    }
  }

  async failure(timeoutMs: number): Promise<CloseError> {
    const until = Date.now() + timeoutMs;
    while (!this.#error) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await within(woken, Math.max(1, until - Date.now()), 'waiting for a close');
    }
    return this.#error;
  }
}

/** Checks level, code and text of a close; returns it. */
export function checkClose(
  error: CloseError,
  level: CloseError['level'],
  code: number,
  text: RegExp | string,
): CloseError {
  const matches = typeof text === 'string' ? error.text.includes(text) : text.test(error.text);
  if (error.level !== level || error.code !== code || !matches) {
    throw new Error(
      `expected ${level} close ${code} ${String(text)}, ` +
        `got ${error.level} close ${error.code} "${error.text}"`,
    );
  }
  return error;
}
