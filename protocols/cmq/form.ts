/** Names and values of a query or of a body `application/x-www-form-urlencoded`, in their order. */
export class Form {
  readonly names: string[];
  readonly values: string[];
  readonly #byName: Map<string, string>;
  /** The first name that came twice. */
  repeated: string | undefined;

  constructor() {
    this.names = [];
    this.values = [];
    this.#byName = new Map();
    this.repeated = undefined;
  }

  get(name: string): string | undefined {
    return this.#byName.get(name);
  }

  has(name: string): boolean {
    return this.#byName.has(name);
  }

  add(name: string, value: string): void {
    if (this.#byName.has(name)) this.repeated ??= name;
    this.names.push(name);
    this.values.push(value);
    this.#byName.set(name, value);
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
  let start = 0;
  while (start < text.length) {
    let end = text.indexOf('&', start);
    if (end < 0) end = text.length;
    if (end > start) {
      if (form.names.length === PAIRS_MAX) return undefined;
      let equals = text.indexOf('=', start);
      if (equals < 0 || equals > end) equals = end;
      const name = decode(text, start, equals);
      const value = equals === end ? '' : decode(text, equals + 1, end);
      if (name === undefined || value === undefined) return undefined;
      form.add(name, value);
    }
    start = end + 1;
  }
  return form;
}

const PERCENT = 0x25;
const PLUS = 0x2b;

/** The text from `start` to `end`; looks for escapes before it pays for them. */
function decode(text: string, start: number, end: number): string | undefined {
  let hasPlus = false;
  let hasPercent = false;
  for (let at = start; at < end; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit === PERCENT) hasPercent = true;
    else if (unit === PLUS) hasPlus = true;
  }
  let part = text.slice(start, end);
  if (hasPlus) part = part.replaceAll('+', ' ');
  if (!hasPercent) return part;
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}
