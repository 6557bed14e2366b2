/**
 * Forms: a query, or a body `application/x-www-form-urlencoded`.
 *
 * Nearly every body is ASCII, where a character is a byte. Such a form remembers its bytes and
 * where each pair lies in them: a signature then covers bytes as they came, and a text is stored
 * by copying it, where both would be encoded anew, character by character.
 */
import { isAscii, isUtf8 } from 'node:buffer';
import { ownText } from '../../src/base/own-text.ts';

/** Has a character beyond ASCII. */
const WIDE = /[\u0080-\uffff]/;

/** Names and values in their order. */
export class Form {
  readonly names: string[];
  readonly values: string[];
  /** What it was read from, when that is ASCII. Borrowed from the request. */
  readonly bytes: Buffer | undefined;
  /** Where each pair begins in `bytes`; -1 when it does not stand there as it is, `name=value`. */
  readonly starts: number[];
  /** Where each pair ends in `bytes`. */
  readonly ends: number[];
  /** All names and values are known to be ASCII. */
  isAscii: boolean;
  readonly #byName: Map<string, string>;
  /** The first name that came twice. */
  repeated: string | undefined;
  /** Whether any name has a dot: none is part of a list then. */
  hasDots: boolean;

  constructor(bytes?: Buffer) {
    this.names = [];
    this.values = [];
    this.bytes = bytes;
    this.starts = [];
    this.ends = [];
    this.isAscii = bytes !== undefined;
    this.#byName = new Map();
    this.repeated = undefined;
    this.hasDots = false;
  }

  get(name: string): string | undefined {
    return this.#byName.get(name);
  }

  has(name: string): boolean {
    return this.#byName.has(name);
  }

  add(name: string, value: string): void {
    this.names.push(name);
    this.values.push(value);
    this.#byName.set(name, value);
    if (this.#byName.size < this.names.length) this.repeated ??= name;
    this.hasDots ||= name.includes('.');
  }

  /** Notes where the pair added last lies in `bytes`; `start` as `starts` has it. */
  place(start: number, end: number): void {
    if (this.bytes === undefined) return;
    this.starts.push(start);
    this.ends.push(end);
    if (start >= 0 || !this.isAscii) return;
    const last = this.names.length - 1;
    this.isAscii = !WIDE.test(this.names[last]!) && !WIDE.test(this.values[last]!);
  }
}

/** Characters from which on a text is not kept for the sake of a short part of it. */
const LARGE_TEXT_LENGTH = 4 * 1024;
const SHORT_PART_LENGTH = 256;

/** Pairs of one request: a batch of 16 with tags and all common parameters has some 40. */
const PAIRS_MAX = 1_000;

/**
 * Parses by offset, without splitting: `a=1&b=%20` and `+` for a space. Undefined when an escape
 * is broken, is no UTF-8, or there are more than PAIRS_MAX pairs.
 */
export function parseForm(text: string): Form | undefined {
  return parseInto(new Form(), text);
}

/** The same of bytes, which the form borrows. Undefined also when they are no UTF-8. */
export function parseFormBytes(bytes: Buffer): Form | undefined {
  if (isAscii(bytes)) return parseInto(new Form(bytes), bytes.toString('latin1'));
  // Decoding puts U+FFFD for what is no UTF-8: another message than the one that was sent.
  return isUtf8(bytes) ? parseForm(bytes.toString('utf8')) : undefined;
}

function parseInto(form: Form, text: string): Form | undefined {
  const decoder = new Decoder(form, text);
  let start = 0;
  let equalsAt = -1;
  while (start < text.length) {
    let end = text.indexOf('&', start);
    if (end < 0) end = text.length;
    if (end > start) {
      if (form.names.length === PAIRS_MAX) return undefined;
      if (equalsAt < start) equalsAt = indexOrEnd(text, '=', start);
      const equals = Math.min(equalsAt, end);
      if (decoder.hasEscape(start, end)) {
        const name = decoder.decode(start, equals);
        const value = decoder.decode(Math.min(equals + 1, end), end);
        if (name === undefined || value === undefined) return undefined;
        form.add(name, value);
        form.place(-1, end);
      } else {
        form.add(cut(form, text, start, equals), cut(form, text, equals + 1, end));
        form.place(equals === end ? -1 : start, end);
      }
    }
    start = end + 1;
  }
  return form;
}

/**
 * A part of the text. V8 keeps all of a text for a part of it: what is short and may be kept for
 * long is copied out of a large one.
 */
function cut({ bytes }: Form, text: string, start: number, end: number): string {
  const isShort = end - start <= SHORT_PART_LENGTH;
  if (!isShort || text.length < LARGE_TEXT_LENGTH) return text.slice(start, end);
  return bytes?.toString('latin1', start, end) ?? ownText(text.slice(start, end));
}

/** Decodes parts of a text from its start to its end. */
class Decoder {
  readonly #form: Form;
  readonly #text: string;
  /** Where the next escape and the next plus are, not before the last part. */
  #percentAt: number;
  #plusAt: number;

