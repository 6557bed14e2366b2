import { describe, expect, test } from 'vitest';
import type { Frame } from '../../../protocols/stomp/frame.ts';
import { FrameParser } from '../../../protocols/stomp/frame-parser.ts';
import { escapeHeader, unescapeHeader } from '../../../protocols/stomp/header-text.ts';
import type { Dialect } from '../../../protocols/stomp/spec/headers.ts';
import { StompError } from '../../../protocols/stomp/stomp-error.ts';
import { SeededRandom } from '../../support/seeded-random.ts';

interface Seen {
  readonly command: string;
  readonly headers: [string, string][];
  readonly body: string;
}

function collect(dialect: Dialect = 2, headMax = 1_000, bodyMax = 1_000) {
  const seen: Seen[] = [];
  const handler = {
    onFrame: (frame: Frame) => {
      const headers: [string, string][] = [];
      frame.forEachHeader((name, value) => headers.push([name, value]));
      const body = frame.buf.toString('latin1', frame.bodyStart, frame.bodyEnd);
      seen.push({ command: frame.command, headers, body });
    },
  };
  const parser = new FrameParser(handler, headMax, bodyMax);
  parser.dialect = dialect;
  return { parser, seen };
}

function parse(text: string, dialect: Dialect = 2): Seen[] {
  const { parser, seen } = collect(dialect);
  parser.push(Buffer.from(text, 'latin1'));
  return seen;
}

const STREAM =
  '\n\r\n\0CONNECT\r\naccept-version:1.2\r\npasscode:a\\c\r\n\r\n\0\n\n' +
  'SEND\ndestination:/queue/a\ncontent-length:5\nk:a\\cb\\\\\\n\nk:second\n\na\0b\0c\0' +
  'SEND\ndestination:/queue/b\nempty:\n\nhello\0\n' +
  'SEND\ncontent-length:0\n\n\0' +
  'DISCONNECT\nreceipt:1:2\n\n\0\n';

const EXPECTED: Seen[] = [
  {
    command: 'CONNECT',
    headers: [
      ['accept-version', '1.2'],
      ['passcode', 'a\\c'],
    ],
    body: '',
  },
  {
    command: 'SEND',
    headers: [
      ['destination', '/queue/a'],
      ['content-length', '5'],
      ['k', 'a:b\\\n'],
    ],
    body: 'a\0b\0c',
  },
  {
    command: 'SEND',
    headers: [
      ['destination', '/queue/b'],
      ['empty', ''],
    ],
    body: 'hello',
  },
  { command: 'SEND', headers: [['content-length', '0']], body: '' },
  { command: 'DISCONNECT', headers: [['receipt', '1:2']], body: '' },
];

describe('frames', () => {
  test('in one piece', () => {
    expect(parse(STREAM)).toEqual(EXPECTED);
  });

  test('cut at every byte', () => {
    const bytes = Buffer.from(STREAM, 'latin1');
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const { parser, seen } = collect();
      parser.push(bytes.subarray(0, cut));
      parser.push(bytes.subarray(cut));
      expect(seen).toEqual(EXPECTED);
    }
  });

  test('byte by byte, from memory that is used again', () => {
    const { parser, seen } = collect();
    const chunk = Buffer.alloc(1);
    for (const byte of Buffer.from(STREAM, 'latin1')) {
      chunk[0] = byte;
      parser.push(chunk);
    }
    expect(seen).toEqual(EXPECTED);
  });

  test('in random pieces, with pauses', () => {
    const random = new SeededRandom(7);
    const bytes = Buffer.from(STREAM.repeat(20), 'latin1');
    const { parser, seen } = collect();
    for (let pos = 0; pos < bytes.length; ) {
      const isPaused = random.bytes(1)[0]! < 40;
      if (isPaused) parser.pause();
      const end = Math.min(bytes.length, pos + 1 + (random.bytes(1)[0]! % 100));
      const before = seen.length;
      parser.push(bytes.subarray(pos, end));
      if (isPaused) {
        expect(seen.length).toBe(before);
        parser.resume();
      }
      pos = end;
    }
    expect(seen).toEqual(Array.from({ length: 20 }, () => EXPECTED).flat());
  });

  test('a pause within a chunk keeps the rest', () => {
    const seen: string[] = [];
    const parser: FrameParser = new FrameParser(
      {
        onFrame: (frame) => {
          seen.push(frame.command);
          if (frame.command === 'B') parser.pause();
        },
      },
      100,
      100,
    );
    parser.push(Buffer.from('A\n\n\0B\n\n\0C\n\n\0D\n\n'));
    expect(seen).toEqual(['A', 'B']);
    parser.resume();
    expect(seen).toEqual(['A', 'B', 'C']);
    parser.push(Buffer.from('\0'));
    expect(seen).toEqual(['A', 'B', 'C', 'D']);
  });

  test('1.0 trims values and knows no escapes', () => {
    expect(parse('SEND\na: b\\n \n\n\0', 0)[0]!.headers).toEqual([['a', 'b\\n']]);
  });
});

