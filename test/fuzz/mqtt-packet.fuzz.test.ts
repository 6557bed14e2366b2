/**
 * Mutated MQTT streams through the whole inbound codec, in every version and in random pieces.
 *
 * Whatever comes, the only exception is an `MqttError` with a code of the table; what is held back
 * stays within the packet limit; and a message that was accepted can be written to a client of any
 * version, which reads the same message. The seed is printed; `FUZZ_SEED=n` repeats a run, `FUZZ_MS=n` gives it more time.
 */
import { expect, test } from 'vitest';
import {
  AckFields,
  readAck,
  readAuth,
  readDisconnect,
  readEmpty,
  readSubscribe,
  readUnsubscribe,
} from '../../protocols/mqtt/client-packets.ts';
import { connackVersion, readConnect } from '../../protocols/mqtt/connect-packet.ts';
import { MqttError } from '../../protocols/mqtt/mqtt-errors.ts';
import { PacketParser } from '../../protocols/mqtt/packet-parser.ts';
import { readUserProperties } from '../../protocols/mqtt/properties.ts';
import { PublishFields, readPublish } from '../../protocols/mqtt/publish-packet.ts';
import { OutgoingPublish, writePublish } from '../../protocols/mqtt/publish-writer.ts';
import { keyToTopic } from '../../src/engine/session/routing-key.ts';
import {
  AUTH,
  CONNECT,
  DISCONNECT,
  PINGREQ,
  PUBLISH,
  type ProtocolVersion,
  SUBSCRIBE,
  UNSUBSCRIBE,
} from '../../protocols/mqtt/spec/packets.ts';
import { isServerReason } from '../../protocols/mqtt/spec/reason-codes.ts';
import { TopicNames } from '../../protocols/mqtt/topic-name.ts';
import {
  Collector,
  bodyOf,
  field,
  hex,
  list,
  packet,
  userProperty,
} from '../protocols/mqtt/wire.ts';
import { randomFrom } from '../support/seeded-random.ts';

/** The same when the test is tried again. */
const SEED = Number(process.env['FUZZ_SEED'] ?? Date.now() % 1_000_000);
const RUN_COUNT = 100_000;
/** So many on the slowest machine too: fewer would test nothing. */
const RUN_COUNT_MIN = 1_000;
/** Stops early on a slow machine. */
const DEADLINE_MS = Number(process.env['FUZZ_MS'] ?? 5_000);
const PACKET_BYTES_MAX = 4_096;

const OLD = [
  packet(0x30, field('a/b'), Buffer.from('hello')),
  packet(0x3d, field('ä/😀'), hex('0007'), Buffer.from('x')),
  packet(0x82, hex('0001'), field('a/+'), hex('01'), field('$share/g/#'), hex('02')),
  packet(0xa2, hex('0002'), field('a/+')),
  ...[hex('4002 0001'), hex('5002 0001'), hex('6202 0001'), hex('7002 0001'), hex('c000')],
  hex('e000'),
];

const CORPUS: readonly Buffer[] = [
  Buffer.concat([
    packet(
      0x10,
      ...[
        field('MQTT'),
        hex('05 f6 003c'),
        list(hex('11 0000000a 21 0014'), userProperty('k', 'v')),
      ],
      ...[field('client'), list(hex('18 00000005 01 01'), userProperty('a', 'b'))],
      ...[field('w/1'), field('gone'), field('user'), field('pass')],
    ),
    packet(
      0x32,
      ...[field('a/b.c'), hex('0001')],
      list(
        hex('01 01 02 0000003c 23 0001'),
        userProperty('k', 'v'),
        hex('080001720900010003000178'),
      ),
      Buffer.from('payload'),
    ),
    packet(0x30, hex('0000'), list(hex('230001')), Buffer.from('y')),
    packet(0x82, hex('0001'), list(hex('0b05')), field('a/#'), hex('2d'), field('b'), hex('12')),
    packet(0xa2, hex('0002'), list(userProperty('k', 'v')), field('a/#')),
    ...[hex('40 03 0001 10'), hex('62 09 0001 92 05 1f00026f6b')],
    packet(0xf0, hex('19'), list(hex('15 0001 6d 16 0001 00'))),
    packet(0xe0, hex('04'), list(hex('11 00000001 1f 0001 78'))),
  ]),
  Buffer.concat([
    packet(
      0x10,
      field('MQTT'),
      hex('04 ee 000a'),
      field('c'),
      field('w'),
      field('p'),
      field('u'),
      field(''),
    ),
    ...OLD,
  ]),
  Buffer.concat([packet(0x10, field('MQIsdp'), hex('03 02 000a'), field('c')), ...OLD]),
];

const INTERESTING = [0, 1, 0x7f, 0x80, 0x10, 0x30, 0x26, 0xff];

function mutate(random: (below: number) => number): Buffer {
  let bytes = Buffer.from(CORPUS[random(CORPUS.length)]!);
  for (let count = 1 + random(4); count > 0; count -= 1) {
    const at = random(bytes.length);
    switch (random(6)) {
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
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random(8))]);
        break;
      case 4:
        bytes = Buffer.concat([bytes.subarray(0, at + 1), bytes.subarray(at)]);
        break;
      default:
        bytes = Buffer.concat([bytes, CORPUS[random(CORPUS.length)]!.subarray(at)]);
    }
    if (bytes.length === 0) return bytes;
  }
  return bytes;
}