  constructor(form: Form, text: string) {
    this.#form = form;
    this.#text = text;
    this.#percentAt = indexOrEnd(text, '%', 0);
    this.#plusAt = indexOrEnd(text, '+', 0);
  }

  hasEscape(start: number, end: number): boolean {
    if (this.#plusAt < start) this.#plusAt = indexOrEnd(this.#text, '+', start);
    if (this.#percentAt < start) this.#percentAt = indexOrEnd(this.#text, '%', start);
    return this.#plusAt < end || this.#percentAt < end;
  }

  /** Undefined for a broken escape. */
  decode(start: number, end: number): string | undefined {
    const hasEscape = this.hasEscape(start, end);
    const hasPlus = this.#plusAt < end;
    if (!hasEscape || this.#percentAt >= end) {
      const part = cut(this.#form, this.#text, start, end);
      return hasPlus ? part.replaceAll('+', ' ') : part;
    }
    const part = this.#text.slice(start, end);
    try {
      return decodeURIComponent(hasPlus ? part.replaceAll('+', ' ') : part);
    } catch {
      return undefined;
    }
  }
}

/** Asked for in order only, so that no part of the text is searched twice. */
function indexOrEnd(text: string, mark: string, from: number): number {
  const at = text.indexOf(mark, from);
  return at < 0 ? text.length : at;
}

/** A value of a form by the rest of its name: a text, or values by the next part of theirs. */
type Branch = Map<string, Branch | string>;

/** Parts of a name: a list of objects that have lists. */
const PARTS_MAX = 4;

/**
 * The JSON of what is flattened under `name`, `name.0.Key=a`; undefined when nothing is. Numbers
 * make lists, in their order, whatever they begin with.
 */
export function nestedJson(form: Form, name: string): string | undefined {
  const prefix = `${name}.`;
  const root: Branch = new Map();
  for (const [at, full] of form.names.entries()) {
    if (!full.startsWith(prefix)) continue;
    const parts = full.slice(prefix.length).split('.');
    const last = parts.splice(Math.min(parts.length, PARTS_MAX) - 1).join('.');
    let branch = root;
    for (const part of parts) {
      const next = branch.get(part);
      const child: Branch = next instanceof Map ? next : new Map();
      branch.set(part, child);
      branch = child;
    }
    branch.set(last, form.values[at]!);
  }
  return root.size === 0 ? undefined : JSON.stringify(plainOf(root));
}

function plainOf(branch: Branch | string): unknown {
  if (typeof branch === 'string') return branch;
  const entries = [...branch];
  if (entries.every(([part]) => /^\d{1,4}$/.test(part))) {
    return entries.sort(([a], [b]) => Number(a) - Number(b)).map(([, value]) => plainOf(value));
  }
  return Object.fromEntries(entries.map(([part, value]) => [part, plainOf(value)]));
}
