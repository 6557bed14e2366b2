/** amqplib's own generated codec as the second opinion on ours, in both directions. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as codec from '../../../protocols/amqp/codec.generated.ts';
import { decodeProperties, encodeHeader } from '../../../protocols/amqp/content-header.ts';
import { decodeTable, encodeTable } from '../../../protocols/amqp/field-table.ts';
import type { MethodSpec } from '../../../protocols/amqp/spec/methods.ts';
import { isReserved, METHODS } from '../../../protocols/amqp/spec/methods.ts';
import type { FieldTable } from '../../../src/base/field-value.ts';
import { dispatchPayload, MemorySink } from './wire.ts';

interface AmqplibMethod {
  readonly args: readonly { readonly type: string; readonly name: string }[];
}

interface AmqplibDefs {
  info(id: number): AmqplibMethod;
  encodeMethod(id: number, channel: number, fields: object): Buffer;
  decode(id: number, args: Buffer): Record<string, unknown>;
  encodeProperties(id: number, channel: number, size: number, fields: object): Buffer;
}

interface AmqplibCodec {
  encodeTable(buffer: Buffer, value: object, offset: number): number;
  decodeFields(bytes: Buffer): object;
}

const require = createRequire(import.meta.url);
// By path: the package exports its client only.
const lib = dirname(require.resolve('amqplib'));
const defs = require(join(lib, 'lib/defs.js')) as AmqplibDefs;
const tables = require(join(lib, 'lib/codec.js')) as AmqplibCodec;

const RUNS = { numRuns: 20 };

const text = fc.string({ unit: 'grapheme', maxLength: 30 });

/** [our value, amqplib's value] of one field; tables hold what both encode alike. */
function pair(type: string): fc.Arbitrary<[unknown, unknown]> {
  switch (type) {
    case 'bit':
      return fc.boolean().map((v) => [v, v]);
    case 'octet':
      return fc.nat(0xff).map((v) => [v, v]);
    case 'short':
      return fc.nat(0xffff).map((v) => [v, v]);
    case 'long':
      return fc.nat(0xffff_ffff).map((v) => [v, v]);
    case 'longlong':
      return fc.nat(Number.MAX_SAFE_INTEGER).map((v) => [v, v]);
    case 'shortstr':
      return text.map((v) => [v, v]);
    case 'longstr':
      return fc.uint8Array().map((v) => [Buffer.from(v), Buffer.from(v)]);
    default:
      return fc
        .uniqueArray(fc.tuple(name, fc.oneof(text, fc.boolean(), fc.constant(null))), {
          selector: (entry) => entry[0],
        })
        .map((entries) => [new Map(entries), Object.fromEntries(entries)]);
  }
}

/** No integer-like keys: an object would reorder them. */
const name = text.map((v) => `k${v}`);

function pairs(method: MethodSpec): fc.Arbitrary<[unknown, unknown][]> {
  return fc.tuple(
    ...method.fields.map((field) =>
      isReserved(field)
        ? fc.constant<[unknown, unknown]>([undefined, undefined])
        : pair(field.type),
    ),
  );
}

function idOf(method: MethodSpec): number {
  return method.classId * 65_536 + method.methodId;
}

function pascal(part: string): string {
  return part.slice(0, 1).toUpperCase() + part.slice(1);
}

/** Reserved fields get amqplib's defaults, named as amqplib names them. */
function toAmqplib(method: MethodSpec, values: [unknown, unknown][]): object {
  const { args } = defs.info(idOf(method));
  const fields: Record<string, unknown> = {};
  values.forEach(([, theirs], i) => {
    const spec = method.fields[i]!;
    if (!isReserved(spec)) fields[args[i]!.name] = theirs;
    else if (spec.type === 'longstr') fields[args[i]!.name] = Buffer.alloc(0);
    else if (spec.type === 'shortstr') fields[args[i]!.name] = '';
  });
  return fields;
}

test('the tables agree on every field and its type', () => {
  for (const method of METHODS) {
    const types = defs.info(idOf(method)).args.map((arg) => arg.type);
    expect([method.className, method.name, ...method.fields.map((f) => f.type)]).toEqual([
      method.className,
      method.name,
      ...types,
    ]);
  }
});

describe.each(METHODS.filter((m) => m.from !== 'server'))('$className.$name', (method) => {
  test('written by amqplib is read by us', () => {
    fc.assert(
      fc.property(pairs(method), (values) => {
        const bytes = defs.encodeMethod(idOf(method), 7, toAmqplib(method, values));
        const call = dispatchPayload(bytes.subarray(7, -1));
        const ours = values.map(([value]) => value).filter((value) => value !== undefined);
        expect(call.args).toEqual(ours);
      }),
      RUNS,
    );
  });
});

