/**
 * Both directions against mqtt-packet, the codec of MQTT.js: what it generates as a client we must
 * read as it meant it, and what we write as a server it must read as we meant it.
 */
import * as fc from 'fast-check';
import type { IConnectPacket, IPublishPacket, ISubscribePacket, Packet } from 'mqtt-packet';
import mqttPacket from 'mqtt-packet';
import { describe, expect, test } from 'vitest';
import { ABSENT } from '../../../protocols/mqtt/application-properties.ts';
import {
  AckFields,
  readAck,
  readAuth,
  readDisconnect,
  readSubscribe,
  readUnsubscribe,
} from '../../../protocols/mqtt/client-packets.ts';
import { readConnect } from '../../../protocols/mqtt/connect-packet.ts';
import {
  writeAck,
  writeAuth,
  writeConnack,
  writeDisconnect,
  writePingresp,
  writeSuback,
  writeUnsuback,
} from '../../../protocols/mqtt/packet-writer.ts';
import { encodeProperties, readUserProperties } from '../../../protocols/mqtt/properties.ts';
import { PublishFields, readPublish } from '../../../protocols/mqtt/publish-packet.ts';
import { OutgoingPublish, writePublish } from '../../../protocols/mqtt/publish-writer.ts';
import { PACKET_BYTES_HARD_CAP, PUBLISH } from '../../../protocols/mqtt/spec/packets.ts';
import type { UserProperty } from '../../../protocols/mqtt/spec/properties.ts';
import { Collector, bodyOf } from './wire.ts';

const MAX = PACKET_BYTES_HARD_CAP;
const RUNS = { numRuns: 200 };
const VERSIONS = fc.constantFrom(4 as const, 5 as const);

/** What their parser makes of our bytes, as one packet. */
function theirs(bytes: Buffer, version: number): Packet {
  const parser = mqttPacket.parser({ protocolVersion: version });
  const seen: Packet[] = [];
  parser.on('packet', (packet: Packet) => seen.push(packet));
  parser.on('error', (error: Error) => {
    throw error;
  });
  expect(parser.parse(bytes)).toBe(0);
  expect(seen).toHaveLength(1);
  return seen[0]!;
}

function generated(packet: Packet, version: number): Buffer {
  return mqttPacket.generate(packet, { protocolVersion: version });
}

function text(maxLength = 20): fc.Arbitrary<string> {
  return fc
    .string({ unit: 'grapheme', minLength: 1, maxLength })
    .map((value) => Buffer.from(value).toString().replaceAll('\0', 'x'))
    .filter((value) => value !== '__proto__');
}

