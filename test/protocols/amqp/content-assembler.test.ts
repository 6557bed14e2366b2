import { describe, expect, test } from 'vitest';
import type { ContentHandler } from '../../../protocols/amqp/content-assembler.ts';
import { ContentAssembler } from '../../../protocols/amqp/content-assembler.ts';
import type { HeaderScan } from '../../../protocols/amqp/content-header.ts';
import { FrameParser } from '../../../protocols/amqp/frame-parser.ts';
import { FRAME_BODY, FRAME_HEADER } from '../../../protocols/amqp/spec/constants.ts';
import { MessageArena } from '../../../src/base/arena.ts';
import { BrokerError } from '../../../src/base/errors.ts';
import { BODY_BYTES_HARD_CAP } from '../../../src/base/limits.ts';
import { headerPayload, hex, publishFrames } from './wire.ts';

const MAX = 100_000;

interface Content {
  readonly bytes: Buffer;
  readonly start: number;
  readonly headerBytes: number;
  readonly bodyBytes: number;
  readonly deliveryMode: number;
}

class Inbox implements ContentHandler {
  readonly contents: Content[] = [];

  onContent(
    bytes: Buffer,
    start: number,
    headerBytes: number,
    bodyBytes: number,
    header: HeaderScan,
  ): void {
    const { deliveryMode } = header;
    this.contents.push({ bytes, start, headerBytes, bodyBytes, deliveryMode });
  }

  header(index = 0): string {
    const { bytes, start, headerBytes } = this.contents[index]!;
    return bytes.toString('hex', start, start + headerBytes);
  }

  body(index = 0): Buffer {
    const { bytes, start, headerBytes, bodyBytes } = this.contents[index]!;
    return bytes.subarray(start + headerBytes, start + headerBytes + bodyBytes);
  }
}

function setUp(max = MAX): { inbox: Inbox; assembler: ContentAssembler } {
  const inbox = new Inbox();
  return { inbox, assembler: new ContentAssembler(inbox, new MessageArena(), max) };
}

function header(assembler: ContentAssembler, payload: Buffer): void {
  // Amid other bytes, as in a chunk.
  const chunk = Buffer.concat([Buffer.alloc(7, 0xff), payload, Buffer.alloc(1, 0xce)]);
  assembler.onHeader(chunk, 7, 7 + payload.length);
  chunk.fill(0xee);
}

function body(assembler: ContentAssembler, payload: Buffer): void {
  const chunk = Buffer.concat([Buffer.alloc(7, 0xff), payload, Buffer.alloc(1, 0xce)]);
  assembler.onBody(chunk, 7, 7 + payload.length);
  chunk.fill(0xee);
}

function failure(run: () => void): [string, string, string] {
  try {
    run();
  } catch (error) {
    if (error instanceof BrokerError) return [error.code, error.scope, error.message];
    throw error;
  }
  throw new RangeError('no error');
}

describe('in order', () => {
  test('header and body come out as they went in', () => {
    const { inbox, assembler } = setUp();
    assembler.begin();
    expect(assembler.isIdle).toBe(false);
    header(assembler, headerPayload(5, 0x1000, hex('02')));
    body(assembler, Buffer.from('he'));
    body(assembler, Buffer.alloc(0));
    expect(inbox.contents.length).toBe(0);
    body(assembler, Buffer.from('llo'));
    expect(inbox.header()).toBe('003c00000000000000000005100002');
    expect(inbox.body().toString()).toBe('hello');
    expect(inbox.contents[0]!.deliveryMode).toBe(2);
    expect(assembler.isIdle).toBe(true);
  });

  test('size 0 has no body frame', () => {
    const { inbox, assembler } = setUp();
    assembler.begin();
    header(assembler, headerPayload(0));
    expect(inbox.contents.length).toBe(1);
    expect(assembler.isIdle).toBe(true);
  });

  test('sizes around every change of memory', () => {
    const sizes = [
      1, 47, 48, 49, 8_177, 8_178, 8_179, 32_768, 65_536, 1_048_576, 1_048_577, 3_000_000,
    ];
    for (const size of sizes) {
      const { inbox, assembler } = setUp(4_000_000);
      const content = Buffer.alloc(size, 'abcdefghijk');
      for (const piece of [size, 1_000_003, 4_088]) {
        assembler.begin();
        header(assembler, headerPayload(size));
        for (let pos = 0; pos < size; pos += piece) {
          body(assembler, content.subarray(pos, Math.min(pos + piece, size)));
        }
      }
      expect(inbox.contents.length).toBe(3);
      for (let i = 0; i < 3; i += 1) expect(inbox.body(i).equals(content)).toBe(true);
    }
  });

  test('small messages share a slab and do not overlap', () => {
    const { inbox, assembler } = setUp();
    for (let i = 0; i < 2_000; i += 1) {
      assembler.begin();
      header(assembler, headerPayload(4));
      body(assembler, Buffer.from(String(i).padStart(4, '0')));
    }
    for (let i = 0; i < 2_000; i += 1) {
      expect(inbox.body(i).toString()).toBe(String(i).padStart(4, '0'));
    }
    expect(new Set(inbox.contents.map((c) => c.bytes)).size).toBeLessThan(4);
  });

  test('contents of two channels interleaved in one arena', () => {
    const arena = new MessageArena();
    const one = new Inbox();
    const two = new Inbox();
    const first = new ContentAssembler(one, arena, MAX);
    const second = new ContentAssembler(two, arena, MAX);
    first.begin();
    second.begin();
    header(first, headerPayload(2));
    header(second, headerPayload(2));
    body(first, Buffer.from('a'));
    body(second, Buffer.from('x'));
    body(first, Buffer.from('b'));
    body(second, Buffer.from('y'));
    expect([one.body().toString(), two.body().toString()]).toEqual(['ab', 'xy']);
  });
});

