import { equalsAscii, readText } from '../../src/base/byte-reader.ts';
import { unescapeHeader } from './header-text.ts';
import { type Dialect, STOMP_1_0 } from './spec/headers.ts';
import { StompError } from './stomp-error.ts';

/**
 * One frame from a client, found by offset; reused from frame to frame. Everything it refers to is
 * borrowed and valid until `onFrame` returns.
 */
export class Frame {
  command: string;
  buf: Buffer;
  /** Command and header lines, from the first byte to behind the empty line. */
  headStart: number;
  headEnd: number;
  bodyStart: number;
  bodyEnd: number;
  dialect: Dialect;
  headerCount: number;
  /** Per header: start and end of the name, start and end of the value; from `headStart`. */
  readonly spans: number[];

  constructor() {
    this.command = '';
    this.buf = Buffer.alloc(0);
    this.headStart = 0;
    this.headEnd = 0;
    this.bodyStart = 0;
    this.bodyEnd = 0;
    this.dialect = STOMP_1_0;
    this.headerCount = 0;
    this.spans = [];
  }

  /**
   * The value of the first header of that name, which is ASCII; undefined without one.
   *
   * @throws StompError for bad escapes and bytes that are not UTF-8
   */
  header(name: string): string | undefined {
    const { buf, spans, headStart } = this;
    for (let at = 0; at < this.headerCount * 4; at += 4) {
      if (!equalsAscii(buf, headStart + spans[at]!, headStart + spans[at + 1]!, name)) continue;
      return this.#text(spans[at + 2]!, spans[at + 3]!);
    }
    return undefined;
  }

  /** True for `true`, false for `false`, undefined for anything else, as RabbitMQ. */
  booleanHeader(name: string): boolean | undefined {
    const value = this.header(name);
    if (value === 'true') return true;
    return value === 'false' ? false : undefined;
  }

  /** A whole number; undefined without the header. @throws StompError for anything else */
  integerHeader(name: string, min: number, max: number): number | undefined {
    const text = this.header(name)?.trim();
    if (text === undefined) return undefined;
    const value = Number(text);
    if (/^-?\d{1,20}$/.test(text) && value >= min && value <= max) return value;
    throw new StompError(
      'Invalid header',
      `'${name}' must be a whole number from ${min} to ${max}\n`,
    );
  }

  /** Calls `visit` for every header that is the first of its name. */
  forEachHeader(visit: (name: string, value: string) => void): void {
    const { spans } = this;
    const seen = new Set<string>();
    for (let at = 0; at < this.headerCount * 4; at += 4) {
      const name = this.#text(spans[at]!, spans[at + 1]!);
      if (seen.has(name)) continue;
      seen.add(name);
      visit(name, this.#text(spans[at + 2]!, spans[at + 3]!));
    }
  }

  #text(from: number, to: number): string {
    const text = readText(this.buf, this.headStart + from, this.headStart + to);
    if (text === undefined) throw new StompError('Invalid header', 'a header is not UTF-8\n');
    return this.dialect === STOMP_1_0 ? text.trim() : unescapeHeader(text, this.dialect);
  }
}
