/** Names and values of a query or of a body `application/x-www-form-urlencoded`, in their order. */
export class Form {
  readonly names: string[];
  readonly values: string[];
  readonly #byName: Map<string, string>;
  /** The first name that came twice. */
  repeated: string | undefined;
  /** Whether any name has a dot: none is part of a list then. */
  hasDots: boolean;

  constructor() {
    this.names = [];
    this.values = [];
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
}

/** Pairs of one request: a batch of 16 with tags and all common parameters has some 40. */
const PAIRS_MAX = 1_000;

/**
 * Parses by offset, without splitting: `a=1&b=%20` and `+` for a space. Undefined when an escape
 * is broken, is no UTF-8, or there are more than PAIRS_MAX pairs.
 */
export function parseForm(text: string): Form | undefined {
  const form = new Form();
  const decoder = new Decoder(text);
  let start = 0;
  let equalsAt = -1;
  while (start < text.length) {
    let end = text.indexOf('&', start);
    if (end < 0) end = text.length;
    if (end > start) {
      if (form.names.length === PAIRS_MAX) return undefined;
      if (equalsAt < start) equalsAt = indexOrEnd(text, '=', start);
      const equals = Math.min(equalsAt, end);
      const name = decoder.decode(start, equals);
      const value = equals === end ? '' : decoder.decode(equals + 1, end);
      if (name === undefined || value === undefined) return undefined;
      form.add(name, value);
    }
    start = end + 1;
  }
  return form;
}

/** Decodes parts of a text from its start to its end; parts without escapes are only cut out. */
class Decoder {
  readonly #text: string;
  /** Where the next escape and the next plus are, not before the last part. */
  #percentAt: number;
  #plusAt: number;

  constructor(text: string) {
    this.#text = text;
    this.#percentAt = indexOrEnd(text, '%', 0);
    this.#plusAt = indexOrEnd(text, '+', 0);
  }

  /** Undefined for a broken escape. */
  decode(start: number, end: number): string | undefined {
    let part = this.#text.slice(start, end);
    if (this.#plusAt < start) this.#plusAt = indexOrEnd(this.#text, '+', start);
    if (this.#plusAt < end) part = part.replaceAll('+', ' ');
    if (this.#percentAt < start) this.#percentAt = indexOrEnd(this.#text, '%', start);
    if (this.#percentAt >= end) return part;
    try {
      return decodeURIComponent(part);
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
