import fs from 'node:fs';
import { Socket } from 'node:net';
import { LOG_HELD_BYTES_MAX, LOG_URGENT_BYTES_MAX } from '../base/limits.ts';

/** Ms between tries to write what is held, when no further line asks for it. */
const RETRY_MS = 50;
/** Ms for which the end of the process waits for a reader that stalls. */
const LAST_FLUSH_MS_MAX = 1_000;
const LAST_FLUSH_PAUSE_MS = 10;
/** There will be room again: the reader of a pipe stalls, a disk is full. */
const NO_ROOM: ReadonlySet<string> = new Set(['EAGAIN', 'ENOSPC', 'EDQUOT']);

/**
 * Lines to a file, a terminal or a pipe, each written before `write` returns where that needs no
 * waiting for another process. What a full pipe or disk has no room for is held, up to a bound, and
 * written in order once there is room; lines beyond it, and those to a reader that has gone, are
 * lost, and a line tells how many when lines can be written again. Never throws.
 */
export class LogOutput {
  readonly #descriptor: number;
  readonly #describeLoss: (lines: number) => string;
  /** Bytes from `#start` to `#end` wait; undefined when none do. */
  #held: Buffer | undefined;
  #start: number;
  #end: number;
  #heldLines: number;
  #lostLines: number;
  #retry: NodeJS.Timeout | undefined;

  /** @param describeLoss the line, with its end, that tells that so many were lost */
  constructor(descriptor: number, describeLoss: (lines: number) => string) {
    this.#descriptor = descriptor;
    this.#describeLoss = describeLoss;
    unblock(descriptor);
    this.#held = undefined;
    this.#start = 0;
    this.#end = 0;
    this.#heldLines = 0;
    this.#lostLines = 0;
    this.#retry = undefined;
  }

  /** @param isUrgent may use the room that is kept for such lines */
  write(line: string, isUrgent: boolean): void {
    this.#flush();
    const bytes = Buffer.from(line);
    const isTold = this.#tellLoss();
    if (bytes.length > LOG_HELD_BYTES_MAX) this.#lostLines += 1;
    else if (this.#held !== undefined) this.#hold(bytes, isUrgent);
    else if (isTold) this.#writeNew(bytes, isUrgent);
    else this.#lostLines += 1;
  }

  /** Writes what is held, and waits a second for room at most; for the end of the process. */
  flushAtEnd(): void {
    const cell = new Int32Array(new SharedArrayBuffer(4));
    const untilMs = performance.now() + LAST_FLUSH_MS_MAX;
    for (this.#flush(); this.#held !== undefined; this.#flush()) {
      if (performance.now() > untilMs) return;
      Atomics.wait(cell, 0, 0, LAST_FLUSH_PAUSE_MS);
    }
    this.#tellLoss();
  }

  #writeNew(bytes: Buffer, isUrgent: boolean): void {
    const written = this.#tryWrite(bytes);
    if (written === undefined) this.#lostLines += 1;
    else if (written < bytes.length) this.#hold(bytes.subarray(written), isUrgent);
  }

  /** False when lines are lost, and nobody is there to be told. */
  #tellLoss(): boolean {
    const lines = this.#lostLines;
    // Not with every line that a slow reader leaves room for.
    if (lines === 0 || this.#end - this.#start > LOG_HELD_BYTES_MAX / 2) return true;
    const bytes = Buffer.from(this.#describeLoss(lines));
    this.#lostLines = 0;
    if (this.#held === undefined) this.#writeNew(bytes, true);
    else this.#hold(bytes, true);
    if (this.#lostLines === 0) return true;
    this.#lostLines = lines;
    return false;
  }

  #hold(bytes: Buffer, isUrgent: boolean): void {
    const max = LOG_HELD_BYTES_MAX + (isUrgent ? LOG_URGENT_BYTES_MAX : 0);
    if (this.#end - this.#start + bytes.length > max) {
      this.#lostLines += 1;
      return;
    }
    this.#held ??= Buffer.allocUnsafe(LOG_HELD_BYTES_MAX + LOG_URGENT_BYTES_MAX);
    if (this.#end + bytes.length > this.#held.length) {
      this.#held.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    bytes.copy(this.#held, this.#end);
    this.#end += bytes.length;
    this.#heldLines += 1;
    this.#retry ??= setInterval(() => this.#flush(), RETRY_MS).unref();
  }

  #flush(): void {
    while (this.#held !== undefined) {
      const written = this.#tryWrite(this.#held.subarray(this.#start, this.#end));
      if (written === 0) return;
      if (written === undefined) this.#lostLines += this.#heldLines;
      else this.#start += written;
      if (written === undefined || this.#start === this.#end) this.#letGo();
      if (written !== undefined && this.#held === undefined) this.#tellLoss();
    }
  }

  #letGo(): void {
    this.#held = undefined;
    this.#start = 0;
    this.#end = 0;
    this.#heldLines = 0;
    clearInterval(this.#retry);
    this.#retry = undefined;
  }

  /** Bytes that were written; undefined when there is nobody to read them. */
  #tryWrite(bytes: Buffer): number | undefined {
    try {
      return fs.writeSync(this.#descriptor, bytes);
    } catch (error) {
      return NO_ROOM.has((error as NodeJS.ErrnoException).code ?? '') ? 0 : undefined;
    }
  }
}

/** From now on a pipe or socket has no room instead of making its writer wait. */
function unblock(descriptor: number): void {
  try {
    const stats = fs.fstatSync(descriptor);
    if (!stats.isFIFO() && !stats.isSocket()) return;
    // Opening it is all: what is written through this would be lost at the end of the process.
    const pipe = new Socket({ fd: descriptor, readable: false, writable: true });
    pipe.on('error', () => undefined);
    pipe.unref();
  } catch {
    // A closed descriptor: as one whose reader has gone.
  }
}
