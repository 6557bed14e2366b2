/** Packets a server receives but for PUBLISH, as hex literals of every version, and refusals. */
import { describe, expect, test } from 'vitest';
import {
  AckFields,
  readAck,
  readAuth,
  readDisconnect,
  readEmpty,
  readSubscribe,
  readUnsubscribe,
} from '../../../protocols/mqtt/client-packets.ts';
import { connackVersion, readConnect } from '../../../protocols/mqtt/connect-packet.ts';
import { MqttError } from '../../../protocols/mqtt/mqtt-errors.ts';
import {
  CONNECT_3,
  CONNECT_4,
  CONNECT_5,
  bodyOf,
  field,
  hex,
  list,
  packet,
  userProperty,
} from './wire.ts';

/** The reason code `run` throws, or 0. */
function reasonOf(run: () => unknown): number {
  try {
    run();
    return 0;
  } catch (error) {
    if (!(error instanceof MqttError)) throw error;
    return error.reasonCode;
  }
}

function connect(bytes: Buffer): ReturnType<typeof readConnect> {
  return readConnect(bytes, 0, bytes.length);
}

/** Body of a CONNECT "MQTT" from level and flags on. */
function connectBody(rest: string, ...fields: readonly Buffer[]): Buffer {
  return Buffer.concat([field('MQTT'), hex(rest), ...fields]);
}