describe('out of order is a 505', () => {
  const NOT_METHOD = 'expected method frame, got non method frame instead';
  const NOT_HEADER = 'expected content header for class 60, got non content header frame instead';
  const NOT_BODY = 'expected content body, got non content body frame instead';

  test('header or body without a method', () => {
    const { assembler } = setUp();
    assembler.expectMethod();
    expect(failure(() => header(assembler, headerPayload(0)))).toEqual([
      'UNEXPECTED_FRAME',
      'connection',
      NOT_METHOD,
    ]);
    expect(failure(() => body(assembler, hex('00')))).toEqual([
      'UNEXPECTED_FRAME',
      'connection',
      NOT_METHOD,
    ]);
  });

  test('method or body where a header is due', () => {
    const { assembler } = setUp();
    assembler.begin();
    expect(failure(() => assembler.expectMethod())).toEqual([
      'UNEXPECTED_FRAME',
      'connection',
      NOT_HEADER,
    ]);
    expect(failure(() => body(assembler, hex('00')))).toEqual([
      'UNEXPECTED_FRAME',
      'connection',
      NOT_HEADER,
    ]);
  });

  test('method or header where a body is due', () => {
    const { assembler } = setUp();
    assembler.begin();
    header(assembler, headerPayload(1));
    expect(failure(() => assembler.expectMethod())).toEqual([
      'UNEXPECTED_FRAME',
      'connection',
      NOT_BODY,
    ]);
    expect(failure(() => header(assembler, headerPayload(1)))).toEqual([
      'UNEXPECTED_FRAME',
      'connection',
      NOT_BODY,
    ]);
  });

  test('a header of another class', () => {
    const { assembler } = setUp();
    assembler.begin();
    const payload = headerPayload(0);
    payload.writeUInt16BE(50, 0);
    expect(failure(() => header(assembler, payload))).toEqual([
      'UNEXPECTED_FRAME',
      'connection',
      'expected content header for class 60, got one for class 50 instead',
    ]);
  });

  test('a header with weight', () => {
    const { assembler } = setUp();
    assembler.begin();
    const payload = headerPayload(0);
    payload.writeUInt16BE(1, 2);
    expect(failure(() => header(assembler, payload))).toEqual([
      'UNEXPECTED_FRAME',
      'connection',
      NOT_HEADER,
    ]);
  });
});

describe('sizes', () => {
  test('more body than declared is a 501', () => {
    const { assembler } = setUp();
    assembler.begin();
    header(assembler, headerPayload(3));
    body(assembler, Buffer.from('ab'));
    expect(failure(() => body(assembler, Buffer.from('cd')))).toEqual([
      'FRAME_ERROR',
      'connection',
      'content body frame exceeds remaining content size',
    ]);
  });

  test('512 MiB may be claimed, and costs 1 MiB; one byte more is a 501 at the header', () => {
    const { inbox, assembler } = setUp(BODY_BYTES_HARD_CAP);
    assembler.begin();
    const before = process.memoryUsage().arrayBuffers;
    header(assembler, headerPayload(BODY_BYTES_HARD_CAP));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * 1024 * 1024);
    expect(inbox.contents.length).toBe(0);

    const other = setUp(BODY_BYTES_HARD_CAP).assembler;
    other.begin();
    expect(failure(() => header(other, headerPayload(BODY_BYTES_HARD_CAP + 1)))).toEqual([
      'FRAME_ERROR',
      'connection',
      'content body size 536870913 exceeds maximum allowed size 536870912',
    ]);
  });

  test.each(['8000000000000000', 'ffffffffffffffff', '0020000000000001'])('a claim of %s', (n) => {
    const { assembler } = setUp();
    assembler.begin();
    const payload = headerPayload(0);
    hex(n).copy(payload, 4);
    expect(failure(() => header(assembler, payload))[0]).toBe('FRAME_ERROR');
  });

  test('the configured size passes; above it all is consumed, then a 406', () => {
    const { inbox, assembler } = setUp(10);
    assembler.begin();
    header(assembler, headerPayload(10));
    body(assembler, Buffer.alloc(10));
    expect(inbox.contents.length).toBe(1);

    assembler.begin();
    header(assembler, headerPayload(11));
    body(assembler, Buffer.alloc(10));
    expect(failure(() => body(assembler, Buffer.alloc(1)))).toEqual([
      'PRECONDITION_FAILED',
      'channel',
      'message size 11 is larger than configured max size 10',
    ]);
    expect(inbox.contents.length).toBe(1);
    // The channel is in step again.
    expect(assembler.isIdle).toBe(true);
    assembler.begin();
    header(assembler, headerPayload(1));
    body(assembler, Buffer.from('x'));
    expect(inbox.body(1).toString()).toBe('x');
  });

  test('a content that is too large takes no memory', () => {
    const { assembler } = setUp(10);
    assembler.begin();
    header(assembler, headerPayload(BODY_BYTES_HARD_CAP));
    const before = process.memoryUsage().arrayBuffers;
    const piece = Buffer.alloc(65_536);
    for (let i = 0; i < 512; i += 1) assembler.onBody(piece, 0, piece.length);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1024 * 1024);
  });
});