const topics = text().map((value) => value.replaceAll(/[+#]/g, 'x'));
const bytes = fc.uint8Array({ maxLength: 60 }).map((value) => Buffer.from(value));
const u16 = fc.integer({ min: 1, max: 65_535 });
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const bools = fc.boolean();

/** Their user properties: one entry a name, several values as a list. */
const theirPairs = fc.dictionary(
  text(8),
  fc.oneof(text(8), fc.array(text(8), { minLength: 2, maxLength: 3 })),
  { minKeys: 1, maxKeys: 3, noNullPrototype: true },
);

function asPairs(theirs: Readonly<Record<string, string | string[]>>): UserProperty[] {
  return Object.entries(theirs).flatMap(([name, value]) =>
    [value].flat().map((one): UserProperty => [name, one]),
  );
}

const messageProperties = fc.record(
  {
    payloadFormatIndicator: bools,
    messageExpiryInterval: u32,
    contentType: text(),
    responseTopic: topics,
    correlationData: bytes,
    userProperties: theirPairs,
  },
  { requiredKeys: [] },
);

describe('what mqtt-packet generates', () => {
  const connects = fc.record({
    version: VERSIONS,
    clientId: text(),
    clean: bools,
    keepalive: fc.integer({ min: 0, max: 65_535 }),
    username: fc.option(text(), { nil: undefined }),
    password: fc.option(bytes, { nil: undefined }),
    will: fc.option(
      fc.record({
        topic: topics,
        payload: bytes.filter(({ length }) => length > 0),
        qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
        retain: bools,
        properties: messageProperties,
        willDelayInterval: u32,
      }),
      { nil: undefined },
    ),
    properties: fc.record(
      {
        sessionExpiryInterval: u32,
        receiveMaximum: u16,
        maximumPacketSize: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
        topicAliasMaximum: u16,
        requestResponseInformation: bools,
        requestProblemInformation: bools,
        userProperties: theirPairs,
      },
      { requiredKeys: [] },
    ),
  });

  test('CONNECT', () => {
    fc.assert(
      fc.property(connects, (input) => {
        const { version, will, properties, username, password } = input;
        const isV5 = version === 5;
        const packet = {
          ...{ cmd: 'connect', protocolId: 'MQTT', protocolVersion: version },
          ...{ clientId: input.clientId, clean: input.clean, keepalive: input.keepalive },
          ...(username === undefined ? {} : { username, ...(password ? { password } : {}) }),
          ...(will === undefined
            ? {}
            : {
                will: {
                  ...will,
                  properties: { ...will.properties, willDelayInterval: will.willDelayInterval },
                },
              }),
          ...(isV5 ? { properties } : {}),
        } as IConnectPacket;
        const body = bodyOf(generated(packet, version));
        const got = readConnect(body, 0, body.length);
        expect(got).toMatchObject({
          ...{ version, clientId: input.clientId, isCleanStart: input.clean },
          ...{ keepAliveSeconds: input.keepalive, username },
        });
        expect(got.password).toEqual(username === undefined ? undefined : password);
        expect(got.will?.payload).toEqual(will?.payload);
        expect(got.will?.topic.text).toEqual(will?.topic);
        expect(got.will?.qos).toEqual(will?.qos);
        expect(got.will?.isRetain).toEqual(will?.retain);
        if (!isV5) return;
        const { sessionExpiryInterval, maximumPacketSize, receiveMaximum } = properties;
        expect(got.properties.sessionExpirySeconds).toBe(sessionExpiryInterval);
        expect(got.properties.maximumPacketBytes).toBe(maximumPacketSize);
        expect(got.properties.receiveMaximum).toBe(receiveMaximum);
        expect(got.properties.userProperties ?? []).toEqual(
          asPairs(properties.userProperties ?? {}),
        );
        if (will === undefined) return;
        expect(got.will!.delaySeconds).toBe(will.willDelayInterval);
        expect(got.will!.expirySeconds).toBe(will.properties.messageExpiryInterval ?? ABSENT);
      }),
      RUNS,
    );
  });

  const publishes = fc.record({
    version: VERSIONS,
    topic: topics,
    payload: bytes,
    qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
    retain: bools,
    dup: bools,
    messageId: u16,
    properties: messageProperties,
  });

  test('PUBLISH', () => {
    const fields = new PublishFields();
    fc.assert(
      fc.property(publishes, ({ version, properties, ...input }) => {
        const packet = {
          ...{ ...input, cmd: 'publish', dup: input.dup && input.qos > 0 },
          ...(version === 5 ? { properties } : {}),
        } as IPublishPacket;
        const wire = generated(packet, version);
        const body = bodyOf(wire);
        readPublish(version, wire[0]! & 15, body, 0, body.length, fields);
        expect(body.toString('utf8', fields.topicStart, fields.topicEnd)).toBe(input.topic);
        expect(body.subarray(fields.payloadStart, fields.payloadEnd)).toEqual(input.payload);
        expect(fields).toMatchObject({
          ...{ qos: input.qos, isRetain: input.retain, isDup: packet.dup },
          packetId: input.qos === 0 ? 0 : input.messageId,
        });
        if (version === 4) return;
        const found = fields.properties;
        expect(found.expirySeconds).toBe(properties.messageExpiryInterval ?? ABSENT);
        const pairs = asPairs(properties.userProperties ?? {});
        expect(found.userCount).toBe(pairs.length);
        if (pairs.length > 0) {
          const { userStart, userEnd } = found;
          expect(readUserProperties(body, userStart, userEnd, PUBLISH)).toEqual(pairs);
        }
      }),
      RUNS,
    );
  });

  test('SUBSCRIBE and UNSUBSCRIBE', () => {
    const subscription = fc.record({
      topic: topics,
      qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
      nl: bools,
      rap: bools,
      rh: fc.integer({ min: 0, max: 2 }),
    });
    const subscriptions = fc.array(subscription, { minLength: 1, maxLength: 5 });
    const id = fc.integer({ min: 1, max: 268_435_455 });
    fc.assert(
      fc.property(VERSIONS, u16, subscriptions, id, (version, messageId, list, subId) => {
        const isV5 = version === 5;
        const properties = isV5 ? { properties: { subscriptionIdentifier: subId } } : {};
        const packet = { cmd: 'subscribe', messageId, subscriptions: list, ...properties };
        const body = bodyOf(generated(packet as ISubscribePacket, version));
        const got = readSubscribe(version, body, 0, body.length);
        expect(got.packetId).toBe(messageId);
        expect(got.subscriptionId).toBe(isV5 ? subId : 0);
        expect(got.requests.map(({ text: topic, qos }) => ({ topic, qos }))).toEqual(
          list.map(({ topic, qos }) => ({ topic, qos })),
        );
        if (isV5) {
          expect(
            got.requests.map((r) => [r.isNoLocal, r.isRetainAsPublished, r.retainHandling]),
          ).toEqual(list.map(({ nl, rap, rh }) => [nl, rap, rh]));
        }
        const unsubscriptions = list.map(({ topic }) => topic);
        const other = bodyOf(
          generated({ cmd: 'unsubscribe', messageId, unsubscriptions }, version),
        );
        expect(readUnsubscribe(version, other, 0, other.length)).toEqual({
          packetId: messageId,
          filters: unsubscriptions,
        });
      }),
      RUNS,
    );
  });

  test('acknowledgements, DISCONNECT and AUTH', () => {
    const fields = new AckFields();
    const commands = ['puback', 'pubrec', 'pubrel', 'pubcomp'] as const;
    fc.assert(
      fc.property(VERSIONS, u16, text(), theirPairs, (version, messageId, reason, pairs) => {
        const properties = { reasonString: reason, userProperties: pairs };
        for (const [index, cmd] of commands.entries()) {
          const failure = index < 2 ? 0x97 : 0x92;
          const extra = version === 5 ? { reasonCode: failure, properties } : {};
          const body = bodyOf(generated({ cmd, messageId, ...extra }, version));
          readAck(version, 4 + index, body, 0, body.length, fields);
          expect(fields.packetId).toBe(messageId);
          expect(fields.reasonCode).toBe(version === 5 ? failure : 0);
        }
        if (version === 4) return;
        const expected = { reasonString: reason, userProperties: asPairs(pairs) };
        const end = bodyOf(generated({ cmd: 'disconnect', reasonCode: 4, properties }, 5));
        expect(readDisconnect(5, end, 0, end.length)).toEqual({
          reasonCode: 4,
          properties: expected,
        });
        const auth = { authenticationMethod: 'm', authenticationData: Buffer.from(reason) };
        const step = bodyOf(generated({ cmd: 'auth', reasonCode: 0x18, properties: auth }, 5));
        expect(readAuth(step, 0, step.length)).toEqual({
          reasonCode: 0x18,
          properties: { authMethod: 'm', authData: Buffer.from(reason) },
        });
      }),
      RUNS,
    );
  });
});

describe('what we write, read by mqtt-packet', () => {
  const out = new Collector();

  test('CONNACK', () => {
    writeConnack(out, 4, true, 0, undefined, MAX);
    expect(theirs(out.take(), 4)).toMatchObject({
      cmd: 'connack',
      returnCode: 0,
      sessionPresent: true,
    });
    const properties = {
      ...{ sessionExpirySeconds: 7, assignedClientId: 'x', serverKeepAliveSeconds: 9 },
      ...{ receiveMaximum: 3, maximumPacketBytes: 1_000_000, topicAliasMaximum: 16 },
      ...{ reasonString: 'why', sharedAvailable: 1, maximumQos: 1 },
    };
    writeConnack(out, 5, false, 0, properties, MAX);
    expect(theirs(out.take(), 5)).toMatchObject({
      ...{ cmd: 'connack', reasonCode: 0, sessionPresent: false },
      properties: {
        ...{ sessionExpiryInterval: 7, assignedClientIdentifier: 'x', serverKeepAlive: 9 },
        ...{ receiveMaximum: 3, maximumPacketSize: 1_000_000, topicAliasMaximum: 16 },
        ...{ reasonString: 'why', sharedSubscriptionAvailable: true, maximumQoS: 1 },
      },
    });
  });

  test('acknowledgements, DISCONNECT, AUTH and PINGRESP', () => {
    const properties = { reasonString: 'no', userProperties: [['k', 'v']] as const };
    const theirProperties = { reasonString: 'no', userProperties: { k: 'v' } };
    for (const [index, cmd] of ['puback', 'pubrec', 'pubrel', 'pubcomp'].entries()) {
      const reasonCode = index < 2 ? 0x97 : 0x92;
      writeAck(out, 5, 4 + index, 77, reasonCode, properties, MAX);
      const expected = { cmd, messageId: 77, reasonCode, properties: theirProperties };
      expect(theirs(out.take(), 5)).toMatchObject(expected);
      writeAck(out, 4, 4 + index, 78, 0, undefined, MAX);
      expect(theirs(out.take(), 4)).toMatchObject({ cmd, messageId: 78 });
    }
    for (const version of [4, 5]) {
      writeSuback(out, version, 5, [0, 1, 2, 0x80], undefined, MAX);
      expect(theirs(out.take(), version)).toMatchObject({ cmd: 'suback', granted: [0, 1, 2, 128] });
      writeUnsuback(out, version, 5, [0, 0x11], undefined, MAX);
      expect(theirs(out.take(), version)).toMatchObject({ cmd: 'unsuback', messageId: 5 });
      writePingresp(out);
      expect(theirs(out.take(), version)).toMatchObject({ cmd: 'pingresp' });
    }
    writeDisconnect(out, 5, 0x8e, properties, MAX);
    const expected = { cmd: 'disconnect', reasonCode: 0x8e, properties: theirProperties };
    expect(theirs(out.take(), 5)).toMatchObject(expected);
    writeAuth(out, 0x18, { authMethod: 'm', authData: Buffer.from('d') }, MAX);
    expect(theirs(out.take(), 5)).toMatchObject({
      ...{ cmd: 'auth', reasonCode: 0x18 },
      properties: { authenticationMethod: 'm', authenticationData: Buffer.from('d') },
    });
  });

  const outgoing = fc.record({
    version: VERSIONS,
    topic: topics,
    payload: bytes,
    qos: fc.integer({ min: 0, max: 2 }),
    isRetain: bools,
    packetId: u16,
    topicAlias: fc.option(u16, { nil: 0 }),
    expirySeconds: fc.option(u32, { nil: ABSENT }),
    subscriptionIds: fc.array(fc.integer({ min: 1, max: 268_435_455 }), { maxLength: 3 }),
    contentType: text(),
  });

  test('PUBLISH', () => {
    fc.assert(
      fc.property(outgoing, ({ topic, contentType, ...input }) => {
        const name = Buffer.from(topic);
        const properties = encodeProperties({ contentType }, PUBLISH);
        const packet = Object.assign(new OutgoingPublish(input.version), input, {
          ...{ topic: name, topicEnd: name.length, payloadEnd: input.payload.length },
          ...{ properties, propertiesEnd: properties.length },
        });
        writePublish(out, packet, MAX);
        const got = theirs(out.take(), input.version) as IPublishPacket;
        expect(got).toMatchObject({
          ...{ cmd: 'publish', topic, qos: input.qos, retain: input.isRetain, dup: false },
          payload: input.payload,
        });
        if (input.qos > 0) expect(got.messageId).toBe(input.packetId);
        if (input.version === 4) return;
        const { topicAlias, messageExpiryInterval, subscriptionIdentifier } = got.properties!;
        expect(got.properties!.contentType).toBe(contentType);
        expect(topicAlias ?? 0).toBe(input.topicAlias);
        expect(messageExpiryInterval ?? ABSENT).toBe(input.expirySeconds);
        expect([subscriptionIdentifier ?? []].flat()).toEqual(input.subscriptionIds);
      }),
      RUNS,
    );
  });
});
