/**
 * JSON put together as bytes, for replies that carry the bodies of messages.
 *
 * A body is copied from where it lies and looked through four bytes at a time; only where
 * something must be escaped it is gone through byte by byte. To make a string of it, to write that
 * as JSON and to encode the JSON are three passes over each character, and as many copies for the
 * collector.
 */
import { isUtf8 } from 'node:buffer';

/** Bytes of memory at first: a batch of 16 messages of some 4 KB. */
const FIRST_BYTES = 64 * 1024;
/** Bytes of memory that are kept from reply to reply: what a batch over CMQ holds at most. */
const KEPT_BYTES_MAX = 1024 * 1024;
/** Characters up to which a text is written here rather than by a call out of JavaScript. */
const SHORT_TEXT_LENGTH = 24;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const HEX = Buffer.from('0123456789abcdef');
const ZERO = 0x30;
/** `u`: written by its number. */
const NUMBERED = 0x75;
/** Bytes that `\u001f` has more than what it stands for. */
const NUMBERED_EXTRA = 5;
/** By byte, what follows the backslash (RFC 8259, 7); 0 of what stands for itself. */
const ESCAPES = makeEscapes();

/** Members of an object that are JSON already: `"a":1,"b":[]`. */
export class JsonMembers {
  /** Bytes are lent until the next ones are written. */
  readonly json: string | Buffer;

  constructor(json: string | Buffer) {
    this.json = json;
  }

  /** The object, as if it had been read. */
  toObject(): Readonly<Record<string, unknown>> {
    return JSON.parse(`{${this.json.toString()}}`) as Record<string, unknown>;
  }
}

/** What a call is answered with: fields by their names, or written already. */
export type ReplyFields = Readonly<Record<string, unknown>> | JsonMembers;

/** Writes members, those of one reply after the other into the same memory. */
export class JsonWriter {
  #bytes: Buffer;
  /** The same memory. */
  #words: Int32Array;
  #end: number;

  constructor() {
    this.#bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
    this.#words = new Int32Array(this.#bytes.buffer);
    this.#end = 0;
  }

  /** What was written before is not needed any more. */
  begin(): void {
    this.#end = 0;
    if (this.#bytes.length > KEPT_BYTES_MAX) this.#move(Buffer.allocUnsafeSlow(FIRST_BYTES));
  }

  /** What was written, lent until `begin`. */
  members(): JsonMembers {
    return new JsonMembers(this.#bytes.subarray(0, this.#end));
  }

  /** ASCII that is JSON. */
  add(text: string): void {
    const { length } = text;
    this.#reserve(length);
    const bytes = this.#bytes;
    const end = this.#end;
    this.#end = end + length;
    if (length > SHORT_TEXT_LENGTH) bytes.write(text, end, 'latin1');
    else for (let at = 0; at < length; at += 1) bytes[end + at] = text.charCodeAt(at);
  }

  /** A string of `byteCount` bytes from `start`; false, and nothing added, if they are no UTF-8. */
  addString(source: Buffer, start: number, byteCount: number): boolean {
    this.#reserve(byteCount + 2);
    const first = this.#end + 1;
    source.copy(this.#bytes, first, start, start + byteCount);
    let end = first + byteCount;
    if (!this.#isPlain(first, end)) {
      const text = source.subarray(start, start + byteCount);
      if (!isUtf8(text)) return false;
      end = this.#escape(text, first);
    }
    this.#bytes[first - 1] = QUOTE;
    this.#bytes[end] = QUOTE;
    this.#end = end + 1;
    return true;
  }

  /** Whether all of [start, end) is ASCII that stands for itself. */
  #isPlain(start: number, end: number): boolean {
    const firstWord = (start + 3) >> 2;
    const endWord = end >> 2;
    if (firstWord >= endWord) return areBytesPlain(this.#bytes, start, end);
    const words = this.#words;
    // The high bit of a byte says that it is special: above ASCII, below a space, " or \.
    let bits = 0;
    for (let at = firstWord; at < endWord; at += 1) {
      const word = words[at]!;
      const quotes = (word ^ 0x22222222) - 0x01010101;
      const backslashes = (word ^ 0x5c5c5c5c) - 0x01010101;
      bits |= word | (word - 0x20202020) | quotes | backslashes;
    }
    if ((bits & 0x80808080) !== 0) return false;
    const bytes = this.#bytes;
    return areBytesPlain(bytes, start, firstWord * 4) && areBytesPlain(bytes, endWord * 4, end);
  }

  /** Writes UTF-8 with its escapes from `first` on; returns where it ends. */
  #escape(text: Buffer, first: number): number {
    this.#reserve(escapedLength(text) + 2);
    const bytes = this.#bytes;
    let end = first;
    for (let at = 0; at < text.length; at += 1) {
      const byte = text[at]!;
      const escape = ESCAPES[byte]!;
      if (escape === 0) {
        bytes[end] = byte;
        end += 1;
        continue;
      }
      bytes[end] = BACKSLASH;
      bytes[end + 1] = escape;
      end += 2;
      if (escape === NUMBERED) end = writeNumber(bytes, end, byte);
    }
    return end;
  }

  /** Makes room behind the end. */
  #reserve(byteCount: number): void {
    const wanted = this.#end + byteCount;
    if (wanted <= this.#bytes.length) return;
    // Whole words.
    const room = Math.ceil(Math.max(wanted, 2 * this.#bytes.length) / 4) * 4;
    const before = this.#bytes;
    this.#move(Buffer.allocUnsafeSlow(room));
    before.copy(this.#bytes, 0, 0, this.#end);
  }

  #move(bytes: Buffer): void {
    this.#bytes = bytes;
    this.#words = new Int32Array(bytes.buffer);
  }
}

function areBytesPlain(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at]!;
    if (byte >= 0x80 || ESCAPES[byte] !== 0) return false;
  }
  return true;
}

function escapedLength(text: Buffer): number {
  let { length } = text;
  for (let at = 0; at < text.length; at += 1) {
    const escape = ESCAPES[text[at]!]!;
    if (escape !== 0) length += escape === NUMBERED ? NUMBERED_EXTRA : 1;
  }
  return length;
}

/** Four hexadecimal digits of a byte. */
function writeNumber(bytes: Buffer, at: number, byte: number): number {
  bytes[at] = ZERO;
  bytes[at + 1] = ZERO;
  bytes[at + 2] = HEX[byte >> 4]!;
  bytes[at + 3] = HEX[byte & 15]!;
  return at + 4;
}

function makeEscapes(): Uint8Array {
  const escapes = new Uint8Array(256);
  escapes.fill(NUMBERED, 0, 0x20);
  const letters = { '"': '"', '\\': '\\', '\b': 'b', '\t': 't', '\n': 'n', '\f': 'f', '\r': 'r' };
  for (const [character, letter] of Object.entries(letters)) {
    escapes[character.charCodeAt(0)] = letter.charCodeAt(0);
  }
  return escapes;
}
