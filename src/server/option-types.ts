/**
 * How the text of an option becomes a value. The same types read flags and environment variables
 * (always text), and the configuration file (text, numbers, booleans, lists).
 */
import { isIP } from 'node:net';

/** One kind of option value. */
export interface OptionType<T> {
  /** Shown as `--flag <hint>` and in the documentation. */
  readonly hint: string;
  /** True when a flag may be repeated and a file may give a list. */
  readonly isList: boolean;
  /** @throws OptionValueError with a sentence that says what is expected */
  parse(raw: unknown): T;
  /** The value as one would write it in a file, for the effective configuration. */
  format(value: T): string;
}

/** A value that does not fit its option; the message says what would. */
export class OptionValueError extends Error {
  constructor(expectation: string) {
    super(expectation);
    this.name = 'OptionValueError';
  }
}

function fail(expectation: string): never {
  throw new OptionValueError(expectation);
}

function toText(raw: unknown, expectation: string): string {
  if (typeof raw === 'string') return raw.trim();
  if (typeof raw === 'number' || typeof raw === 'bigint') return String(raw);
  return fail(expectation);
}

/** A number of things between `min` and `max`. */
export function integer(min: number, max: number): OptionType<number> {
  const expectation = `a whole number from ${min} to ${max}`;
  return {
    hint: 'number',
    isList: false,
    parse: (raw) => {
      const text = toText(raw, expectation);
      const value = Number(text);
      const isValid = /^\d+$/.test(text) && value >= min && value <= max;
      return isValid ? value : fail(expectation);
    },
    format: String,
  };
}

/** A TCP port; 0 is any free one. */
export const PORT: OptionType<number | 'off'> = {
  hint: 'port',
  isList: false,
  parse: (raw) => {
    const expectation = 'a port from 0 to 65535, or `off`';
    const text = raw === false ? 'off' : toText(raw, expectation).toLowerCase();
    if (text === 'off') return 'off';
    const value = Number(text);
    return /^\d+$/.test(text) && value <= 65_535 ? value : fail(expectation);
  },
  format: String,
};

const BYTE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  // A bare letter is binary, as in rabbitmq.conf.
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

function parseBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text);
  const unit = BYTE_UNITS[match?.[2]?.toLowerCase() ?? ''];
  return match === null || unit === undefined ? undefined : Math.round(Number(match[1]) * unit);
}

/** Bytes in the largest binary unit that divides them. */
export function formatBytes(byteCount: number): string {
  for (const [unit, size] of [
    ['GiB', 2 ** 30],
    ['MiB', 2 ** 20],
    ['KiB', 2 ** 10],
  ] as const) {
    if (byteCount >= size && byteCount % size === 0) return `${byteCount / size}${unit}`;
  }
  return String(byteCount);
}

/** A size: bytes, or with a unit such as `64MiB`. */
export function bytes(min: number, max: number): OptionType<number> {
  const range =
    max === Number.MAX_SAFE_INTEGER
      ? `at least ${formatBytes(min)}`
      : `from ${formatBytes(min)} to ${formatBytes(max)}`;
  const expectation = `a size ${range}, such as 1048576 or 64MiB`;
  return {
    hint: 'size',
    isList: false,
    parse: (raw) => {
      const value = parseBytes(toText(raw, expectation));
      const isValid = value !== undefined && value >= min && value <= max;
      return isValid ? value : fail(expectation);
    },
    format: formatBytes,
  };
}

/** A size, or a share of the memory this process may use. */
export function bytesOrShare(totalBytes: number): OptionType<number> {
  const expectation = 'a size such as 2GiB, or a share of memory such as 60%';
  return {
    hint: 'size|percent',
    isList: false,
    parse: (raw) => {
      const text = toText(raw, expectation);
      const share = /^(\d+(?:\.\d+)?)\s*%$/.exec(text);
      if (share === null) return parseBytes(text) ?? fail(expectation);
      const percent = Number(share[1]);
      const isValid = percent > 0 && percent <= 100;
      return isValid ? Math.floor((totalBytes * percent) / 100) : fail(expectation);
    },
    format: formatBytes,
  };
}

const SECONDS_PER_UNIT: Readonly<Record<string, number>> = {
  '': 1,
  ms: 0.001,
  s: 1,
  m: 60,
  h: 3_600,
};

