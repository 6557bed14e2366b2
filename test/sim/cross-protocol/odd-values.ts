/**
 * Values at the edges of what protocols can say: texts, names and AMQP field tables, as bytes, for
 * our own encoders would mend what they are to break.
 */
import type { SeededRandom } from '../../support/seeded-random.ts';

/** Header names that some of our code reads or writes. */
const OWN_NAMES = [
  ...['x-mqtt-qos', 'x-mqtt-retain', 'x-mqtt-topic', 'x-mqtt-user-properties', 'x-mqtt-replay'],
  ...['x-mqtt-content-type', 'x-mqtt-source', 'x-mqtt-share', 'x-correlation-id', 'x-mqtt-'],
  ...['x-reply-to-topic', 'x-msg-id', 'x-msg-tag', 'x-tags', 'x-subscription', 'x-rewound'],
  ...['x-death', 'x-first-death-queue', 'x-first-death-reason', 'x-first-death-exchange'],
  ...['x-last-death-queue', 'x-last-death-reason', 'x-last-death-exchange', 'x-delay', 'CC', 'BCC'],
  ...['x-receive-count', 'x-enqueue-time', 'x-delivery-count', 'x-acquired-count', 'x-match'],
  ...['x-origin-queue', 'x-origin-msg-id', 'x-origin-enqueue-time', 'x-origin-receive-count'],
  ...['x-stream-filter-value', 'x-stream-offset', 'x-opt-delay', 'x-priority', 'hash-me'],
  ...['content-length', 'content-length:3', ' content-length', 'message-id', 'destination', 'a:b'],
] as const;

/** Tags of the type that a header is read as: half of the values are of it, and odd otherwise. */
const READ_AS: ReadonlyMap<string, string> = new Map([
  ['x-correlation-id', 'xS'],
  ['x-mqtt-topic', 'S'],
  ['x-mqtt-user-properties', 'A'],
  ['x-mqtt-replay', 'dliIL'],
  ['x-mqtt-qos', 'dbS'],
  ['x-mqtt-content-type', 'S'],
  ['x-mqtt-source', 'S'],
  ['x-reply-to-topic', 'S'],
  ['x-msg-id', 'S'],
  ['x-msg-tag', 'AS'],
  ['x-delay', 'dSlDA'],
  ['x-death', 'A'],
  ['x-rewound', 'dlI'],
  ['x-stream-filter-value', 'S'],
  ['hash-me', 'dlSFA'],
  ['CC', 'A'],
  ['BCC', 'A'],
]);
const READ_NAMES = [...READ_AS.keys()];

const TEXTS = [
  ...[
    '',
    'a',
    '\0',
    'a\0b',
    '#',
    '*',
    '+',
    '/',
    '.',
    '..',
    '//',
    'a/b.c',
    '%2F',
    '$queue/q',
    '$SYS',
  ],
  ...[
    '\n',
    '\r\n',
    ':',
    '\\',
    '\\n',
    '\t',
    ' ',
    ' a ',
    '\u{fffe}',
    '\u{1f600}',
    '\u{1d11e}.\u{1f600}',
  ],
  ...[
    'é'.repeat(127),
    'k'.repeat(254),
    'k'.repeat(255),
    '\u{1f600}'.repeat(63),
    'null',
    '__proto__',
  ],
  ...['-1', '0', '1e3', '18446744073709551615', '99999999999999999999', 'NaN', 'T1.a', 'T2.a.b'],
] as const;

const TAGS = 'SxFAVtbBsuIilLfdDT';