describe.each(METHODS.filter((m) => m.from !== 'client'))('$className.$name', (method) => {
  const writers = codec as unknown as Record<string, (...args: unknown[]) => void>;
  const write = writers[`write${pascal(method.className)}${pascal(method.name)}`]!;

  test('written by us is read by amqplib, and is what it would write', () => {
    const { args } = defs.info(idOf(method));
    fc.assert(
      fc.property(pairs(method), (values) => {
        const sink = new MemorySink();
        const ours = values.map(([value]) => value).filter((value) => value !== undefined);
        write(sink, 7, ...ours);
        const bytes = sink.take();
        expect(bytes).toEqual(defs.encodeMethod(idOf(method), 7, toAmqplib(method, values)));
        const decoded = defs.decode(idOf(method), bytes.subarray(11));
        values.forEach(([, theirs], i) => {
          if (theirs === undefined) return;
          const value = decoded[args[i]!.name];
          // A table's prototype is nobody's business.
          expect(JSON.stringify(value)).toEqual(JSON.stringify(theirs));
        });
      }),
      RUNS,
    );
  });
});

test('every type of table value amqplib writes is read', () => {
  const value = {
    text: 'grüße',
    bytes: Buffer.from([1, 2, 0xff]),
    yes: true,
    nothing: null,
    i8: -5,
    i16: -3_000,
    i32: -200_000,
    i64: -(2 ** 40),
    u8: { '!': 'uint8', value: 200 },
    u16: { '!': 'uint16', value: 60_000 },
    u32: { '!': 'uint32', value: 4_000_000_000 },
    huge: { '!': 'int64', value: 2n ** 62n + 1n },
    f64: 1.5,
    f32: { '!': 'float', value: 0.5 },
    money: { '!': 'decimal', value: { places: 2, digits: 999 } },
    at: { '!': 'timestamp', value: 1_700_000_000 },
    list: [1, 'two', [false]],
    nested: { a: { b: 'c' } },
  };
  const buffer = Buffer.alloc(1_024);
  const byteLength = tables.encodeTable(buffer, value, 0);
  const table = decodeTable(buffer, 4, byteLength);
  const expected: FieldTable = new Map<string, never>(
    Object.entries({
      text: 'grüße',
      bytes: new Uint8Array([1, 2, 0xff]),
      yes: true,
      nothing: null,
      i8: -5,
      i16: -3_000,
      i32: -200_000,
      i64: -(2 ** 40),
      u8: 200,
      u16: 60_000,
      u32: 4_000_000_000,
      huge: 2n ** 62n + 1n,
      f64: { kind: 'double', value: 1.5 },
      f32: { kind: 'float', value: 0.5 },
      money: { kind: 'decimal', scale: 2, value: 999 },
      at: { kind: 'timestamp', value: 1_700_000_000 },
      list: [1, 'two', [false]],
      nested: new Map([['a', new Map([['b', 'c']])]]),
    }) as [string, never][],
  );
  expect(table).toEqual(expected);

  // And back: amqplib reads our encoding of it as the same values.
  const again = encodeTable(table);
  expect(tables.decodeFields(again.subarray(4))).toMatchObject({
    text: 'grüße',
    bytes: Buffer.from([1, 2, 0xff]),
    yes: true,
    nothing: null,
    i8: -5,
    i64: -(2 ** 40),
    u32: 4_000_000_000,
    f64: 1.5,
    money: { '!': 'decimal', value: { places: 2, digits: 999 } },
    at: { '!': 'timestamp', value: 1_700_000_000 },
    list: [1, 'two', [false]],
    nested: { a: { b: 'c' } },
  });
});

test('content headers: every combination of properties, both ways', () => {
  const all = {
    contentType: 'text/plain',
    contentEncoding: 'gzip',
    headers: { k: 'v' },
    deliveryMode: 2,
    priority: 0,
    correlationId: 'c',
    replyTo: 'r',
    expiration: '0',
    messageId: 'm',
    timestamp: 1_700_000_000,
    type: 't',
    userId: 'u',
    appId: '',
  };
  const names = Object.keys(all) as (keyof typeof all)[];
  for (let mask = 0; mask < 2 ** names.length; mask += 1) {
    const chosen = names.filter((_, i) => (mask & (2 ** i)) !== 0);
    const theirs = Object.fromEntries(chosen.map((key) => [key, all[key]]));
    const bytes = defs.encodeProperties(60, 1, 99, theirs);
    const header = bytes.subarray(7, -1);
    const { timestamp, headers, ...rest } = theirs as Partial<typeof all>;
    const ours = {
      ...rest,
      ...(headers === undefined ? {} : { headers: new Map(Object.entries(headers)) }),
      ...(timestamp === undefined ? {} : { timestampSeconds: timestamp }),
    };
    expect(decodeProperties(header, 0, header.length)).toEqual(ours);
    expect(encodeHeader(ours, 99).equals(header)).toBe(true);
  }
});
