import { describe, expect, test } from 'vitest';
import {
  AmqpMessageFormat,
  BlindAmqpMessageFormat,
  joinContent,
  stripBcc,
} from '../../../protocols/amqp/amqp-message-format.ts';
import { decodeProperties, encodeHeader } from '../../../protocols/amqp/content-header.ts';
import type { FieldValue } from '../../../src/base/field-value.ts';
import { FORMAT_AMQP, Message } from '../../../src/engine/message.ts';
import type { CommonProperties, HeaderEdit } from '../../../src/engine/ports.ts';
import { headerPayload, hex } from './wire.ts';

const format = new AmqpMessageFormat();

/** A message whose header lies amid other bytes. */
function messageOf(header: Buffer): Message {
  const bytes = Buffer.concat([Buffer.alloc(5, 0xff), header, Buffer.from('body')]);
  return new Message('x', 'k', FORMAT_AMQP, bytes, 5, header.length, 4, false, -1, -1, 0);
}

function edited(properties: CommonProperties, edit: HeaderEdit): CommonProperties {
  const header = format.edit(messageOf(encodeHeader(properties, 4)), edit);
  expect(header.readUInt16BE(10)).toBe(4);
  return decodeProperties(header, 0, header.length);
}

const ALL: CommonProperties = {
  contentType: 'text/plain',
  contentEncoding: 'utf-8',
  headers: new Map<string, FieldValue>([
    ['a', 1],
    ['b', 'two'],
  ]),
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

test('headers and properties', () => {
  expect(format.properties(messageOf(encodeHeader(ALL, 4)))).toEqual(ALL);
  expect(format.headers(messageOf(encodeHeader(ALL, 4)))).toEqual(ALL.headers);
  expect(format.headers(messageOf(encodeHeader({ type: 't' }, 4)))).toBeUndefined();
  expect(format.headers(messageOf(encodeHeader({ headers: new Map() }, 4)))).toEqual(new Map());
});

describe('editing', () => {
  test('nothing changes nothing', () => {
    for (const properties of [ALL, {}, { headers: new Map() }, { priority: 0 }]) {
      const header = encodeHeader(properties, 4);
      expect(format.edit(messageOf(header), {})).toEqual(header);
    }
  });

  test('a header set keeps its place, a new one comes last', () => {
    const set = new Map<string, FieldValue>([
      ['z', true],
      ['a', 'one'],
      ['y', null],
    ]);
    const result = edited(ALL, { set });
    expect([...result.headers!]).toEqual([
      ['a', 'one'],
      ['b', 'two'],
      ['z', true],
      ['y', null],
    ]);
    expect({ ...result, headers: 0 }).toEqual({ ...ALL, headers: 0 });
  });

  test('headers are added where there were none', () => {
    const set = new Map<string, FieldValue>([['x-death', [new Map([['count', 1]])]]]);
    expect(edited({ contentType: 'a', replyTo: 'b' }, { set })).toEqual({
      contentType: 'a',
      replyTo: 'b',
      headers: set,
    });
    expect(edited({}, { set })).toEqual({ headers: set });
  });

  test('headers are removed; the last one leaves an empty table', () => {
    expect(edited(ALL, { remove: ['a', 'nobody'] }).headers).toEqual(new Map([['b', 'two']]));
    expect(edited(ALL, { remove: ['a', 'b'] }).headers).toEqual(new Map());
    expect(edited({ type: 't' }, { remove: ['a'] })).toEqual({ type: 't' });
  });

  test('set wins over remove', () => {
    const result = edited(ALL, { remove: ['a'], set: new Map([['a', 5]]) });
    expect(result.headers).toEqual(
      new Map<string, FieldValue>([
        ['a', 5],
        ['b', 'two'],
      ]),
    );
  });

  test('the expiration goes', () => {
    const { expiration: _, ...rest } = ALL;
    expect(edited(ALL, { removeExpiration: true })).toEqual(rest);
    expect(edited({ type: 't' }, { removeExpiration: true })).toEqual({ type: 't' });
  });

  test('reply-to is set or replaced', () => {
    expect(edited(ALL, { replyTo: 'elsewhere' })).toEqual({ ...ALL, replyTo: 'elsewhere' });
    expect(edited({ type: 't' }, { replyTo: 'r' })).toEqual({ type: 't', replyTo: 'r' });
    expect(
      edited({ type: 't', expiration: '1' }, { replyTo: 'r', removeExpiration: true }),
    ).toEqual({ type: 't', replyTo: 'r' });
  });

  test('entries not named are copied as they are: widths, duplicates, broken text', () => {
    const entries = hex(
      `
      01 61 73 0001              # s i16
      01 62 42 07
      01 63 75 0002
      01 64 6c 0000000000000003
      01 64 6c 0000000000000004
      01 65 53 00000001 ff
      01 ff 56
      01 66 74 02`.replaceAll(/#.*/g, ''),
    );
    const length = Buffer.alloc(4);
    length.writeUInt32BE(entries.length);
    const header = headerPayload(4, 0x2000, Buffer.concat([length, entries]));
    const result = format.edit(messageOf(header), { set: new Map([['n', 'v']]) });
    const added = hex('01 6e 53 00000001 76');
    expect(result.subarray(18)).toEqual(Buffer.concat([entries, added]));
    expect(result.readUInt32BE(14)).toBe(entries.length + added.length);
  });

  test('setting a name that stands twice leaves one', () => {
    const entries = hex('01 61 74 01  01 62 56  01 61 74 00');
    const header = headerPayload(4, 0x2000, Buffer.concat([hex('0000000b'), entries]));
    const result = format.edit(messageOf(header), { set: new Map([['a', null]]) });
    expect(result.subarray(18)).toEqual(hex('01 61 56  01 62 56'));
  });
});

test('what nobody may see is not told, and stays where it is', () => {
  const headers = new Map<string, FieldValue>([
    ['CC', ['a']],
    ['BCC', ['b']],
  ]);
  const message = messageOf(encodeHeader({ headers, appId: 'app' }, 4));
  const blind = new BlindAmqpMessageFormat();
  const shown = new Map([['CC', ['a']]]);
  expect(blind.headers(message)).toEqual(shown);
  expect(blind.properties(message)).toEqual({ headers: shown, appId: 'app' });
  const edited = messageOf(blind.edit(message, { set: new Map([['x', 1]]) }));
  expect(format.headers(edited)).toEqual(new Map<string, FieldValue>([...headers, ['x', 1]]));
});

test('BCC is stripped, CC stays', () => {
  const headers = new Map<string, FieldValue>([
    ['CC', ['a']],
    ['BCC', ['b']],
  ]);
  const header = encodeHeader({ headers, appId: 'app' }, 4);
  const stripped = stripBcc(header, 0, header.length);
  expect(decodeProperties(stripped, 0, stripped.length)).toEqual({
    headers: new Map([['CC', ['a']]]),
    appId: 'app',
  });
});

test('a new header and the old body become owned memory', () => {
  const bytes = Buffer.from('..body..');
  const joined = joinContent(Buffer.from('head'), bytes, 2, 6);
  bytes.fill(0);
  expect(joined.toString()).toBe('headbody');
});