describe('CONNECT', () => {
  test.each([
    [3, CONNECT_3],
    [4, CONNECT_4],
    [5, CONNECT_5],
  ])('the smallest of version %i', (version, bytes) => {
    expect(connect(bodyOf(bytes))).toEqual({
      version,
      isCleanStart: true,
      keepAliveSeconds: 60,
      clientId: 'a',
      will: undefined,
      username: undefined,
      password: undefined,
      properties: {},
    });
  });

  test('all there is in 5.0', () => {
    const body = connectBody(
      '05 f6 ffff',
      list(hex('11 0000000a 21 0014 27 00010000 22 000a 19 01 17 00'), userProperty('k', 'v')),
      field('client'),
      list(
        ...[hex('18 00000005 01 01 02 0000003c 03 0003 6a736f'), hex('08 0001 72 09 0002 00ff')],
        ...[userProperty('b', '1'), userProperty('a', '2')],
      ),
      ...[field('wills/1.2'), field('gone'), field('user'), field(hex('00ff'))],
    );
    const got = connect(body);
    body.fill(0);
    expect(got.will!.properties).toEqual(
      Buffer.concat([
        hex('01 01 03 0003 6a736f 08 0001 72 09 0002 00ff'),
        ...[userProperty('b', '1'), userProperty('a', '2')],
      ]),
    );
    expect(got).toEqual({
      version: 5,
      isCleanStart: true,
      keepAliveSeconds: 65_535,
      clientId: 'client',
      will: {
        topic: { text: 'wills/1.2', routingKey: 'wills.1/2', byteLength: 9, isDollar: false },
        qos: 2,
        isRetain: true,
        payload: Buffer.from('gone'),
        delaySeconds: 5,
        expirySeconds: 60,
        payloadFormat: 1,
        properties: expect.any(Buffer),
      },
      username: 'user',
      password: hex('00ff'),
      properties: {
        sessionExpirySeconds: 10,
        receiveMaximum: 20,
        maximumPacketBytes: 65_536,
        topicAliasMaximum: 10,
        requestResponseInfo: 1,
        requestProblemInfo: 0,
        userProperties: [['k', 'v']],
      },
    });
  });

  test('all there is in 3.1.1', () => {
    const body = connectBody(
      '04 ec 0000',
      ...[field('c'), field('w'), field(''), field('u'), field('')],
    );
    expect(connect(body)).toMatchObject({
      version: 4,
      isCleanStart: false,
      keepAliveSeconds: 0,
      will: {
        qos: 1,
        isRetain: true,
        payload: Buffer.alloc(0),
        expirySeconds: -1,
        delaySeconds: 0,
      },
      username: 'u',
      password: Buffer.alloc(0),
    });
  });

  test('a password without a user name is allowed in 5.0 only', () => {
    const rest = Buffer.concat([field('a'), field('secret')]);
    expect(connect(connectBody('05 42 0000 00', rest)).password!.toString()).toBe('secret');
    expect(reasonOf(() => connect(connectBody('04 42 0000', rest)))).toBe(0x81);
  });

  test('3.1 may set the flags of credentials and leave them out at the end', () => {
    const body = Buffer.concat([field('MQIsdp'), hex('03 c2 0000'), field('a')]);
    expect(connect(body)).toMatchObject({ username: undefined, password: undefined });
    expect(reasonOf(() => connect(connectBody('04 c2 0000', field('a'))))).toBe(0x81);
  });

  test.each([
    ['5.0', '05 00 0000 00', 0],
    ['3.1.1, clean', '04 02 0000', 0],
    ['3.1.1, not clean', '04 00 0000', 0x85],
  ])('an empty client id in %s', (_, rest, reason) => {
    expect(reasonOf(() => connect(connectBody(rest, field(''))))).toBe(reason);
  });

  test('an empty client id in 3.1 is refused', () => {
    const body = Buffer.concat([field('MQIsdp'), hex('03 02 0000'), field('')]);
    expect(reasonOf(() => connect(body))).toBe(0x85);
  });

  test.each([
    ['reserved flag', '05 03 0000 00', 0x81],
    ['will QoS 3', '05 1e 0000 00', 0x81],
    ['will QoS without will', '05 0a 0000 00', 0x81],
    ['will retain without will', '05 22 0000 00', 0x81],
    ['receive maximum 0', '05 02 0000 03 210000', 0x82],
    ['maximum packet size 0', '05 02 0000 05 2700000000', 0x82],
    ['session expiry twice', '05 02 0000 0a 1100000001 1100000001', 0x82],
    ['authentication data without method', '05 02 0000 04 16 0001 00', 0x82],
    ['a property of another packet', '05 02 0000 03 230001', 0x82],
    ['an unknown property', '05 02 0000 02 7f00', 0x81],
    ['a property list over the end', '05 02 0000 7f', 0x81],
    ['level 6', '06 02 0000 00', 0x84],
    ['level 3 of MQTT', '03 02 0000', 0x84],
    ['level of a bridge', '84 02 0000', 0x84],
  ])('refuses: %s', (_, rest, reason) => {
    expect(reasonOf(() => connect(connectBody(rest, field('a'))))).toBe(reason);
  });

  test('refuses bytes behind the last field, and what is cut anywhere', () => {
    const body = connectBody('05 06 0000 00', field('a'), list(), field('w'), field('p'));
    expect(reasonOf(() => connect(body))).toBe(0);
    expect(reasonOf(() => connect(Buffer.concat([body, hex('00')])))).toBe(0x81);
    for (let end = 0; end < body.length; end += 1) {
      expect(reasonOf(() => connect(body.subarray(0, end)))).toBe(0x81);
    }
  });

  test('refuses a will to nowhere or to a filter', () => {
    for (const topic of ['', 'a/#', 'a/+']) {
      const body = connectBody('05 06 0000 00', field('a'), list(), field(topic), field(''));
      expect(reasonOf(() => connect(body))).toBe(0x90);
    }
  });

  test.each([
    ['another name', Buffer.concat([field('HTTP'), hex('05')]), undefined, 0x84],
    ['no name', hex('00'), undefined, 0x81],
    ['5.0', connectBody('05'), 5, 0x81],
    ['3.1.1', connectBody('04'), 4, 0x81],
    ['MQIsdp', Buffer.concat([field('MQIsdp'), hex('03')]), 3, 0x81],
    ['MQIsdp 4', Buffer.concat([field('MQIsdp'), hex('04')]), 3, 0x84],
    ['level 7', connectBody('07'), 5, 0x84],
    ['a bridge', connectBody('84'), 4, 0x84],
  ])('in which version to refuse: %s', (_, bytes, version, reason) => {
    expect(connackVersion(bytes, 0, bytes.length)).toBe(version);
    expect(reasonOf(() => connect(bytes))).toBe(reason);
  });
});