describe('what is no frame', () => {
  test.each([
    ['a header without a colon', 'SEND\nabc\n\n\0'],
    ['a header without a name', 'SEND\n:abc\n\n\0'],
    ['a NUL among the headers', 'SEND\na:b\0\n\n\0'],
    ['a command without headers', 'SEND\0'],
    ['content-length that is no number', 'SEND\ncontent-length:x\n\n\0'],
    ['content-length below zero', 'SEND\ncontent-length:-1\n\n\0'],
    ['no NUL behind the body', 'SEND\ncontent-length:2\n\nabcd\0'],
    ['a body above the limit', 'SEND\ncontent-length:1001\n\n'],
    ['an endless body', `SEND\n\n${'x'.repeat(1_001)}`],
    ['endless headers', `SEND\na:${'x'.repeat(1_000)}`],
    ['an endless command', 'x'.repeat(1_000)],
  ])('%s', (_what, text) => {
    expect(() => parse(text)).toThrow(StompError);
    const { parser } = collect();
    expect(() => {
      for (const byte of Buffer.from(text, 'latin1')) parser.push(Buffer.of(byte));
    }).toThrow(StompError);
  });

  test('too many headers', () => {
    const { parser } = collect(2, 100_000);
    expect(() => parser.push(Buffer.from(`A\n${'a:b\n'.repeat(1_001)}`))).toThrow(/too large/);
  });

  test('bad escapes and bytes that are not UTF-8 show when the header is read', () => {
    expect(() => parse('SEND\na:\\t\n\n\0')).toThrow(/Invalid header/);
    expect(() => parse('SEND\na:\\r\n\n\0', 1)).toThrow(/Invalid header/);
    expect(() => parse('SEND\na:\\\n\n\0')).toThrow(/Invalid header/);
    expect(() => parse('SEND\na:\xff\n\n\0')).toThrow(/Invalid header/);
  });

  test('nothing comes after stop', () => {
    const { parser, seen } = collect();
    parser.push(Buffer.from('SEND\n'));
    parser.stop();
    parser.push(Buffer.from('\n\0'));
    expect(seen).toEqual([]);
  });
});

test('mutated streams give frames or StompError, and nothing else', () => {
  const random = new SeededRandom(11);
  const source = Buffer.from(STREAM, 'latin1');
  for (let round = 0; round < 5_000; round += 1) {
    const bytes = Buffer.from(source);
    for (const value of random.bytes(1 + (round % 4))) {
      const at = (value * 7 + round) % bytes.length;
      bytes[at] = random.bytes(1)[0]!;
    }
    const { parser } = collect();
    const cut = random.bytes(1)[0]! % bytes.length;
    try {
      parser.push(bytes.subarray(0, cut));
      parser.push(bytes.subarray(cut));
    } catch (error) {
      expect(error).toBeInstanceOf(StompError);
    }
  }
});

test('what is escaped is read back', () => {
  const text = 'a:b\\c\nd\re\u00e9';
  expect(unescapeHeader(escapeHeader(text, 2), 2)).toBe(text);
  expect(unescapeHeader(escapeHeader(text, 1), 1)).toBe(text.replace('\r', ' '));
  expect(escapeHeader(text, 0)).toBe('a:b\\c d e\u00e9');
});