export class OddValues {
  readonly #random: SeededRandom;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  below(bound: number): number {
    return this.#random.below(bound);
  }

  /** True once in `many`. */
  once(many: number): boolean {
    return this.#random.below(many) === 0;
  }

  pick<T>(items: ArrayLike<T>): T {
    return items[this.#random.below(items.length)]!;
  }

  bytes(byteCount: number): Buffer {
    return Buffer.from(this.#random.bytes(byteCount));
  }

  text(): string {
    return this.pick(TEXTS);
  }

  headerName(): string {
    const kind = this.below(6);
    if (kind < 2) return this.text();
    return this.pick(kind < 4 ? READ_NAMES : OWN_NAMES);
  }

  /** Bytes of a short string: UTF-8 mostly. */
  shortBytes(): Buffer {
    const invalid = this.once(6);
    if (invalid) return this.pick([this.bytes(this.below(256)), Buffer.alloc(255, 0xff)]);
    return Buffer.from(this.text());
  }

  /** Length octet and bytes. */
  shortText(bytes = this.shortBytes()): Buffer {
    return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  }

  /** A field table with its length. */
  table(depth = 0): Buffer {
    const entries: Buffer[] = [];
    for (let count = this.below(depth === 0 ? 8 : 3); count > 0; count -= 1) {
      const name = this.once(8) ? this.shortBytes() : Buffer.from(this.headerName());
      entries.push(this.shortText(name), this.value(depth, name.toString()));
    }
    return prefixed(Buffer.concat(entries));
  }

  /** Tag and value. */
  value(depth: number, name: string): Buffer {
    // CC and BCC of another type are refused.
    const isKeys = depth === 0 && (name === 'CC' || name === 'BCC') && !this.once(10);
    const isRight = isKeys || this.once(2);
    const tag = this.pick((isRight ? READ_AS.get(name) : undefined) ?? TAGS);
    return Buffer.concat([Buffer.from(tag), this.#valueOf(tag, depth)]);
  }

  #valueOf(tag: string, depth: number): Buffer {
    switch (tag) {
      case 'S':
      case 'x':
        return prefixed(this.#longBytes());
      case 'F':
        return depth < 5 ? this.table(depth + 1) : Buffer.alloc(4);
      case 'A': {
        const items: Buffer[] = [];
        for (let n = this.below(4); depth < 5 && n > 0; n -= 1)
          items.push(this.value(depth + 1, ''));
        return prefixed(Buffer.concat(items));
      }
      case 'V':
        return Buffer.alloc(0);
      case 'd':
        return this.#double();
      case 'f':
        return this.pick([
          Buffer.from('7fc00000', 'hex'),
          Buffer.from('ff800000', 'hex'),
          this.bytes(4),
        ]);
      case 'D':
        return this.pick([Buffer.from('ff00000001', 'hex'), this.bytes(5)]);
      default:
        return this.#integer(
          'tbB'.includes(tag) ? 1 : 'su'.includes(tag) ? 2 : 'Ii'.includes(tag) ? 4 : 8,
        );
    }
  }

  #integer(byteCount: number): Buffer {
    const kind = this.below(5);
    if (kind === 0) return Buffer.alloc(byteCount);
    if (kind === 1) return Buffer.alloc(byteCount, 0xff);
    if (kind === 2) return this.bytes(byteCount);
    const bytes = Buffer.alloc(byteCount, kind === 3 ? 0 : 0xff);
    if (kind === 3) bytes[byteCount - 1] = this.below(9);
    else bytes[0] = 0x7f;
    return bytes;
  }

  #double(): Buffer {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleBE(
      this.pick([NaN, Infinity, -Infinity, -0, 0.5, 1.5, 2, 1e308, 5e-324, 2 ** 53, 1e21, -1]),
    );
    return bytes;
  }

  #longBytes(): Buffer {
    if (this.once(8))
      return Buffer.alloc(65_530 + this.below(12), this.pick([0x61, 0xc3, 0x0a, 0]));
    if (this.once(6)) return this.bytes(this.below(300));
    if (this.once(6)) return Buffer.from(String(this.below(40)));
    return Buffer.from(this.text());
  }

  /** All properties of AMQP's class basic with their flags. */
  properties(): { flags: number; bytes: Buffer } {
    let flags = 0;
    const parts: Buffer[] = [];
    const maybe = (bit: number, make: () => Buffer, many = 3): void => {
      if (!this.once(many)) return;
      flags |= 1 << bit;
      parts.push(make());
    };
    const text = (): Buffer => this.shortText();
    maybe(15, text);
    maybe(14, () => this.shortText(this.once(2) ? Buffer.from('utf-8') : this.shortBytes()));
    maybe(13, () => this.table(), 1);
    maybe(12, () => Buffer.from([this.pick([2, 2, 2, 1, 0, 255])]), 1);
    maybe(11, () => Buffer.from([this.below(256)]));
    maybe(10, text);
    maybe(9, text);
    maybe(8, () => this.shortText(Buffer.from(this.pick(EXPIRATIONS))));
    maybe(7, text);
    maybe(6, () => this.#integer(8));
    maybe(5, text);
    maybe(4, () => this.shortText(Buffer.from('guest')));
    maybe(3, text);
    maybe(2, text);
    return { flags, bytes: Buffer.concat(parts) };
  }
}

const EXPIRATIONS = ['0', '1', '00000000000000000100', '+5', '-0', '4294967295', '1000', '60000'];

function prefixed(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
