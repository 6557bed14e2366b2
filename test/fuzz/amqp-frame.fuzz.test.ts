/**
 * Mutated AMQP streams through the whole inbound codec: parser, dispatch, assembler, header.
 *
 * Whatever comes, the only exception is a `BrokerError`; what is kept stays within the frame limit;
 * and a message that was accepted can be read and edited by everybody later without any exception.
 * The seed is printed; `FUZZ_SEED=n` repeats a run.
 */
import { expect, test } from 'vitest';
import { AmqpMessageFormat } from '../../protocols/amqp/amqp-message-format.ts';
import {
  dispatchChannelMethod,
  dispatchConnectionMethod,
  hasContent,
} from '../../protocols/amqp/codec.generated.ts';
import type { ContentHandler } from '../../protocols/amqp/content-assembler.ts';
import { ContentAssembler } from '../../protocols/amqp/content-assembler.ts';
import type { HeaderScan } from '../../protocols/amqp/content-header.ts';
import {
  encodeHeader,
  expirationMs,
  extraRoutingKeys,
} from '../../protocols/amqp/content-header.ts';
import { encodeTable } from '../../protocols/amqp/field-table.ts';
import type { FrameHandler } from '../../protocols/amqp/frame-parser.ts';
import { FrameParser } from '../../protocols/amqp/frame-parser.ts';
import { MethodReader } from '../../protocols/amqp/method-reader.ts';
import { parseAmqplain, parsePlain } from '../../protocols/amqp/sasl.ts';
import { FRAME_BODY, FRAME_HEADER, FRAME_METHOD } from '../../protocols/amqp/spec/constants.ts';
import { MessageArena } from '../../src/base/arena.ts';
import { readU32 } from '../../src/base/byte-reader.ts';
import { BrokerError } from '../../src/base/errors.ts';
import type { FieldValue } from '../../src/base/field-value.ts';
import { FORMAT_AMQP, Message } from '../../src/engine/message.ts';
import { bodyFrame, frame, hex, methodFrame } from '../protocols/amqp/wire.ts';
import { randomFrom } from '../support/seeded-random.ts';

/** The same when the test is tried again. */
const SEED = Number(process.env['FUZZ_SEED'] ?? Date.now() % 2 ** 31);
const RUN_COUNT = 100_000;
/** So many on the slowest machine too: fewer would test nothing. */
const RUN_COUNT_MIN = 1_000;
/** Stops early on a slow machine. */
const DEADLINE_MS = 5_000;
const FRAME_MAX = 4_096;
const MESSAGE_BYTES_MAX = 20_000;

const headers = new Map<string, FieldValue>([
  ['CC', ['one', 'two']],
  ['BCC', ['three']],
  ['i', 1],
  ['t', new Map([['k', [null, true]]])],
  ['x', new Uint8Array([1, 2])],
  ['d', { kind: 'double', value: 1 }],
]);

const properties = {
  contentType: 'text/plain',
  headers,
  deliveryMode: 2,
  priority: 3,
  correlationId: 'c',
  replyTo: 'r',
  expiration: '1000',
  messageId: 'm',
  timestampSeconds: 5,
  type: 't',
  userId: 'guest',
  appId: 'a',
};

