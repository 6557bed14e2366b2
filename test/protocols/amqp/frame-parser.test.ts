import { describe, expect, test } from 'vitest';
import type { FrameHandler } from '../../../protocols/amqp/frame-parser.ts';
import { FrameParser } from '../../../protocols/amqp/frame-parser.ts';
import type { ProtocolHeader } from '../../../protocols/amqp/protocol-header.ts';
import { FRAME_BODY } from '../../../protocols/amqp/spec/constants.ts';
import { BrokerError } from '../../../src/base/errors.ts';
import { bodyFrame, frame, headerFrame, hex, methodFrame, publishFrames } from './wire.ts';

const PROTOCOL_HEADER = hex('414d5150 00000901');
const HEARTBEAT = hex('08 0000 00000000 ce');

/** Notes what it is told; pieces of one body frame become one again. */
class Recorder implements FrameHandler {
  readonly events: string[] = [];
  /** Called after each frame. */
  then: () => void = () => {};
  #body = '';
  #bodyWanted: number[] = [];

  constructor(bodySizes: number[] = []) {
    this.#bodyWanted = bodySizes;
  }

  onProtocolHeader(header: ProtocolHeader): void {
    this.events.push(header);
    this.then();
  }

  onFrame(type: number, channel: number, buf: Buffer, start: number, end: number): void {
    const payload = buf.toString('hex', start, end);
    if (type === FRAME_BODY && this.#bodyWanted.length > 0) {
      this.#body += payload;
      if (this.#body.length / 2 < this.#bodyWanted[0]!) return this.then();
      this.events.push(`3 ${channel} ${this.#body}`);
      this.#body = '';
      this.#bodyWanted.shift();
    } else {
      this.events.push(`${type} ${channel} ${payload}`);
    }
    this.then();
  }
}

const STREAM = Buffer.concat([
  PROTOCOL_HEADER,
  HEARTBEAT,
  methodFrame('channel.open', 1),
  publishFrames(1, 'exchange', 'key', Buffer.from('hello world')),
  publishFrames(258, '', 'q', Buffer.alloc(0)),
  publishFrames(1, '', 'q', Buffer.from([0xce])),
  methodFrame('basic.ack', 1, [1, false]),
  HEARTBEAT,
]);
const STREAM_BODIES = [11, 1];

function eventsOf(stream: Buffer): string[] {
  const recorder = new Recorder([...STREAM_BODIES]);
  new FrameParser(recorder, 4096).push(stream);
  return recorder.events;
}

function fresh(recorder: FrameHandler, frameMax = 4096): FrameParser {
  const parser = new FrameParser(recorder, frameMax);
  parser.push(PROTOCOL_HEADER);
  return parser;
}

function errorOf(run: () => void): BrokerError {
  try {
    run();
  } catch (error) {
    if (error instanceof BrokerError) return error;
    throw error;
  }
  throw new RangeError('no error');
}

test('a stream in one chunk', () => {
  expect(eventsOf(STREAM)).toEqual([
    'amqp-0-9-1',
    '8 0 ',
    '1 1 0014000a00',
    `1 1 003c00280000${'08'}${Buffer.from('exchange').toString('hex')}036b657900`,
    '2 1 003c0000000000000000000b0000',
    `3 1 ${Buffer.from('hello world').toString('hex')}`,
    '1 258 003c0028000000017100',
    '2 258 003c000000000000000000000000',
    '1 1 003c0028000000017100',
    '2 1 003c000000000000000000010000',
    '3 1 ce',
    '1 1 003c0050000000000000000100',
    '8 0 ',
  ]);
});

describe('the same events, however the stream is cut', () => {
  const expected = eventsOf(STREAM);

  test('into two, at every byte', () => {
    for (let cut = 0; cut <= STREAM.length; cut += 1) {
      const recorder = new Recorder([...STREAM_BODIES]);
      const parser = new FrameParser(recorder, 4096);
      parser.push(STREAM.subarray(0, cut));
      parser.push(STREAM.subarray(cut));
      expect(recorder.events).toEqual(expected);
      expect(parser.heldBytes).toBe(0);
    }
  });

  test('into three, at every pair of bytes', () => {
    for (let first = 0; first < STREAM.length; first += 1) {
      for (let second = first; second < STREAM.length; second += 5) {
        const recorder = new Recorder([...STREAM_BODIES]);
        const parser = new FrameParser(recorder, 4096);
        parser.push(STREAM.subarray(0, first));
        parser.push(STREAM.subarray(first, second));
        parser.push(STREAM.subarray(second));
        expect(recorder.events).toEqual(expected);
      }
    }
  });

  test('into pieces of every size, each overwritten after the push', () => {
    for (let size = 1; size <= STREAM.length; size += 1) {
      const recorder = new Recorder([...STREAM_BODIES]);
      const parser = new FrameParser(recorder, 4096);
      for (let pos = 0; pos < STREAM.length; pos += size) {
        const chunk = Buffer.from(STREAM.subarray(pos, pos + size));
        parser.push(chunk);
        chunk.fill(0xee);
      }
      expect(recorder.events).toEqual(expected);
    }
  });

  test('with a pause after every frame, in the middle of every chunk', () => {
    for (const size of [1, 2, 7, 8, 9, 30, 64, STREAM.length]) {
      const recorder = new Recorder([...STREAM_BODIES]);
      const parser = new FrameParser(recorder, 4096);
      recorder.then = () => parser.pause();
      for (let pos = 0; pos < STREAM.length; pos += size) {
        const chunk = Buffer.from(STREAM.subarray(pos, pos + size));
        parser.push(chunk);
        chunk.fill(0xee);
        if (pos % 3 === 0) parser.resume();
      }
      for (let i = 0; i < STREAM.length && parser.heldBytes > 0; i += 1) parser.resume();
      expect(recorder.events).toEqual(expected);
    }
  });

  test('with pause and resume from within', () => {
    const recorder = new Recorder([...STREAM_BODIES]);
    const parser = new FrameParser(recorder, 4096);
    recorder.then = () => {
      parser.pause();
      parser.resume();
    };
    parser.push(STREAM);
    expect(recorder.events).toEqual(expected);
  });
});

describe('pausing', () => {
  test('stops after the frame being handled, and goes on with what came meanwhile', () => {
    const recorder = new Recorder();
    const parser = fresh(recorder);
    recorder.then = () => parser.pause();
    parser.push(Buffer.concat([HEARTBEAT, methodFrame('tx.select', 1), HEARTBEAT]));
    expect(recorder.events).toEqual(['amqp-0-9-1', '8 0 ']);
    expect(parser.isPaused).toBe(true);
    parser.push(methodFrame('tx.commit', 1));
    expect(recorder.events.length).toBe(2);
    recorder.then = () => {};
    parser.resume();
    expect(recorder.events.slice(2)).toEqual(['1 1 005a000a', '8 0 ', '1 1 005a0014']);
    expect(parser.heldBytes).toBe(0);
  });

  test('stop from within forgets the rest', () => {
    const recorder = new Recorder();
    const parser = fresh(recorder);
    recorder.then = () => parser.stop();
    parser.push(Buffer.concat([HEARTBEAT, HEARTBEAT]));
    parser.push(HEARTBEAT);
    parser.resume();
    expect(recorder.events).toEqual(['amqp-0-9-1', '8 0 ']);
    expect(parser.heldBytes).toBe(0);
  });

  test('an exception from a handler stops the parser', () => {
    const recorder = new Recorder();
    const parser = fresh(recorder);
    recorder.then = () => {
      throw new BrokerError('NOT_ALLOWED', 'no');
    };
    expect(errorOf(() => parser.push(Buffer.concat([HEARTBEAT, HEARTBEAT]))).code).toBe(
      'NOT_ALLOWED',
    );
    expect(parser.isStopped).toBe(true);
    parser.push(HEARTBEAT);
    expect(recorder.events.length).toBe(2);
  });
});

describe('framing errors are a 501 and the end', () => {
  const cases: [string, Buffer, string][] = [
    ['wrong end octet', hex('01 0001 00000004 005a000a cd'), 'invalid frame end marker 205'],
    ['wrong end octet of a heartbeat', hex('08 0000 00000000 00'), 'invalid frame end marker 0'],
    ['wrong end octet of a body', hex('03 0001 00000002 abcd 00'), 'invalid frame end marker 0'],
    ['type 0', hex('00 0001 00000000 ce'), 'unknown frame type 0'],
    ['type 4', hex('04 0001 00000000 ce'), 'unknown frame type 4'],
    ['type 255', hex('ff 0001 00000000 ce'), 'unknown frame type 255'],
    [
      'type 33, which is 1 in the low five bits',
      hex('21 0001 00000000 ce'),
      'unknown frame type 33',
    ],
    ['a heartbeat with payload', hex('08 0000 00000001 00 ce'), 'a heartbeat frame has no payload'],
  ];

  test.each(cases)('%s', (_, bytes, text) => {
    for (let cut = 0; cut < bytes.length; cut += 1) {
      const recorder = new Recorder();
      const parser = fresh(recorder);
      const error = errorOf(() => {
        parser.push(bytes.subarray(0, cut));
        parser.push(bytes.subarray(cut));
      });
      expect([error.code, error.scope, error.message]).toEqual(['FRAME_ERROR', 'connection', text]);
      expect(parser.isStopped).toBe(true);
      parser.push(HEARTBEAT);
      expect(recorder.events.some((event) => event.startsWith('8'))).toBe(false);
    }
  });

  test('the last body byte is not handed over before the end octet is right', () => {
    const recorder = new Recorder();
    const parser = fresh(recorder);
    parser.push(hex('03 0001 00000003 aabbcc'));
    expect(recorder.events.slice(1)).toEqual(['3 1 aabb']);
    expect(errorOf(() => parser.push(hex('00'))).code).toBe('FRAME_ERROR');
    expect(recorder.events.slice(1)).toEqual(['3 1 aabb']);
  });
});

describe('the frame limit', () => {
  test('a payload as large as frame_max passes: eight bytes of slack', () => {
    for (const type of [1, 2, 3]) {
      const recorder = new Recorder();
      fresh(recorder, 4096).push(frame(type, 1, Buffer.alloc(4096)));
      expect(recorder.events.length).toBe(2);
    }
  });

  test('one byte more does not, and its head alone is enough to know', () => {
    for (const type of [1, 2, 3]) {
      const head = Buffer.from([type, 0, 1, 0, 0, 0x10, 0x01]);
      expect(errorOf(() => fresh(new Recorder(), 4096).push(head)).message).toBe(
        `frame too large: type ${type}, channel 1, 4097 bytes of payload, at most 4096`,
      );
      const whole = frame(type, 1, Buffer.alloc(4097));
      expect(errorOf(() => fresh(new Recorder(), 4096).push(whole)).code).toBe('FRAME_ERROR');
    }
  });

  test('holds for the frames after setFrameMax', () => {
    const recorder = new Recorder();
    const parser = fresh(recorder, 4096);
    recorder.then = () => parser.setFrameMax(8192);
    parser.push(Buffer.concat([HEARTBEAT, frame(1, 1, Buffer.alloc(8192))]));
    expect(recorder.events.length).toBe(3);
  });

  test('0 lets bodies of any size pass, and keeps nothing of them', () => {
    const recorder = new Recorder();
    const parser = fresh(recorder, 0);
    // A claim of 4 GiB - 1.
    parser.push(hex('03 0001 ffffffff'));
    for (let i = 0; i < 10; i += 1) parser.push(Buffer.alloc(65_536));
    expect(parser.heldBytes).toBe(0);
    expect(recorder.events.length).toBe(11);
  });

  test('0 does not let a method or header claim more than a MiB', () => {
    for (const type of [1, 2]) {
      const head = Buffer.from([type, 0, 1, 0, 0x10, 0, 1]);
      expect(errorOf(() => fresh(new Recorder(), 0).push(head)).code).toBe('FRAME_ERROR');
    }
  });

  test('memory for a cut frame grows with what arrives, not with what is claimed', () => {
    const parser = fresh(new Recorder(), 131_072);
    parser.push(Buffer.from([1, 0, 1, 0, 2, 0, 0]));
    expect(parser.heldBytes).toBe(7);
    parser.push(Buffer.alloc(100));
    expect(parser.heldBytes).toBe(107);
  });
});

describe('the protocol header', () => {
  test.each([
    ['414d5150 00000901', 'amqp-0-9-1'],
    ['414d5150 01010009', 'amqp-0-9-1'],
    ['414d5150 00010000', 'amqp-other'],
    ['414d5150 03010000', 'amqp-other'],
    ['414d5150 0000090a', 'amqp-other'],
    ['47', 'not-amqp'], // "GET / HTTP/1.1"
    ['16', 'not-amqp'], // TLS hello
    ['414d51 51', 'not-amqp'],
    ['00', 'not-amqp'],
  ])('%s is %s, at every cut', (digits, expected) => {
    const bytes = hex(digits);
    for (let cut = 0; cut < bytes.length; cut += 1) {
      const recorder = new Recorder();
      const parser = new FrameParser(recorder, 4096);
      parser.push(bytes.subarray(0, cut));
      expect(recorder.events).toEqual([]);
      parser.push(Buffer.concat([bytes.subarray(cut), HEARTBEAT]));
      expect(recorder.events).toEqual(expected === 'amqp-0-9-1' ? [expected, '8 0 '] : [expected]);
      expect(parser.isStopped).toBe(expected !== 'amqp-0-9-1');
    }
  });
});

test('header and body frames keep their channel when interleaved', () => {
  const recorder = new Recorder();
  const parser = fresh(recorder);
  parser.push(
    Buffer.concat([
      headerFrame(1, 2),
      headerFrame(65_535, 2),
      bodyFrame(1, hex('aa')),
      bodyFrame(65_535, hex('bb')),
    ]),
  );
  expect(recorder.events.slice(3)).toEqual(['3 1 aa', '3 65535 bb']);
});
