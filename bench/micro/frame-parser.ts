/**
 * How fast publishes are found, read and assembled: no sockets, no engine.
 *
 *     node dist/bench/micro/frame-parser.js [body bytes] [seconds]
 *
 * One 64 KiB chunk of whole publishes (method, header with delivery-mode, body), over and over.
 * "boundaries" is the parser alone; "assemble" adds the method, the route cache and the copy into
 * owned memory, which is all a published message costs before it is routed.
 */
import { ContentAssembler } from '../../protocols/amqp/content-assembler.ts';
import type { ChannelMethodSink } from '../../protocols/amqp/codec.generated.ts';
import { dispatchChannelMethod } from '../../protocols/amqp/codec.generated.ts';
import { encodeHeader } from '../../protocols/amqp/content-header.ts';
import { FrameParser } from '../../protocols/amqp/frame-parser.ts';
import { putFrameHead } from '../../protocols/amqp/frame-writer.ts';
import type { PublishFields } from '../../protocols/amqp/method-reader.ts';
import { MethodReader } from '../../protocols/amqp/method-reader.ts';
import { PROTOCOL_HEADER_0_9_1 } from '../../protocols/amqp/protocol-header.ts';
import {
  FRAME_BODY,
  FRAME_END,
  FRAME_HEADER,
  FRAME_METHOD,
} from '../../protocols/amqp/spec/constants.ts';
import { MessageArena } from '../../src/base/arena.ts';
import { ByteCache } from '../../src/base/intern.ts';

const CHUNK_BYTES = 65_536;
const FRAME_MAX = 131_072;

const bodyBytes = Number(process.argv[2] ?? 16);
const seconds = Number(process.argv[3] ?? 2);

/** class 60, method 40, reserved, exchange "", routing key "bench.queue", no flags. */
const PUBLISH = Buffer.from(
  `003c0028${'0000'}${'00'}0b${Buffer.from('bench.queue').toString('hex')}00`,
  'hex',
);

function frame(type: number, payload: Buffer): Buffer {
  const bytes = Buffer.alloc(payload.length + 8);
  const at = putFrameHead(bytes, 0, type, 1, payload.length);
  payload.copy(bytes, at);
  bytes[at + payload.length] = FRAME_END;
  return bytes;
}

const publish = Buffer.concat([
  frame(FRAME_METHOD, PUBLISH),
  frame(FRAME_HEADER, encodeHeader({ deliveryMode: 2 }, bodyBytes)),
  ...(bodyBytes === 0 ? [] : [frame(FRAME_BODY, Buffer.alloc(bodyBytes, 'x'))]),
]);
const perChunk = Math.max(1, Math.floor(CHUNK_BYTES / publish.length));
const chunk = Buffer.concat(new Array<Buffer>(perChunk).fill(publish));

/** Pushes the chunk until the time is over; reports messages per second of CPU time. */
function measure(name: string, parser: FrameParser): void {
  parser.push(PROTOCOL_HEADER_0_9_1);
  for (let i = 0; i < 200; i += 1) parser.push(chunk);
  const cpuBefore = process.cpuUsage();
  const endsAt = performance.now() + seconds * 1_000;
  let chunks = 0;
  while (performance.now() < endsAt) {
    for (let i = 0; i < 20; i += 1) parser.push(chunk);
    chunks += 20;
  }
  const cpu = process.cpuUsage(cpuBefore);
  const rate = (chunks * perChunk) / ((cpu.user + cpu.system) / 1e6);
  console.log(`${name}: ${(rate / 1e6).toFixed(2)} M messages/s of ${bodyBytes} bytes`);
}

let frameCount = 0;
measure(
  'boundaries',
  new FrameParser(
    {
      onProtocolHeader: () => {},
      onFrame: () => {
        frameCount += 1;
      },
    },
    FRAME_MAX,
  ),
);

let messageCount = 0;
const reader = new MethodReader();
const routes = new ByteCache<number>(64, 256);
const assembler = new ContentAssembler(
  {
    onContent: () => {
      messageCount += 1;
    },
  },
  new MessageArena(),
  1 << 27,
);
const sink = {
  onBasicPublish(buf: Buffer, fields: PublishFields): void {
    const known = routes.get(buf, fields.routeStart, fields.routeEnd);
    if (known === undefined) routes.set(buf, fields.routeStart, fields.routeEnd, 1);
    assembler.begin();
  },
} as unknown as ChannelMethodSink;
measure(
  'assemble',
  new FrameParser(
    {
      onProtocolHeader: () => {},
      onFrame: (type, _channel, buf, start, end) => {
        if (type === FRAME_METHOD) {
          assembler.expectMethod();
          dispatchChannelMethod(sink, reader, buf, start, end);
        } else if (type === FRAME_HEADER) {
          assembler.onHeader(buf, start, end);
        } else {
          assembler.onBody(buf, start, end);
        }
      },
    },
    FRAME_MAX,
  ),
);
if (frameCount === 0 || messageCount === 0) process.exitCode = 1;