const CORPUS: readonly Buffer[] = [
  Buffer.concat([
    methodFrame('connection.startOk', 0, [
      new Map<string, FieldValue>([
        ['product', 'x'],
        ['capabilities', new Map([['a', true]])],
      ]),
      'PLAIN',
      Buffer.from('\0guest\0guest'),
      'en_US',
    ]),
    methodFrame('connection.tuneOk', 0, [2047, 4096, 60]),
    methodFrame('connection.open', 0, ['/']),
    methodFrame('channel.open', 1),
    methodFrame('queue.declare', 1, [
      'q',
      false,
      true,
      false,
      false,
      false,
      new Map<string, FieldValue>([
        ['x-max-length', 5],
        ['x-queue-type', 'quorum'],
      ]),
    ]),
    methodFrame('exchange.declare', 1, ['e', 'topic', false, false, false, false, false, headers]),
    methodFrame('queue.bind', 1, ['q', 'e', 'a.#', false, new Map()]),
    methodFrame('basic.consume', 1, ['q', 'ct', false, false, false, false, new Map()]),
  ]),
  Buffer.concat([
    methodFrame('basic.publish', 1, ['', 'q', true, false]),
    frame(2, 1, encodeHeader(properties, 11)),
    bodyFrame(1, Buffer.from('hello world')),
    methodFrame('basic.publish', 2, ['e', 'a.b', false, false]),
    frame(2, 2, encodeHeader({}, 0)),
    methodFrame('basic.publish', 1, ['e', '', false, false]),
    frame(2, 1, encodeHeader({ headers }, 6)),
    bodyFrame(1, Buffer.from('abc')),
    bodyFrame(1, Buffer.from('def')),
    hex('08 0000 00000000 ce'),
  ]),
  Buffer.concat([
    methodFrame('basic.ack', 1, [1, true]),
    methodFrame('basic.nack', 1, [2, false, true]),
    methodFrame('basic.reject', 1, [3, true]),
    methodFrame('tx.select', 2),
    methodFrame('confirm.select', 1, [false]),
    methodFrame('channel.close', 1, [200, 'bye', 0, 0]),
    methodFrame('connection.close', 0, [200, 'bye', 0, 0]),
  ]),
];

const INTERESTING = [0, 1, 0x7f, 0x80, 0xce, 0xff];

function mutate(random: (below: number) => number): Buffer {
  let bytes = Buffer.from(CORPUS[random(CORPUS.length)]!);
  for (let count = 1 + random(4); count > 0; count -= 1) {
    const at = random(bytes.length);
    switch (random(7)) {
      case 0:
        bytes[at] = random(256);
        break;
      case 1:
        bytes[at] = INTERESTING[random(INTERESTING.length)]!;
        break;
      case 2:
        bytes[at] = bytes[at]! ^ (1 << random(8));
        break;
      case 3:
        for (let i = at; i < Math.min(at + 4, bytes.length); i += 1) bytes[i] = random(2) * 0xff;
        break;
      case 4:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random(8))]);
        break;
      case 5: {
        const piece = bytes.subarray(at, at + 1 + random(40));
        bytes = Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)]);
        break;
      }
      default: {
        const other = CORPUS[random(CORPUS.length)]!;
        bytes = Buffer.concat([bytes.subarray(0, at), other.subarray(random(other.length))]);
      }
    }
    if (bytes.length === 0) return bytes;
  }
  return bytes;
}

/** As much of a connection as the codec needs. */
class Target implements FrameHandler, ContentHandler {
  readonly #reader = new MethodReader();
  readonly #arena = new MessageArena();
  readonly #format = new AmqpMessageFormat();
  readonly #sink = new Proxy({}, { get: () => () => {} });
  #channels = new Map<number, ContentAssembler>();
  callCount = 0;
  messageCount = 0;

  restart(): void {
    this.#channels = new Map();
    this.callCount = 0;
  }

  onProtocolHeader(): void {}

  onFrame(type: number, channel: number, buf: Buffer, start: number, end: number): void {
    this.callCount += 1;
    const assembler = this.#channelOf(channel);
    try {
      if (type === FRAME_METHOD) {
        assembler.expectMethod();
        const dispatch = channel === 0 ? dispatchConnectionMethod : dispatchChannelMethod;
        dispatch(this.#sink as never, this.#reader, buf, start, end);
        if (hasContent(readU32(buf, start))) assembler.begin();
      } else if (type === FRAME_HEADER) {
        assembler.onHeader(buf, start, end);
      } else if (type === FRAME_BODY) {
        assembler.onBody(buf, start, end);
      }
    } catch (error) {
      if (!(error instanceof BrokerError) || error.scope === 'connection') throw error;
      assembler.reset();
    }
  }

  onContent(
    bytes: Buffer,
    start: number,
    headerBytes: number,
    bodyBytes: number,
    header: HeaderScan,
  ): void {
    this.messageCount += 1;
    const message = new Message(
      'x',
      'k',
      FORMAT_AMQP,
      bytes,
      start,
      headerBytes,
      bodyBytes,
      false,
      -1,
      -1,
      0,
    );
    // None of these may fail, whatever was accepted.
    this.#format.properties(message);
    this.#format.headers(message);
    const edited = this.#format.edit(message, {
      set: new Map([['x-death', 'record']]),
      remove: ['BCC'],
      removeExpiration: true,
    });
    expect(edited.length).toBeGreaterThan(14);
    // These may, with an answer for the channel.
    channelErrorOnly(() => expirationMs(bytes, start, header));
    channelErrorOnly(() => extraRoutingKeys(bytes, start, header));
  }

  #channelOf(channel: number): ContentAssembler {
    let assembler = this.#channels.get(channel);
    if (assembler === undefined) {
      assembler = new ContentAssembler(this, this.#arena, MESSAGE_BYTES_MAX);
      this.#channels.set(channel, assembler);
    }
    return assembler;
  }
}