describe('acknowledgements of PUBLISH', () => {
  function ack(version: number, type: number, text: string): { packetId: number; reason: number } {
    const fields = new AckFields();
    const bytes = hex(text);
    readAck(version, type, bytes, 0, bytes.length, fields);
    return { packetId: fields.packetId, reason: fields.reasonCode };
  }

  test.each([
    [3, 4, '0001', 1, 0],
    [4, 5, 'ffff', 65_535, 0],
    [5, 6, '0102', 258, 0],
    [5, 6, '0102 92', 258, 0x92],
    [5, 7, '0102 92 00', 258, 0x92],
    [5, 4, '0001 10 00', 1, 0x10],
    [5, 5, '0001 97 0c 1f0002 6e6f 26 0001 6b 0001 76', 1, 0x97],
  ])('version %i, type %i: %s', (version, type, text, packetId, reason) => {
    expect(ack(version, type, text)).toEqual({ packetId, reason });
  });

  test.each([
    ['nothing', 5, 4, '', 0x81],
    ['half an id', 5, 4, '00', 0x81],
    ['id 0', 4, 4, '0000', 0x82],
    ['a reason in 3.1.1', 4, 4, '0001 00', 0x81],
    ['a reason of another packet', 5, 6, '0001 10', 0x82],
    ['an undefined reason', 5, 4, '0001 7f', 0x82],
    ['properties over the end', 5, 4, '0001 00 01', 0x81],
    ['bytes behind the properties', 5, 4, '0001 00 00 00', 0x81],
    ['a property of another packet', 5, 4, '0001 00 03 230001', 0x82],
    ['two reason strings', 5, 4, '0001 00 08 1f000161 1f000162', 0x82],
  ])('refuses: %s', (_, version, type, text, reason) => {
    expect(reasonOf(() => ack(version, type, text))).toBe(reason);
  });
});

describe('SUBSCRIBE', () => {
  function subscribe(version: number, bytes: Buffer): ReturnType<typeof readSubscribe> {
    return readSubscribe(version, bytes, 0, bytes.length);
  }

  test('3.1.1', () => {
    const body = bodyOf(hex('82 10 000a 0003 612f62 01 0005 247379732f 02'));
    expect(subscribe(4, body)).toMatchObject({
      packetId: 10,
      subscriptionId: 0,
      requests: [
        { text: 'a/b', qos: 1, isNoLocal: false, isRetainAsPublished: false, retainHandling: 0 },
        { text: '$sys/', qos: 2 },
      ],
    });
  });

  test('5.0 with options, an identifier and a user property', () => {
    const body = Buffer.concat([
      hex('0001'),
      list(hex('0b ffffff7f'), userProperty('k', 'v')),
      ...[field('a/+'), hex('2d'), field('$share/g/b/#'), hex('12'), field('c/#/d'), hex('00')],
    ]);
    const got = subscribe(5, body);
    expect(got).toMatchObject({
      packetId: 1,
      subscriptionId: 268_435_455,
      requests: [
        { text: 'a/+', qos: 1, isNoLocal: true, isRetainAsPublished: true, retainHandling: 2 },
        { text: '$share/g/b/#', qos: 2, isNoLocal: false, retainHandling: 1 },
        { text: 'c/#/d', qos: 0, topicFilter: undefined },
      ],
    });
    expect(got.requests[1]!.topicFilter).toMatchObject({ shareName: 'g', filter: 'b/#' });
  });

  test.each([
    ['no filter', 5, '0001 00', 0x82],
    ['no filter, 3.1.1', 4, '0001', 0x82],
    ['id 0', 5, '0000 00 0001 61 00', 0x82],
    ['QoS 3', 5, '0001 00 0001 61 03', 0x81],
    ['QoS 3, 3.1.1', 4, '0001 0001 61 03', 0x81],
    ['options in 3.1.1', 4, '0001 0001 61 05', 0x81],
    ['retain handling 3', 5, '0001 00 0001 61 30', 0x82],
    ['reserved option 40', 5, '0001 00 0001 61 40', 0x81],
    ['reserved option 80', 5, '0001 00 0001 61 80', 0x81],
    [
      'no local on a share',
      5,
      `0001 00 000a ${Buffer.from('$share/g/a').toString('hex')} 04`,
      0x82,
    ],
    ['identifier 0', 5, '0001 02 0b00 0001 61 00', 0x82],
    ['identifier twice', 5, '0001 04 0b01 0b02 0001 61 00', 0x82],
    ['identifier of five bytes', 5, '0001 06 0b8080808001 0001 61 00', 0x81],
    ['a filter that is not UTF-8', 5, '0001 00 0001 ff 00', 0x81],
    ['a filter with U+0000', 5, '0001 00 0001 00 00', 0x81],
    ['options missing', 5, '0001 00 0001 61', 0x81],
    ['a filter over the end', 5, '0001 00 0005 61 00', 0x81],
  ])('refuses: %s', (_, version, text, reason) => {
    expect(reasonOf(() => subscribe(version, hex(text)))).toBe(reason);
  });

  test('3.1 ignores reserved options', () => {
    expect(subscribe(3, hex('0001 0001 61 fd')).requests[0]!.qos).toBe(1);
  });
});

