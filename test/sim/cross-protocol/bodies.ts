/** Bodies that are known again wherever they come out. */
import { expect } from 'vitest';
import type { OddValues } from './odd-values.ts';

const MARK = /^#(\d+)#/;

export class Bodies {
  readonly #odd: OddValues;
  readonly #sent: Buffer[];
  /** Of those that came out with a mark. */
  seenCount: number;

  constructor(odd: OddValues) {
    this.#odd = odd;
    this.#sent = [];
    this.seenCount = 0;
  }

  make(): Buffer {
    if (this.#odd.once(20)) return Buffer.alloc(0);
    const size = this.#odd.once(30) ? 70_000 : this.#odd.below(300);
    return this.#keep(this.#odd.bytes(size));
  }

  /** Text without U+0000. */
  makeText(): Buffer {
    return this.#keep(Buffer.from(`${this.#odd.text()}${this.#odd.text()}`.replaceAll('\0', '')));
  }

  /** What came out is what was sent. */
  check(body: Buffer): void {
    const mark = MARK.exec(body.toString('latin1', 0, 16));
    if (mark === null) {
      expect(body.length, body.toString('latin1', 0, 60)).toBe(0);
      return;
    }
    this.seenCount += 1;
    const sent = this.#sent[Number(mark[1])];
    expect(sent?.equals(body), `body ${mark[1]}: ${body.length} bytes`).toBe(true);
  }

  #keep(tail: Buffer): Buffer {
    const body = Buffer.concat([Buffer.from(`#${this.#sent.length}#`), tail]);
    this.#sent.push(body);
    return body;
  }
}