function channelErrorOnly(run: () => void): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof BrokerError) || error.scope !== 'channel') throw error;
  }
}

test('mutated streams', () => {
  process.stdout.write(`amqp-frame.fuzz: FUZZ_SEED=${SEED}\n`);
  const random = randomFrom(SEED);
  const target = new Target();
  const startedAt = performance.now();
  let runs = 0;
  let rejected = 0;
  const goesOn = (): boolean => runs < RUN_COUNT_MIN || performance.now() - startedAt < DEADLINE_MS;
  for (; runs < RUN_COUNT && goesOn(); runs += 1) {
    const stream = mutate(random);
    const parser = new FrameParser(target, FRAME_MAX);
    parser.push(hex('414d515000000901'));
    target.restart();
    try {
      for (let pos = 0; pos < stream.length; ) {
        const size = 1 + random(stream.length);
        const chunk = Buffer.from(stream.subarray(pos, pos + size));
        parser.push(chunk);
        chunk.fill(0xee);
        pos += size;
        if (parser.heldBytes > FRAME_MAX + 8) throw new RangeError(`held ${parser.heldBytes}`);
      }
    } catch (error) {
      if (!(error instanceof BrokerError)) {
        throw new Error(`seed ${SEED}, run ${runs}: ${stream.toString('hex')}`, { cause: error });
      }
      rejected += 1;
    }
    if (target.callCount > stream.length) throw new RangeError('more calls than bytes');
  }
  process.stdout.write(`${runs} streams, ${rejected} refused, ${target.messageCount} accepted\n`);
  // Canary: a fuzzer that refuses all or nothing tests nothing.
  expect(rejected).toBeGreaterThan(runs / 10);
  expect(target.messageCount).toBeGreaterThan(runs / 10);
});

test('mutated content headers', () => {
  const random = randomFrom(11);
  const target = new Target();
  const sample = encodeHeader(properties, 0);
  let accepted = 0;
  for (let run = 0; run < 40_000; run += 1) {
    const header = Buffer.from(sample);
    // Behind the fixed part, where damage is often still a header.
    for (let i = 1 + random(3); i > 0; i -= 1) {
      header[12 + random(header.length - 12)] = random(256);
    }
    const assembler = new ContentAssembler(target, new MessageArena(), MESSAGE_BYTES_MAX);
    assembler.begin();
    const before = target.messageCount;
    try {
      assembler.onHeader(header, 0, header.length - (random(8) === 0 ? random(4) : 0));
    } catch (error) {
      expect(error).toBeInstanceOf(BrokerError);
      // A handler's own failure would look the same: only a refusal may come through.
      expect(target.messageCount).toBe(before);
    }
    accepted += target.messageCount - before;
  }
  expect(accepted).toBeGreaterThan(1_000);
});

test('mutated SASL responses', () => {
  const random = randomFrom(7);
  const samples = [
    Buffer.from('\0guest\0guest'),
    encodeTable(
      new Map([
        ['LOGIN', 'guest'],
        ['PASSWORD', 'secret'],
      ]),
    ).subarray(4),
  ];
  for (let run = 0; run < 20_000; run += 1) {
    const bytes = Buffer.from(samples[random(2)]!.subarray(random(3)));
    for (let i = random(4); i > 0; i -= 1) bytes[random(bytes.length)] = random(256);
    for (const parse of [parsePlain, parseAmqplain]) {
      try {
        parse(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(BrokerError);
      }
    }
  }
});