describe('malformed headers are a 502, before anything is kept', () => {
  test.each([
    ['shorter than its fixed part', '003c 0000 0000000000000001 00'],
    ['a flag without its property', '003c 0000 0000000000000001 8000'],
    ['a property without its flag', '003c 0000 0000000000000001 0000 02'],
    ['an undefined flag', '003c 0000 0000000000000001 0001'],
    ['a string beyond the end', '003c 0000 0000000000000001 8000 05 61'],
    ['a table beyond the end', '003c 0000 0000000000000001 2000 00000005 01'],
    ['a table with an unknown type', '003c 0000 0000000000000001 2000 00000003 01 61 7a'],
    ['half a timestamp', '003c 0000 0000000000000001 0040 00000000'],
  ])('%s', (_, digits) => {
    const { inbox, assembler } = setUp();
    assembler.begin();
    expect(failure(() => header(assembler, hex(digits))).slice(0, 2)).toEqual([
      'SYNTAX_ERROR',
      'connection',
    ]);
    expect(inbox.contents.length).toBe(0);
  });
});

describe('discarding', () => {
  test.each(['before the header', 'after the header', 'within the body'])('%s', (when) => {
    const { inbox, assembler } = setUp(10);
    assembler.begin();
    if (when === 'before the header') assembler.discard();
    header(assembler, headerPayload(20));
    if (when === 'after the header') assembler.discard();
    body(assembler, Buffer.alloc(10));
    if (when === 'within the body') assembler.discard();
    // Too large as well, but that is reported for what was wanted only.
    body(assembler, Buffer.alloc(10));
    expect([inbox.contents.length, assembler.isIdle]).toEqual([0, true]);
    assembler.begin();
    header(assembler, headerPayload(0));
    expect(inbox.contents.length).toBe(1);
  });

  test('of a content without a body', () => {
    const { inbox, assembler } = setUp();
    assembler.begin();
    assembler.discard();
    header(assembler, headerPayload(0));
    expect([inbox.contents.length, assembler.isIdle]).toEqual([0, true]);
  });

  test('reset forgets half a content', () => {
    const { inbox, assembler } = setUp();
    assembler.begin();
    header(assembler, headerPayload(2));
    body(assembler, Buffer.from('a'));
    assembler.reset();
    assembler.expectMethod();
    assembler.begin();
    header(assembler, headerPayload(1));
    body(assembler, Buffer.from('z'));
    expect(inbox.body().toString()).toBe('z');
  });
});

test('from chunks cut at every byte and overwritten, messages arrive intact', () => {
  const large = Buffer.alloc(9_000, 'large body ');
  const stream = Buffer.concat([
    hex('414d515000000901'),
    publishFrames(1, 'x', 'k', Buffer.from('small body'), 0x8000, hex('03 612f62')),
    publishFrames(1, 'x', 'k', Buffer.alloc(0)),
    publishFrames(1, 'x', 'k', large),
  ]);
  for (let cut = 1; cut < 220; cut += 1) {
    const { inbox, assembler } = setUp();
    const parser = new FrameParser(
      {
        onProtocolHeader: () => {},
        onFrame: (type, _channel, buf, start, end) => {
          if (type === FRAME_HEADER) assembler.onHeader(buf, start, end);
          else if (type === FRAME_BODY) assembler.onBody(buf, start, end);
          else assembler.begin();
        },
      },
      131_072,
    );
    for (const piece of [stream.subarray(0, cut), stream.subarray(cut)]) {
      const chunk = Buffer.from(piece);
      parser.push(chunk);
      chunk.fill(0xee);
    }
    expect(inbox.contents.map((_, i) => inbox.body(i).toString())).toEqual([
      'small body',
      '',
      large.toString(),
    ]);
    expect(inbox.header()).toBe('003c0000000000000000000a800003612f62');
  }
});