/** A span of time in seconds: bare, or with a unit such as `500ms` or `10m`. Value in ms. */
export function duration(minMs: number, maxMs: number): OptionType<number> {
  const limits = `from ${minMs / 1000}s to ${maxMs / 1000}s`;
  const expectation = `a time ${limits}: seconds, or with a unit such as 500ms, 10s or 5m`;
  return {
    hint: 'time',
    isList: false,
    parse: (raw) => {
      const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(toText(raw, expectation));
      const scale = SECONDS_PER_UNIT[match?.[2]?.toLowerCase() ?? ''];
      if (match === null || scale === undefined) return fail(expectation);
      const valueMs = Math.round(Number(match[1]) * scale * 1000);
      return valueMs >= minMs && valueMs <= maxMs ? valueMs : fail(expectation);
    },
    format: (valueMs) => (valueMs % 1000 === 0 ? `${valueMs / 1000}s` : `${valueMs}ms`),
  };
}

/** One of a few words. */
export function choice<const T extends string>(...values: readonly T[]): OptionType<T> {
  const expectation = `one of ${values.join(', ')}`;
  return {
    hint: values.join('|'),
    isList: false,
    parse: (raw) => values.find((value) => value === raw) ?? fail(expectation),
    format: (value) => value,
  };
}

/** On or off. */
export const SWITCH: OptionType<boolean> = {
  hint: 'true|false',
  isList: false,
  parse: (raw) => {
    if (raw === true || raw === 'true' || raw === 'on' || raw === 'yes') return true;
    if (raw === false || raw === 'false' || raw === 'off' || raw === 'no') return false;
    return fail('true or false');
  },
  format: String,
};

/** Any text that is not empty. */
export function text(hint: string): OptionType<string> {
  return {
    hint,
    isList: false,
    parse: (raw) => {
      const value = typeof raw === 'string' ? raw : toText(raw, 'a text');
      return value === '' ? fail('a text that is not empty') : value;
    },
    format: (value) => value,
  };
}

/** A version of three numbers: clients compare those they know. */
export const VERSION: OptionType<string> = {
  hint: 'version',
  isList: false,
  parse: (raw) => {
    const expectation = 'a version such as 4.3.6';
    const value = toText(raw, expectation);
    return /^\d+\.\d+\.\d+(?:[-+].+)?$/.test(value) ? value : fail(expectation);
  },
  format: (value) => value,
};

/** A text that may be absent: the empty default stands for "not set". */
export function optionalText(hint: string): OptionType<string | undefined> {
  return {
    hint,
    isList: false,
    parse: (raw) => (raw === '' ? undefined : toText(raw, 'a text')),
    format: (value) => value ?? '',
  };
}

/** Several values of one kind; commas separate them in a flag or an environment variable. */
export function listOf<T>(item: OptionType<T>): OptionType<readonly T[]> {
  return {
    hint: item.hint,
    isList: true,
    parse: (raw) => {
      const parts = Array.isArray(raw) ? raw : [raw];
      const words = parts.flatMap((part: unknown) =>
        typeof part === 'string' ? part.split(',').map((word) => word.trim()) : [part],
      );
      return words.filter((word) => word !== '' && word !== 'none').map((word) => item.parse(word));
    },
    format: (values) =>
      values.length === 0 ? 'none' : values.map((value) => item.format(value)).join(', '),
  };
}

/** An address block such as `10.0.0.0/8`; a bare address is a block of one. */
export const CIDR: OptionType<{ readonly address: string; readonly prefixBits: number }> = {
  hint: 'cidr',
  isList: false,
  parse: (raw) => {
    const expectation = 'an address or block such as 10.0.0.0/8';
    const [address = '', prefix, ...rest] = toText(raw, expectation).split('/');
    const version = isIP(address);
    const maxBits = version === 6 ? 128 : 32;
    const prefixBits = prefix === undefined ? maxBits : Number(prefix);
    const isValid =
      version !== 0 &&
      rest.length === 0 &&
      (prefix === undefined || /^\d+$/.test(prefix)) &&
      prefixBits <= maxBits;
    return isValid ? { address, prefixBits } : fail(expectation);
  },
  format: ({ address, prefixBits }) => `${address}/${prefixBits}`,
};

/** The origin of a web page as browsers send it, or `*`. */
export const ORIGIN: OptionType<string> = {
  hint: 'origin',
  isList: false,
  parse: (raw) => {
    const expectation = 'an origin such as https://app.example.com, or `*`';
    const value = toText(raw, expectation);
    if (value === '*') return value;
    const origin = URL.canParse(value) ? new URL(value).origin : 'null';
    return origin !== 'null' && origin === value.toLowerCase() ? origin : fail(expectation);
  },
  format: (value) => value,
};