describe('UNSUBSCRIBE', () => {
  test.each([
    [4, '0001 0001 61 0003 622f23'],
    [5, '0001 00 0001 61 0003 622f23'],
    [5, '0001 07 26 0001 6b 0001 76 0001 61 0003 622f23'],
  ])('version %i: %s', (version, text) => {
    const bytes = hex(text);
    expect(readUnsubscribe(version, bytes, 0, bytes.length)).toEqual({
      packetId: 1,
      filters: ['a', 'b/#'],
    });
  });

  test.each([
    ['no filter', 5, '0001 00', 0x82],
    ['id 0', 4, '0000 0001 61', 0x82],
    ['not UTF-8', 4, '0001 0001 ff', 0x81],
    ['a subscription identifier', 5, '0001 02 0b01 0001 61', 0x82],
    ['cut', 4, '0001 0002 61', 0x81],
  ])('refuses: %s', (_, version, text, reason) => {
    const bytes = hex(text);
    expect(reasonOf(() => readUnsubscribe(version, bytes, 0, bytes.length))).toBe(reason);
  });
});

describe('DISCONNECT, AUTH and PINGREQ', () => {
  test.each([
    [4, '', 0, {}],
    [5, '', 0, {}],
    [5, '04', 4, {}],
    [5, '00 05 11 0000000a', 0, { sessionExpirySeconds: 10 }],
    [5, '81 04 1f 0001 78', 0x81, { reasonString: 'x' }],
  ])('DISCONNECT version %i: %s', (version, text, reasonCode, properties) => {
    const bytes = hex(text);
    const got = readDisconnect(version, bytes, 0, bytes.length);
    expect(got).toEqual({ reasonCode, properties });
  });

  test.each([
    ['a body in 3.1.1', 4, '00', 0x81],
    ['a code of the server', 5, '8b', 0x82],
    ['an undefined code', 5, '33', 0x82],
    ['bytes behind', 5, '00 00 00', 0x81],
    ['a wrong property', 5, '00 03 210001', 0x82],
  ])('refuses DISCONNECT: %s', (_, version, text, reason) => {
    const bytes = hex(text);
    expect(reasonOf(() => readDisconnect(version, bytes, 0, bytes.length))).toBe(reason);
  });

  test('AUTH', () => {
    const bytes = hex('18 0a 15 0002 6d31 16 0002 00ff');
    expect(readAuth(bytes, 0, bytes.length)).toEqual({
      reasonCode: 0x18,
      properties: { authMethod: 'm1', authData: hex('00ff') },
    });
  });

  test.each([
    ['success', '00 05 15 0002 6d31', 0x82],
    ['empty, which is success', '', 0x82],
    ['no method', '18', 0x82],
    ['no method among properties', '19 05 16 0002 00ff', 0x82],
    ['cut', '18 0a 15 0002', 0x81],
  ])('refuses AUTH: %s', (_, text, reason) => {
    const bytes = hex(text);
    expect(reasonOf(() => readAuth(bytes, 0, bytes.length))).toBe(reason);
  });

  test('PINGREQ is empty', () => {
    expect(bodyOf(packet(0xc0))).toHaveLength(0);
    expect(reasonOf(() => readEmpty(12, 5, 5))).toBe(0);
    expect(reasonOf(() => readEmpty(12, 5, 6))).toBe(0x81);
  });
});
