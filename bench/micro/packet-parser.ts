/**
 * How fast MQTT publishes are found, read and proven, and written again: no sockets, no engine.
 *
 *     node dist/bench/micro/packet-parser.js [payload bytes] [seconds] [topics]
 *
 * One 64 KiB chunk of whole QoS 1 publishes, over and over. "boundaries" is the parser alone;
 * "read" adds positions, properties, the topic look-up and the copy of properties and payload into
 * owned memory, which is all a published message costs before it is routed; "write" is a PUBLISH
 * and "ack" a PUBACK into the outbound slab.
 */
import { writeAck } from '../../protocols/mqtt/packet-writer.ts';
import { PacketParser } from '../../protocols/mqtt/packet-parser.ts';
import { PublishFields, readPublish } from '../../protocols/mqtt/publish-packet.ts';
import { OutgoingPublish, writePublish } from '../../protocols/mqtt/publish-writer.ts';
import { PUBACK, PUBLISH } from '../../protocols/mqtt/spec/packets.ts';
import { TopicNames } from '../../protocols/mqtt/topic-name.ts';
import { MessageArena } from '../../src/base/arena.ts';
import { putBytes } from '../../src/base/byte-writer.ts';

const CHUNK_BYTES = 65_536;
const PACKET_BYTES_MAX = 1 << 20;

const payloadBytes = Number(process.argv[2] ?? 16);
const seconds = Number(process.argv[3] ?? 2);
const topicCount = Number(process.argv[4] ?? 16);

/** CONNECT of 5.0, client id "a". */
const CONNECT = Buffer.from('100e00044d515454050200' + '3c00000161', 'hex');

function publishOf(version: number, index: number, properties: Buffer): Buffer {
  const topic = Buffer.from(`sensors/room${index % topicCount}/temp`);
  const remaining = 4 + topic.length + (version === 5 ? 1 + properties.length : 0) + payloadBytes;
  const head = remaining < 128 ? [remaining] : [(remaining & 127) | 128, remaining >> 7];
  return Buffer.concat([
    Buffer.from([0x32, ...head, 0, topic.length]),
    topic,
    Buffer.from([0, 1 + (index % 200)]),
    ...(version === 5 ? [Buffer.from([properties.length]), properties] : []),
    Buffer.alloc(payloadBytes, 'x'),
  ]);
}

/** Runs `once`, which handles `perRun` messages, until the time is over. */
function measure(name: string, perRun: number, once: () => void): void {
  for (let i = 0; i < 300; i += 1) once();
  const cpuBefore = process.cpuUsage();
  const endsAt = performance.now() + seconds * 1_000;
  let runs = 0;
  while (performance.now() < endsAt) {
    for (let i = 0; i < 20; i += 1) once();
    runs += 20;
  }
  const cpu = process.cpuUsage(cpuBefore);
  const rate = (runs * perRun) / ((cpu.user + cpu.system) / 1e6);
  console.log(`${name}: ${(rate / 1e6).toFixed(2)} M messages/s of ${payloadBytes} bytes`);
}

let messageCount = 0;

function parserOf(onPublish: (flags: number, buf: Buffer, start: number, end: number) => void) {
  const parser = new PacketParser({
    onPacket: (type, flags, buf, start, end) => {
      if (type === PUBLISH) onPublish(flags, buf, start, end);
    },
  });
  parser.push(CONNECT);
  parser.setPacketBytesMax(PACKET_BYTES_MAX);
  return parser;
}

function readAll(version: number): PacketParser {
  const fields = new PublishFields();
  const names = new TopicNames();
  const arena = new MessageArena();
  return parserOf((flags, buf, start, end) => {
    readPublish(version, flags, buf, start, end, fields);
    const name = names.read(buf, fields.topicStart, fields.topicEnd);
    const { payloadStart, payloadEnd, properties } = fields;
    const at = arena.reserve(properties.forwardedBytes + payloadEnd - payloadStart);
    const body = properties.copyForwarded(buf, arena.slab, at, PUBLISH);
    putBytes(arena.slab, body, buf, payloadStart, payloadEnd);
    messageCount += name.byteLength > 0 ? 1 : 0;
  });
}

function chunkOf(version: number, properties = Buffer.alloc(0)): { bytes: Buffer; count: number } {
  const one = publishOf(version, 0, properties);
  const count = Math.max(1, Math.floor(CHUNK_BYTES / (one.length + 2)));
  const all = Array.from({ length: count }, (_, index) => publishOf(version, index, properties));
  return { bytes: Buffer.concat(all), count };
}

const old = chunkOf(4);
const plain = chunkOf(5);
/** Payload format, content type "json", one user property, topic alias 1, expiry 60 s. */
const rich = chunkOf(
  5,
  Buffer.from('010103000' + '46a736f6e2600016b0001762300010200' + '00003c', 'hex'),
);

const boundaries = parserOf(() => (messageCount += 1));
measure('boundaries', old.count, () => boundaries.push(old.bytes));
const readOld = readAll(4);
measure('read 3.1.1', old.count, () => readOld.push(old.bytes));
const readPlain = readAll(5);
measure('read 5.0', plain.count, () => readPlain.push(plain.bytes));
const readRich = readAll(5);
measure('read 5.0, five properties', rich.count, () => readRich.push(rich.bytes));

/** A slab that starts again when it is full. */
const sink = {
  slab: Buffer.allocUnsafeSlow(CHUNK_BYTES),
  used: 0,
  reserve(byteCount: number): number {
    if (this.used + byteCount > this.slab.length) this.used = 0;
    const pos = this.used;
    this.used += byteCount;
    return pos;
  },
  append(bytes: Buffer, start: number, end: number): void {
    bytes.copy(this.slab, this.reserve(end - start), start, end);
  },
};

for (const version of [4, 5]) {
  const topic = Buffer.from('sensors/room1/temp');
  const payload = Buffer.alloc(payloadBytes, 'x');
  const message = new OutgoingPublish(version);
  Object.assign(message, { topic, topicEnd: topic.length, payload, payloadEnd: payload.length });
  message.qos = 1;
  measure(`write version ${version}`, 1_000, () => {
    for (let i = 1; i <= 1_000; i += 1) {
      message.packetId = i;
      writePublish(sink, message, PACKET_BYTES_MAX);
    }
  });
}
measure('ack', 1_000, () => {
  for (let i = 1; i <= 1_000; i += 1) {
    writeAck(sink, 5, PUBACK, i, 0, undefined, PACKET_BYTES_MAX);
  }
});
console.log(`${messageCount} messages read`);