const names = new TopicNames();
const fields = new PublishFields();
const echoed = new PublishFields();
const ack = new AckFields();
const out = new Collector();

/** `expect` would take most of the time. */
function must(isTrue: boolean, what: string): void {
  if (!isTrue) throw new RangeError(what);
}

/** Reads one packet as the connection will, and uses what it says. */
function read(
  version: ProtocolVersion,
  type: number,
  flags: number,
  buf: Buffer,
  start: number,
  end: number,
): void {
  switch (type) {
    case PUBLISH:
      readPublish(version, flags, buf, start, end, fields);
      if (fields.topicStart < fields.topicEnd) echo(buf);
      break;
    case SUBSCRIBE:
      for (const { text, topicFilter } of readSubscribe(version, buf, start, end).requests) {
        must(topicFilter === undefined || text.endsWith(topicFilter.filter), 'filter');
      }
      break;
    case UNSUBSCRIBE:
      readUnsubscribe(version, buf, start, end);
      break;
    case DISCONNECT:
      readDisconnect(version, buf, start, end);
      break;
    case AUTH:
      readAuth(buf, start, end);
      break;
    case PINGREQ:
      readEmpty(type, start, end);
      break;
    default:
      readAck(version, type, buf, start, end, ack);
  }
}

/** Writes the message just read to a 5.0 client and compares what arrives. */
function echo(buf: Buffer): void {
  const { properties } = fields;
  const topic = names.read(buf, fields.topicStart, fields.topicEnd);
  must(keyToTopic(topic.routingKey) === topic.text, 'the topic comes back');
  const forwarded = Buffer.alloc(properties.forwardedBytes);
  const end = properties.copyForwarded(buf, forwarded, 0, PUBLISH);
  must(end === forwarded.length, 'as many bytes forwarded as counted');
  const message = Object.assign(new OutgoingPublish(5), {
    ...{ qos: fields.qos, packetId: fields.packetId, topic: buf, properties: forwarded },
    ...{ topicStart: fields.topicStart, topicEnd: fields.topicEnd },
    ...{ propertiesEnd: forwarded.length, expirySeconds: properties.expirySeconds },
    ...{ payload: buf, payloadStart: fields.payloadStart, payloadEnd: fields.payloadEnd },
  });
  writePublish(out, message, PACKET_BYTES_MAX * 2);
  const body = bodyOf(out.take());
  readPublish(5, fields.qos << 1, body, 0, body.length, echoed);
  must(echoed.properties.expirySeconds === properties.expirySeconds, 'expiry');
  must(echoed.properties.userCount === properties.userCount, 'user properties');
  const { payloadStart, payloadEnd } = fields;
  must(body.compare(buf, payloadStart, payloadEnd, echoed.payloadStart) === 0, 'payload');
  if (properties.userCount > 0) {
    const { userStart, userEnd } = properties;
    const pairs = readUserProperties(buf, userStart, userEnd, PUBLISH);
    must(pairs.length === properties.userCount, 'pairs');
  }
}

function run(random: (below: number) => number): void {
  let version: ProtocolVersion = 5;
  const parser: PacketParser = new PacketParser(
    {
      onPacket: (type, flags, buf, start, end) => {
        if (type !== CONNECT) {
          read(version, type, flags, buf, start, end);
          return;
        }
        expect([undefined, 3, 4, 5]).toContain(connackVersion(buf, start, end));
        version = readConnect(buf, start, end).version;
        parser.setVersion(version);
      },
    },
    PACKET_BYTES_MAX,
  );
  const bytes = mutate(random);
  const step = random(4) === 0 ? 1 + random(20) : bytes.length;
  try {
    for (let at = 0; at < bytes.length; at += step) {
      parser.push(bytes.subarray(at, at + step));
      if (parser.heldBytes > PACKET_BYTES_MAX) throw new RangeError('holds too much');
    }
  } catch (error) {
    if (!(error instanceof MqttError)) throw error;
    // Told in CONNACK before login, in DISCONNECT after.
    const { reasonCode } = error;
    const isTold = isServerReason(reasonCode, 2) || isServerReason(reasonCode, DISCONNECT);
    if (!isTold) throw new RangeError(`no packet carries ${reasonCode}`, { cause: error });
    if (!parser.isStopped) throw new RangeError('goes on after an error', { cause: error });
  }
}

test('mutated streams raise nothing but MqttError', () => {
  const random = randomFrom(SEED);
  const endsAt = performance.now() + DEADLINE_MS;
  let runs = 0;
  try {
    const goesOn = (): boolean => runs < RUN_COUNT_MIN || performance.now() < endsAt;
    for (; runs < RUN_COUNT && goesOn(); runs += 1) run(random);
  } catch (error) {
    throw new Error(`FUZZ_SEED=${SEED}, run ${runs}`, { cause: error });
  }
  process.stdout.write(`mqtt fuzz: ${runs} runs, FUZZ_SEED=${SEED}\n`);
  expect(runs).toBeGreaterThanOrEqual(RUN_COUNT_MIN);
});
