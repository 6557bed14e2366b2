import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MqttError } from '../../../protocols/mqtt/mqtt-errors.ts';
import {
  checkProperties,
  encodeProperties,
  readProperties,
} from '../../../protocols/mqtt/properties.ts';
import {
  PROPERTIES,
  type PropertySpec,
  type PropertyValues,
} from '../../../protocols/mqtt/spec/properties.ts';
import { field, hex, userProperty } from './wire.ts';

function reasonOf(bytes: Buffer, packet: number): number {
  try {
    checkProperties(bytes, 0, bytes.length, packet);
    return 0;
  } catch (error) {
    if (!(error instanceof MqttError)) throw error;
    return error.reasonCode;
  }
}

/** A legal value of the property, as a caller gives it and as bytes. */
function sample(spec: PropertySpec): { value: unknown; bytes: Buffer } {
  const id = Buffer.from([spec.id]);
  switch (spec.type) {
    case 'byte':
      return { value: 1, bytes: Buffer.concat([id, hex('01')]) };
    case 'u16':
      return { value: 0x1234, bytes: Buffer.concat([id, hex('1234')]) };
    case 'u32':
      return { value: 0xfedcba98, bytes: Buffer.concat([id, hex('fedcba98')]) };
    case 'varint':
      return { value: 268_435_455, bytes: Buffer.concat([id, hex('ffffff7f')]) };
    case 'text':
      return { value: 'grün', bytes: Buffer.concat([id, field('grün')]) };
    case 'binary':
      return { value: hex('00ff'), bytes: Buffer.concat([id, field(hex('00ff'))]) };
    default:
      return { value: [['k', 'v']], bytes: userProperty('k', 'v') };
  }
}

const ALL_PACKETS = Array.from({ length: 16 }, (_, type) => type);

describe('every property of the table', () => {
  test.each(PROPERTIES)('$name: value, packets, repetition, truncation', (spec) => {
    const { value, bytes } = sample(spec);
    for (const packet of ALL_PACKETS) {
      if (!spec.packets.includes(packet)) {
        expect(reasonOf(bytes, packet)).toBe(0x82);
        continue;
      }
      const decoded = readProperties(bytes, 0, bytes.length, packet);
      expect(decoded).toEqual({ [spec.field]: value });
      expect(encodeProperties(decoded, packet)).toEqual(bytes);
      expect(reasonOf(Buffer.concat([bytes, bytes]), packet)).toBe(spec.isRepeatable ? 0 : 0x82);
      for (let end = 1; end < bytes.length; end += 1) {
        const reason = reasonOf(bytes.subarray(0, end), packet);
        expect(reason).toBe(0x81);
      }
    }
  });

  test.each(PROPERTIES.filter(({ range }) => range !== 'any'))('$name: range', (spec) => {
    const width = { byte: '', u16: '00', u32: '000000', varint: '' }[spec.type as 'byte'];
    const isAlias = spec.field === 'topicAlias';
    const wrong = spec.range === 'bit' ? '02' : '00';
    const bytes = hex(`${spec.id.toString(16).padStart(2, '0')} ${width} ${wrong}`);
    expect(reasonOf(bytes, spec.packets[0]!)).toBe(isAlias ? 0x94 : 0x82);
  });

  test('there are the 27 of the standard', () => {
    expect(PROPERTIES).toHaveLength(27);
    expect(new Set(PROPERTIES.map(({ id }) => id)).size).toBe(27);
  });
});

describe('property lists', () => {
  test('identifiers that are not defined are malformed', () => {
    const defined = new Set(PROPERTIES.map(({ id }) => id));
    for (let id = 0; id < 256; id += 1) {
      if (!defined.has(id)) expect(reasonOf(Buffer.from([id, 0, 0, 0, 0]), 1)).toBe(0x81);
    }
  });

  test('user properties keep order and repetitions [MQTT-3.3.2-18]', () => {
    const bytes = Buffer.concat([
      userProperty('b', '1'),
      hex('11 00000005'),
      userProperty('a', '2'),
      userProperty('b', ''),
    ]);
    expect(readProperties(bytes, 0, bytes.length, 1)).toEqual({
      sessionExpirySeconds: 5,
      userProperties: [
        ['b', '1'],
        ['a', '2'],
        ['b', ''],
      ],
    });
  });

  test.each([
    ['overlong', 'c0af'],
    ['surrogate', 'eda080'],
    ['cut character', 'e282'],
    ['U+0000', '610062'],
  ])('text with %s is malformed, in names and values [MQTT-1.5.7-1]', (_, bytes) => {
    const bad = field(hex(bytes));
    expect(reasonOf(Buffer.concat([hex('26'), bad, field('v')]), 1)).toBe(0x81);
    expect(reasonOf(Buffer.concat([hex('26'), field('k'), bad]), 1)).toBe(0x81);
    expect(reasonOf(Buffer.concat([hex('15'), bad]), 1)).toBe(0x81);
    // Binary data is anything.
    expect(reasonOf(Buffer.concat([hex('16'), bad]), 1)).toBe(0);
  });

  test('U+FEFF is kept [MQTT-1.5.4-3]', () => {
    const bytes = Buffer.concat([hex('15'), field('\u{feff}x')]);
    expect(readProperties(bytes, 0, bytes.length, 1).authMethod).toBe('\u{feff}x');
  });

  test('decoded values own their bytes', () => {
    const bytes = Buffer.concat([hex('15'), field('m'), hex('16'), field('data')]);
    const { authData } = readProperties(bytes, 0, bytes.length, 1);
    bytes.fill(0);
    expect(authData!.toString()).toBe('data');
  });

  test('encoding what must not stand there is our fault', () => {
    expect(() => encodeProperties({ topicAlias: 1 }, 1)).toThrow('Topic Alias in CONNECT');
  });

  test('any values come back', () => {
    const connect = fc.record<PropertyValues>(
      {
        sessionExpirySeconds: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        receiveMaximum: fc.integer({ min: 1, max: 65_535 }),
        maximumPacketBytes: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
        topicAliasMaximum: fc.integer({ min: 0, max: 65_535 }),
        requestProblemInfo: fc.integer({ min: 0, max: 1 }),
        authMethod: text(),
        authData: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
        userProperties: fc.array(fc.tuple(text(), text()), { minLength: 1, maxLength: 5 }),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(connect, (values) => {
        const bytes = encodeProperties(values, 1);
        expect(readProperties(bytes, 0, bytes.length, 1)).toEqual(values);
      }),
    );
  });
});

function text(): fc.Arbitrary<string> {
  return fc
    .string({ unit: 'binary', maxLength: 30 })
    .map((value) => Buffer.from(value).toString().replaceAll('\0', ''));
}
