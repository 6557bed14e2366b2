/**
 * scrypt costs some 50 ms and 16 MiB on the thread pool that the store writes with. So one runs at
 * a time, and the others wait: in a line for each address, which take turns. Who tries passwords by
 * the thousand waits for himself.
 *
 * All lines together have an end. At the end the longest line loses its last for one that comes
 * from elsewhere.
 */
import { scrypt } from 'node:crypto';

export const SCRYPT_KEY_BYTES = 32;
/** 2^14 rounds of 8 blocks: 16 MiB, the least that costs an attacker memory. */
const SCRYPT_OPTIONS = { N: 16_384, r: 8, p: 1, maxmem: 64 * 1024 * 1024 } as const;

/** Logins that may wait for scrypt: beyond it some fail. At 50 ms each, the last waits 50 s. */
const WAITING_MAX = 1000;

type Done = (key: Buffer | undefined) => void;

interface Job {
  readonly password: Buffer;
  readonly salt: Buffer;
  readonly done: Done;
}

/** Runs one scrypt at a time. */
export class ScryptLane {
  /** By address, none empty; the first one is next. */
  readonly #lines = new Map<string, Job[]>();
  readonly #waitingMax: number;
  #waitingCount = 0;
  #isBusy = false;

  constructor(waitingMax = WAITING_MAX) {
    this.#waitingMax = waitingMax;
  }

  /** Calls `done` later: with the key, or with undefined when too many wait. */
  derive(password: Buffer, salt: Buffer, from: string, done: Done): void {
    let line = this.#lines.get(from);
    if (this.#waitingCount >= this.#waitingMax && !this.#makeRoom(line?.length ?? 0)) {
      queueMicrotask(() => done(undefined));
      return;
    }
    if (line === undefined) {
      line = [];
      this.#lines.set(from, line);
    }
    line.push({ password, salt, done });
    this.#waitingCount += 1;
    this.#next();
  }

  /** For one more in a line of that length; false when no other line is longer by two. */
  #makeRoom(length: number): boolean {
    let longest: Job[] = [];
    for (const line of this.#lines.values()) if (line.length > longest.length) longest = line;
    if (longest.length < length + 2) return false;
    const { done } = longest.pop()!;
    this.#waitingCount -= 1;
    queueMicrotask(() => done(undefined));
    return true;
  }

  #next(): void {
    if (this.#isBusy) return;
    for (const [from, line] of this.#lines) {
      this.#lines.delete(from);
      const job = line.shift()!;
      // Behind the others: it has had its turn.
      if (line.length > 0) this.#lines.set(from, line);
      this.#waitingCount -= 1;
      this.#run(job);
      return;
    }
  }

  #run({ password, salt, done }: Job): void {
    this.#isBusy = true;
    scrypt(password, salt, SCRYPT_KEY_BYTES, SCRYPT_OPTIONS, (error, key) => {
      this.#isBusy = false;
      this.#next();
      done(error === null ? key : undefined);
    });
  }
}
