import { describe, expect, test } from 'vitest';
import {
  decodeProperties,
  encodeHeader,
  expirationMs,
  extraRoutingKeys,
  HeaderScan,
  propertyText,
  scanHeader,
} from '../../../protocols/amqp/content-header.ts';
import { BrokerError } from '../../../src/base/errors.ts';
import type { FieldValue } from '../../../src/base/field-value.ts';
import type { CommonProperties } from '../../../src/engine/ports.ts';
import { headerPayload, hex } from './wire.ts';

/** A scan of the header amid other bytes, and where it starts. */
function scanned(header: Buffer): { bytes: Buffer; start: number; scan: HeaderScan } {
  const bytes = Buffer.concat([Buffer.alloc(9, 0xff), header, Buffer.alloc(4, 0xff)]);
  const scan = new HeaderScan();
  scanHeader(bytes, 9, 9 + header.length, scan);
  return { bytes, start: 9, scan };
}

function scanOf(properties: CommonProperties): ReturnType<typeof scanned> {
  return scanned(encodeHeader(properties, 7));
}

function headersOf(entries: [string, FieldValue][]): CommonProperties {
  return { headers: new Map(entries) };
}

function failure(run: () => void): string[] {
  try {
    run();
  } catch (error) {
    if (error instanceof BrokerError) return [error.code, error.scope, error.message];
    throw error;
  }
  throw new RangeError('no error');
}

const ALL: CommonProperties = {
  contentType: 'text/plain',
  contentEncoding: 'utf-8',
  headers: new Map<string, FieldValue>([['k', 1]]),
  deliveryMode: 2,
  priority: 9,
  correlationId: 'corr',
  replyTo: 'reply',
  expiration: '60000',
  messageId: 'msg',
  timestampSeconds: 1_700_000_000,
  type: 'type',
  userId: 'guest',
  appId: 'app',
};

describe('scanning', () => {
  test('nothing set', () => {
    const { scan } = scanned(headerPayload(3));
    expect(scan).toMatchObject({ flags: 0, bodyBytes: 3, deliveryMode: -1, priority: -1 });
    expect([
      scan.isPersistent,
      scan.hasHeaders,
      scan.hasReplyTo,
      scan.hasExpiration,
      scan.hasUserId,
    ]).toEqual([false, false, false, false, false]);
  });

  test('everything set', () => {
    const { bytes, start, scan } = scanOf(ALL);
    expect(scan).toMatchObject({ bodyBytes: 7, deliveryMode: 2, priority: 9 });
    expect(scan.isPersistent).toBe(true);
    expect(propertyText(bytes, start, scan.replyToAt, scan.replyToEnd)).toBe('reply');
    expect(propertyText(bytes, start, scan.userIdAt, scan.userIdEnd)).toBe('guest');
    expect(expirationMs(bytes, start, scan)).toBe(60_000);
  });

  test('zero is a value, not an absence', () => {
    const { scan } = scanOf({ deliveryMode: 0, priority: 0 });
    expect([scan.deliveryMode, scan.priority, scan.isPersistent]).toEqual([0, 0, false]);
  });

  test('delivery mode 1 and unknown ones are transient', () => {
    expect(
      [1, 2, 3, 255].map((deliveryMode) => scanOf({ deliveryMode }).scan.isPersistent),
    ).toEqual([false, true, false, false]);
  });

  test('a scan is used again without traces of the one before', () => {
    const full = encodeHeader(ALL, 1);
    const scan = new HeaderScan();
    scanHeader(full, 0, full.length, scan);
    scanHeader(headerPayload(0), 0, 14, scan);
    expect(scan).toEqual(scanned(headerPayload(0)).scan);
  });

  test('an empty table counts as no headers', () => {
    expect(scanOf({ headers: new Map() }).scan.hasHeaders).toBe(false);
  });

  test('every truncation and every extension of a full header is refused', () => {
    const header = encodeHeader(ALL, 1);
    const scan = new HeaderScan();
    for (let end = 0; end < header.length; end += 1) {
      expect(failure(() => scanHeader(header, 0, end, scan))[0]).toBe('SYNTAX_ERROR');
    }
    const longer = Buffer.concat([header, hex('00')]);
    expect(failure(() => scanHeader(longer, 0, longer.length, scan))[0]).toBe('SYNTAX_ERROR');
  });

  test('the deprecated cluster-id passes through', () => {
    const { scan } = scanned(headerPayload(0, 0x0004, hex('02 6162')));
    expect(scan.flags).toBe(4);
  });
});

