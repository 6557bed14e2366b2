import { describe, expect, test } from 'vitest';
import {
  fitShortString,
  shortStringBytes,
  writeContent,
  writeHeartbeat,
} from '../../../protocols/amqp/frame-writer.ts';
import { AssertionFailure } from '../../../src/base/assert.ts';
import { bodyFrame, frame, headerPayload, hex, MemorySink } from './wire.ts';

test('a heartbeat', () => {
  const sink = new MemorySink();
  writeHeartbeat(sink);
  expect(sink.take()).toEqual(hex('08 0000 00000000 ce'));
});

describe('content', () => {
  function written(bodyBytes: number, frameMax: number): Buffer {
    const header = headerPayload(bodyBytes);
    const body = Buffer.alloc(bodyBytes, 'abcdefghijk');
    const bytes = Buffer.concat([Buffer.alloc(3, 0xff), header, body, Buffer.alloc(3, 0xff)]);
    const sink = new MemorySink();
    writeContent(sink, 513, bytes, 3, header.length, bodyBytes, frameMax);
    return sink.take();
  }

  test('an empty body has no body frame', () => {
    expect(written(0, 4096)).toEqual(frame(2, 513, headerPayload(0)));
  });

  test.each([1, 24, 25, 4_088, 4_089, 4_096, 4_097, 8_176, 8_177, 20_000])('%i bytes', (size) => {
    const body = Buffer.alloc(size, 'abcdefghijk');
    const frames = [frame(2, 513, headerPayload(size))];
    for (let pos = 0; pos < size; pos += 4_088) {
      frames.push(bodyFrame(513, body.subarray(pos, Math.min(size, pos + 4_088))));
    }
    expect(written(size, 4_096).equals(Buffer.concat(frames))).toBe(true);
    const whole = Buffer.concat([frames[0]!, bodyFrame(513, body)]);
    expect(written(size, 0).equals(whole)).toBe(true);
    expect(written(size, 131_072).equals(whole)).toBe(true);
  });
});

describe('short strings', () => {
  test('255 bytes fit, 256 are our fault', () => {
    expect(shortStringBytes('ä'.repeat(127) + 'a')).toBe(255);
    expect(() => shortStringBytes('ä'.repeat(128))).toThrow(AssertionFailure);
  });

  test('reply texts are cut between characters', () => {
    expect(fitShortString('short')).toBe('short');
    expect(fitShortString('a'.repeat(255))).toBe('a'.repeat(255));
    expect(fitShortString('a'.repeat(256))).toBe(`${'a'.repeat(252)}...`);
    expect(fitShortString('ä'.repeat(200))).toBe(`${'ä'.repeat(126)}...`);
    expect(fitShortString(`${'a'.repeat(250)}😀€`)).toBe(`${'a'.repeat(250)}...`);
  });
});
