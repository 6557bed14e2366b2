/**
 * A stand-in broker that costs next to nothing: it answers the handshake and declares, throws
 * publishes away and, once consumed from, sends the same prepared deliveries for ever. With it the
 * generator is measured alone.
 */
import { type AddressInfo, type Server, type Socket, createServer } from 'node:net';
import * as encode from '../wire/encode.ts';
import { FrameReader } from '../wire/frame-reader.ts';

const CHANNEL = 1;
const DELIVERIES_PER_WRITE = 1500;

/** Starts the stand-in on a free port of 127.0.0.1. */
export async function startSink(bodyBytes: number): Promise<{ port: number; server: Server }> {
  const deliveries = buildDeliveries(bodyBytes);
  const server = createServer({ noDelay: true }, (socket) => serve(socket, deliveries));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port, server };
}

function serve(socket: Socket, deliveries: Buffer): void {
  let isFirst = true;
  let isDiscarding = false;
  const reader = new FrameReader((type, channel, bytes, start) => {
    if (type !== encode.FRAME_METHOD) return;
    const key = bytes.readUInt32BE(start);
    if (key === encode.methodKey(60, 40)) {
      // The first publish on a connection: from here on, bytes are only thrown away.
      isDiscarding = true;
      return;
    }
    const reply = replyTo(key, channel);
    if (reply !== undefined) socket.write(reply);
    if (key === encode.methodKey(60, 20)) flood(socket, deliveries);
  });
  socket.on('data', (chunk: Buffer) => {
    if (isDiscarding) return;
    if (isFirst) {
      isFirst = false;
      socket.write(startMethod());
      chunk = chunk.subarray(encode.PROTOCOL_HEADER.length);
    }
    reader.feed(chunk, chunk.length);
  });
  socket.on('error', () => socket.destroy());
}

function startMethod(): Buffer {
  const noTable = Buffer.alloc(4);
  const plain = Buffer.concat([Buffer.from([0, 0, 0, 5]), Buffer.from('PLAIN')]);
  const locale = Buffer.concat([Buffer.from([0, 0, 0, 5]), Buffer.from('en_US')]);
  return encode.method(0, 10, 10, Buffer.from([0, 9]), noTable, plain, locale);
}

function replyTo(key: number, channel: number): Buffer | undefined {
  switch (key) {
    case encode.methodKey(10, 11):
      return encode.method(0, 10, 30, Buffer.from([0x07, 0xff, 0, 2, 0, 0, 0, 0]));
    case encode.methodKey(10, 40):
      return encode.method(0, 10, 41, Buffer.from([0]));
    case encode.methodKey(10, 50):
      return encode.connectionCloseOk();
    case encode.methodKey(20, 10):
      return encode.method(channel, 20, 11, Buffer.alloc(4));
    case encode.methodKey(60, 20):
      return encode.method(channel, 60, 21, Buffer.from([1, 0x63]));
    default:
      return undefined;
  }
}

function buildDeliveries(bodyBytes: number): Buffer {
  const publish = encode.publish(CHANNEL, '', '', false, bodyBytes, 131072).bytes;
  // Header and body frames of the publish are those of a delivery; the method differs.
  const methodBytes = publish.readUInt32BE(3) + encode.FRAME_OVERHEAD_BYTES;
  const deliver = encode.method(
    CHANNEL,
    60,
    60,
    Buffer.from([2, 0x63, 0x30]),
    Buffer.alloc(8),
    Buffer.from([0, 0, 5]),
    Buffer.from('queue'),
  );
  const one = Buffer.concat([deliver, publish.subarray(methodBytes)]);
  return Buffer.concat(new Array<Buffer>(DELIVERIES_PER_WRITE).fill(one));
}

function flood(socket: Socket, deliveries: Buffer): void {
  const pump = (): void => {
    if (socket.destroyed) return;
    socket.write(deliveries);
    if (!socket.writableNeedDrain) setImmediate(pump);
  };
  socket.on('drain', () => setImmediate(pump));
  pump();
}