describe('decoding and encoding', () => {
  test('everything', () => {
    const header = encodeHeader(ALL, 7);
    expect(header.toString('hex', 0, 14)).toBe('003c00000000000000000007fff8');
    expect(decodeProperties(header, 0, header.length)).toEqual(ALL);
  });

  test('each property alone', () => {
    for (const [name, value] of Object.entries(ALL)) {
      const header = encodeHeader({ [name]: value }, 2 ** 33);
      expect(decodeProperties(header, 0, header.length)).toEqual({ [name]: value });
      expect(header.readBigUInt64BE(4)).toBe(2n ** 33n);
    }
  });

  test('text that is not UTF-8 is mended', () => {
    const header = headerPayload(0, 0x8000, hex('02 ff61'));
    expect(decodeProperties(header, 0, header.length)).toEqual({ contentType: '\ufffda' });
  });
});

describe('expiration', () => {
  test.each([
    ['0', 0],
    ['1', 1],
    ['000', 0],
    ['+5', 5],
    ['-0', 0],
    ['999999999', 999_999_999],
    ['1234567890', 1_234_567_890],
    ['4294967296', 4_294_967_296],
    ['315360000000', 315_360_000_000],
  ])('%s', (text, ms) => {
    const { bytes, start, scan } = scanOf({ expiration: text });
    expect(expirationMs(bytes, start, scan)).toBe(ms);
  });

  test('absent', () => {
    const { bytes, start, scan } = scanOf({ replyTo: '5' });
    expect(expirationMs(bytes, start, scan)).toBe(-1);
  });

  test.each([
    ['', 'no_integer'],
    ['abc', 'no_integer'],
    [' 5', 'no_integer'],
    ['5x', '{leftover_string,"x"}'],
    ['1.5', '{leftover_string,".5"}'],
    ['-1', '{value_negative,-1}'],
    ['315360000001', '{value_too_large,315360000001}'],
    ['99999999999999999999', '{value_too_large,99999999999999999999}'],
    ['+315360000001', '{value_too_large,315360000001}'],
  ])('invalid: "%s"', (text, reason) => {
    const { bytes, start, scan } = scanOf({ expiration: text });
    expect(failure(() => expirationMs(bytes, start, scan))).toEqual([
      'PRECONDITION_FAILED',
      'channel',
      `invalid expiration '${text}': ${reason}`,
    ]);
  });
});

describe('CC and BCC', () => {
  test('absent', () => {
    for (const properties of [
      {},
      headersOf([]),
      headersOf([
        ['cc', ['x']],
        ['XCC', ['y']],
      ]),
    ]) {
      const { bytes, start, scan } = scanOf(properties);
      expect(extraRoutingKeys(bytes, start, scan)).toBeUndefined();
    }
  });

  test('keys of CC first', () => {
    const { bytes, start, scan } = scanOf(
      headersOf([
        ['a', 1],
        ['BCC', ['hidden']],
        ['b', new Map([['CC', 'nested']])],
        ['CC', ['one', 'zwö']],
      ]),
    );
    expect(extraRoutingKeys(bytes, start, scan)).toEqual({
      keys: ['one', 'zwö', 'hidden'],
      hasBcc: true,
    });
  });

  test('CC alone hides nothing', () => {
    const { bytes, start, scan } = scanOf(headersOf([['CC', []]]));
    expect(extraRoutingKeys(bytes, start, scan)).toEqual({ keys: [], hasBcc: false });
  });

  test('what is no string in the list is left out', () => {
    const { bytes, start, scan } = scanOf(headersOf([['CC', ['ok', 5, null]]]));
    expect(extraRoutingKeys(bytes, start, scan)?.keys).toEqual(['ok']);
  });

  test.each<[string, FieldValue]>([
    ['CC', 'text'],
    ['BCC', 5],
    ['CC', null],
  ])('%s of another type', (name, value) => {
    const { bytes, start, scan } = scanOf(headersOf([[name, value]]));
    expect(failure(() => extraRoutingKeys(bytes, start, scan)).slice(0, 2)).toEqual([
      'PRECONDITION_FAILED',
      'channel',
    ]);
  });
});
