import { describe, expect, test } from 'vitest';
import { CarryBuffer } from '../../src/net/carry-buffer.ts';
import { ChunkParser } from '../../src/net/chunk-parser.ts';

/** The smallest protocol: units of three bytes. */
class Triples extends ChunkParser {
  readonly #carry = new CarryBuffer();
  readonly #onTriple: (triple: string) => void;

  constructor(onTriple: (triple: string) => void) {
    super();
    this.#onTriple = onTriple;
  }

  protected get carriedBytes(): number {
    return this.#carry.length;
  }

  protected dropCarried(): void {
    this.#carry.drop();
  }

  protected walk(buf: Buffer, from: number): number {
    let pos = from;
    while (pos < buf.length && !this.isHalted) {
      pos = this.#carry.fill(buf, pos, buf.length, 3);
      if (this.#carry.length === 3) this.#onTriple(this.#carry.take().toString('latin1', 0, 3));
    }
    return pos;
  }
}

function collect(onTriple?: (triple: string, parser: Triples) => void) {
  const seen: string[] = [];
  const parser: Triples = new Triples((triple) => {
    seen.push(triple);
    onTriple?.(triple, parser);
  });
  return { parser, seen, push: (text: string) => parser.push(Buffer.from(text)) };
}

describe('a parser of chunks', () => {
  test('goes on in the next chunk', () => {
    const { parser, seen, push } = collect();
    for (const text of ['a', 'aab', '', 'bbccc', 'd']) push(text);
    expect(seen).toEqual(['aaa', 'bbb', 'ccc']);
    expect(parser.heldBytes).toBe(1);
  });

  test('paused by its handler, it keeps the rest, and what follows behind it', () => {
    const { parser, seen, push } = collect((_, self) => self.pause());
    push('aaabbbc');
    push('cc');
    expect(seen).toEqual(['aaa']);
    expect([parser.isPaused, parser.heldBytes]).toEqual([true, 6]);
    parser.resume();
    expect(seen).toEqual(['aaa', 'bbb']);
    push('ddd');
    parser.resume();
    parser.resume();
    expect(seen).toEqual(['aaa', 'bbb', 'ccc', 'ddd']);
    expect(parser.heldBytes).toBe(0);
  });

  test('resumed within the call that paused it, it never stopped', () => {
    const { seen, push } = collect((_, self) => {
      self.pause();
      self.resume();
    });
    push('aaabbb');
    expect(seen).toEqual(['aaa', 'bbb']);
  });

  test('keeps nothing of a borrowed chunk', () => {
    const { parser, seen } = collect((_, self) => self.pause());
    const chunk = Buffer.from('aaabbb');
    parser.push(chunk);
    chunk.fill('x');
    parser.resume();
    expect(seen).toEqual(['aaa', 'bbb']);
  });

  test('stopped by its handler, it ignores the rest, a resume and all that follows', () => {
    const { parser, seen, push } = collect((_, self) => self.stop());
    push('aaabbbc');
    push('ccc');
    parser.resume();
    expect(seen).toEqual(['aaa']);
    expect([parser.isStopped, parser.heldBytes]).toEqual([true, 0]);
  });

  test('stops when its handler throws', () => {
    const { parser, seen, push } = collect(() => {
      throw new RangeError('no');
    });
    expect(() => push('aaabbb')).toThrow('no');
    push('ccc');
    expect(seen).toEqual(['aaa']);
    expect(parser.isStopped).toBe(true);
  });

  test('is not entered from its handler', () => {
    const { push } = collect((_, self) => self.push(Buffer.from('x')));
    expect(() => push('aaa')).toThrow('push from within a handler');
  });
});
