import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as codec from '../../../protocols/amqp/codec.generated.ts';
import { MethodReader } from '../../../protocols/amqp/method-reader.ts';
import type { FieldSpec, MethodSpec } from '../../../protocols/amqp/spec/methods.ts';
import { isReserved, METHODS } from '../../../protocols/amqp/spec/methods.ts';
import { BrokerError } from '../../../src/base/errors.ts';
import type { FieldTable } from '../../../src/base/field-value.ts';
import type { FieldInput } from './wire.ts';
import {
  dispatchPayload,
  frame,
  hex,
  MemorySink,
  methodFrame,
  methodNamed,
  methodPayload,
} from './wire.ts';

const RUNS = { numRuns: 25 };

const shortText = fc
  .string({ unit: 'grapheme', maxLength: 40 })
  .filter((text) => Buffer.byteLength(text) <= 255);

const table: fc.Arbitrary<FieldTable> = fc
  .array(fc.tuple(shortText, fc.oneof(shortText, fc.integer(), fc.boolean(), fc.constant(null))))
  .map((entries) => new Map(entries));

function valueOf(field: FieldSpec): fc.Arbitrary<FieldInput> {
  switch (field.type) {
    case 'bit':
      return fc.boolean();
    case 'octet':
      return fc.nat(0xff);
    case 'short':
      return fc.nat(0xffff);
    case 'long':
      return fc.nat(0xffff_ffff);
    case 'longlong':
      return fc.nat(Number.MAX_SAFE_INTEGER);
    case 'shortstr':
      return shortText;
    case 'longstr':
      return fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
    case 'table':
      return table;
  }
}

function valuesOf(method: MethodSpec): fc.Arbitrary<FieldInput[]> {
  return fc.tuple(...method.fields.filter((f) => !isReserved(f)).map(valueOf));
}

function pascal(name: string): string {
  return name.slice(0, 1).toUpperCase() + name.slice(1);
}

function fullName(method: MethodSpec): string {
  return pascal(method.className) + pascal(method.name);
}

/** The error a payload ends in. */
function errorOf(payload: Buffer): BrokerError {
  try {
    dispatchPayload(payload);
  } catch (error) {
    if (error instanceof BrokerError) return error;
    throw error;
  }
  throw new RangeError('no error');
}

describe.each(METHODS.filter((m) => m.from !== 'server'))('$className.$name', (method) => {
  test('is read as it was written', () => {
    const reader = new MethodReader();
    fc.assert(
      fc.property(valuesOf(method), (values) => {
        const call = dispatchPayload(methodPayload(method, values), reader);
        expect(call).toEqual({ name: `on${fullName(method)}`, args: values });
      }),
      RUNS,
    );
  });

  test('cut or extended anywhere is a 502', () => {
    const values = fc.sample(valuesOf(method), { numRuns: 1, seed: method.methodId })[0]!;
    const payload = methodPayload(method, values);
    for (let length = 4; length < payload.length; length += 1) {
      expect(errorOf(payload.subarray(0, length)).code).toBe('SYNTAX_ERROR');
    }
    expect(errorOf(Buffer.concat([payload, Buffer.from([0])])).code).toBe('SYNTAX_ERROR');
  });
});

test.each(METHODS.filter((m) => m.from !== 'client'))('$className.$name is written', (method) => {
  const writers = codec as unknown as Record<string, (...args: unknown[]) => void>;
  const write = writers[`write${fullName(method)}`]!;
  fc.assert(
    fc.property(fc.nat(0xffff), valuesOf(method), (channel, values) => {
      const sink = new MemorySink();
      // Not at offset 0, so that a writer that forgets its position shows.
      sink.reserve(3);
      write(sink, channel, ...values);
      const expected = frame(1, channel, methodPayload(method, values));
      expect(sink.take().subarray(3).equals(expected)).toBe(true);
    }),
    RUNS,
  );
});

test('methods only a server sends, and numbers nobody has, are a 503', () => {
  for (const method of METHODS.filter((m) => m.from === 'server')) {
    const values = fc.sample(valuesOf(method), 1)[0]!;
    expect(errorOf(methodPayload(method, values)).code).toBe('COMMAND_INVALID');
  }
  const error = errorOf(hex('003c 03e7'));
  expect([error.code, error.scope, error.message]).toEqual([
    'COMMAND_INVALID',
    'connection',
    'unimplemented method {60,999}',
  ]);
});

test('a payload without a whole method id is a 502', () => {
  for (const payload of ['', '00', '003c', '003c 00']) {
    expect(errorOf(hex(payload)).code).toBe('SYNTAX_ERROR');
  }
});

test('a short string that is not UTF-8 is a 501', () => {
  // basic.get: reserved-1, queue "\xff", no-ack.
  const error = errorOf(hex('003c 0046  0000  01 ff  00'));
  expect([error.code, error.message]).toEqual(['FRAME_ERROR', 'Malformed UTF-8 in shortstr']);
});

test('which methods content follows', () => {
  const follows = METHODS.filter((m) => codec.hasContent(m.classId * 65_536 + m.methodId)).map(
    (m) => `${m.className}.${m.name}`,
  );
  expect(follows).toEqual(['basic.publish']);
});

test('known bytes', () => {
  expect(methodFrame('exchange.unbind', 1, ['d', 's', 'k', true, new Map()])).toEqual(
    hex('01 0001 00000011  0028 0028  0000 01 64 01 73 01 6b 01 00000000 ce'),
  );
  const sink = new MemorySink();
  codec.writeExchangeUnbindOk(sink, 1);
  codec.writeBasicAck(sink, 2, 2 ** 32 + 5, true);
  codec.writeBasicDeliver(sink, 3, 'ct', 1, true, 'x', 'key');
  expect(sink.take()).toEqual(
    hex(`
    01 0001 00000004  0028 0033  ce
    01 0002 0000000d  003c 0050  0000000100000005 01  ce
    01 0003 00000016  003c 003c  02 6374  0000000000000001 01  01 78  03 6b6579  ce`),
  );
  expect(methodNamed('basic.publish').hasContent).toBe(true);
});
