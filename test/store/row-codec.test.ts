/** What goes into a journal row comes out of it: index records, message records, slots. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Message } from '../../src/engine/message.ts';
import { QueueIndex } from '../../src/store/sqlite/queue-index.ts';
import { RowBuilder } from '../../src/store/sqlite/row-builder.ts';
import {
  beginIndex,
  type PutRecord,
  readHeader,
  sealIndex,
  type StateFields,
  visitIndex,
  writeBody,
  writeDrop,
  writeMark,
  writePut,
  writeSettle,
  writeState,
} from '../../src/store/sqlite/row-index.ts';
import { checkRow } from '../../src/store/sqlite/row-loader.ts';
import { Scratch } from '../../src/store/sqlite/scratch.ts';
import { mergeRanges, subtractValues } from '../../src/store/sqlite/ranges.ts';
import { describeMessage } from './support.ts';

const integers = fc.oneof(
  fc.nat(300),
  fc.maxSafeNat(),
  fc.constantFrom(0, 127, 128, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53 - 1),
);

describe('row index', () => {
  it('round trips every record with any integers', () => {
    const records = fc.array(
      fc.record({ tag: fc.nat(5), values: fc.tuple(integers, integers, integers, integers) }),
    );
    fc.assert(
      fc.property(records, (list) => {
        const scratch = new Scratch(32);
        beginIndex(scratch);
        const written: unknown[] = [];
        for (const { tag, values } of list) written.push(writeAny(scratch, tag, values));
        const header = { flags: 1, slotCount: 3, dataCrc: 4, commitMs: 5.5, dataBytes: 6 };
        const bytes = Buffer.from(sealIndex(scratch, 7, header));
        expect(readHeader(bytes)).toEqual(header);
        expect(readAny(bytes)).toEqual(written);
      }),
      { numRuns: 200 },
    );
  });

  it('is laid out as documented', () => {
    const scratch = new Scratch(8);
    beginIndex(scratch);
    writeSettle(scratch, 2 ** 32 + 1, 300, 2);
    const bytes = sealIndex(scratch, 7, {
      flags: 0,
      slotCount: 1,
      dataCrc: 0x01020304,
      commitMs: 1,
      dataBytes: 5,
    });
    expect(bytes.subarray(4).toString('hex')).toBe(
      '01040700' + '01000000' + '04030201' + '000000000000f03f' + '05000000' + '028180808010ac0202',
    );
  });

  it('does not vouch for a changed byte', () => {
    const scratch = new Scratch(64);
    beginIndex(scratch);
    writeMark(scratch, 1, 2);
    const bytes = Buffer.from(
      sealIndex(scratch, 7, { flags: 0, slotCount: 0, dataCrc: 0, commitMs: 0, dataBytes: 0 }),
    );
    for (let at = 0; at < bytes.length; at += 1) {
      bytes[at]! ^= 0x10;
      expect(readHeader(bytes), `byte ${at}`).toBeUndefined();
      bytes[at]! ^= 0x10;
    }
    expect(readHeader(bytes.subarray(0, 20))).toBeUndefined();
  });

  it.each([null, 5, 'text'])('takes a column that has lost its type for a fault (%s)', (value) => {
    const scratch = new Scratch(64);
    beginIndex(scratch);
    const header = { flags: 0, slotCount: 0, dataCrc: 0, commitMs: 0, dataBytes: 0 };
    const runs = Buffer.from(sealIndex(scratch, 7, header));
    expect(checkRow(7, runs, value as unknown as Buffer)).toBe('data length');
    expect(checkRow(7, value as unknown as Buffer, Buffer.alloc(0))).toBe('index checksum');
  });
});

function writeAny(
  scratch: Scratch,
  tag: number,
  [a, b, c, d]: readonly [number, number, number, number],
): unknown {
  switch (tag) {
    case 0: {
      const put = {
        queueId: a,
        first: b,
        count: c % 1000,
        survives: d % 2 === 0,
        isUniform: d % 3 === 0,
        bodyBytes: d,
        lagMs: a % 5,
        gapCount: b % 3,
      };
      writePut(scratch, put);
      return ['put', put];
    }
    case 1:
      writeSettle(scratch, a, b, c);
      return ['settle', a, b, c];
    case 2:
      writeMark(scratch, a, b);
      return ['mark', a, b];
    case 3: {
      const state: StateFields = {
        receiveCount: c,
        notBeforeMs: d % 2 === 0 ? 0 : d,
        leaseUntilMs: d % 3 === 0 ? Infinity : d,
        firstReceivedAtMs: d % 5 === 0 ? 0 : d,
        expiresAtMs: d % 7 === 0 ? Infinity : d,
        isRedelivered: d % 11 === 0,
      };
      writeState(scratch, a, b, state);
      return ['state', a, b, state];
    }
    case 4:
      writeDrop(scratch, a);
      return ['drop', a];
    default:
      writeBody(scratch, a, b);
      return ['body', a, b];
  }
}

function readAny(bytes: Buffer): unknown[] {
  const found: unknown[] = [];
  let slots = 0;
  visitIndex(bytes, {
    onPut: ({ slotBase, ...put }: PutRecord) => {
      expect(slotBase).toBe(slots);
      slots += put.count;
      found.push(['put', put]);
    },
    onSettle: (...values) => found.push(['settle', ...values]),
    onMark: (...values) => found.push(['mark', ...values]),
    onState: (...values) => found.push(['state', ...values]),
    onDrop: (...values) => found.push(['drop', ...values]),
    onBody: (...values) => found.push(['body', ...values]),
  });
  return found;
}

const messages = fc
  .record({
    exchange: fc.string({ unit: 'grapheme', maxLength: 40 }),
    routingKey: fc.string({ unit: 'grapheme', maxLength: 40 }),
    format: fc.nat(2),
    pad: fc.nat(5),
    header: fc.uint8Array({ maxLength: 100 }),
    body: fc.uint8Array({ maxLength: 400 }),
    isPersistent: fc.boolean(),
    priority: fc.integer({ min: -1, max: 255 }),
    expirationMs: fc.oneof(fc.constant(-1), fc.nat(), fc.constant(2 ** 40)),
    publishedAtMs: fc.nat(),
  })
  .map((fields) => {
    const bytes = Buffer.concat([Buffer.alloc(fields.pad), fields.header, fields.body]);
    return new Message(
      fields.exchange,
      fields.routingKey,
      fields.format,
      bytes,
      fields.pad,
      fields.header.length,
      fields.body.length,
      fields.isPersistent,
      fields.priority,
      fields.expirationMs,
      fields.publishedAtMs,
    );
  });

describe('row builder', () => {
  it('keeps every message and groups entries by queue and sequence', () => {
    const batches = fc.array(
      fc.record({
        message: messages,
        queues: fc.uniqueArray(fc.nat(4), { minLength: 1, maxLength: 4 }),
        expires: fc.boolean(),
      }),
      { minLength: 1, maxLength: 40 },
    );
    const builder = new RowBuilder();
    fc.assert(
      fc.property(batches, (batch) => {
        const queues = [0, 1, 2, 3, 4].map((id) => new QueueIndex(id));
        const next = [10, 20, 30, 40, 50];
        const expected = new Map<string, Message>();
        const expiries = new Map<string, number>();
        builder.begin(1000);
        for (const { message, queues: targets, expires } of batch) {
          for (const id of targets) {
            const sequence = next[id]!;
            next[id] = sequence + 1;
            expected.set(`${id}/${sequence}`, message);
            expiries.set(`${id}/${sequence}`, expires ? 77 + sequence : Infinity);
            const expiresAtMs = expires ? 77 + sequence : Infinity;
            builder.add(queues[id]!, sequence, message, true, expiresAtMs, () => 1);
          }
        }
        const row = builder.sealPuts(5);
        const built = builder.seal(row);
        const loaded = checkRow(5, built.runs, built.data);
        if (typeof loaded === 'string') throw new Error(loaded);
        expect(built.puts.length).toBeLessThanOrEqual(5);
        visitIndex(built.runs, {
          onPut: (put) => {
            for (let i = 0; i < put.count; i += 1) {
              const key = `${put.queueId}/${put.first + i}`;
              const at = loaded.data.recordAt(put.slotBase + i);
              const message = loaded.data.message(at, loaded.data.data, loaded.data.payloadAt(at));
              expect(describeMessage(message)).toEqual(describeMessage(expected.get(key)!));
              expect(loaded.data.expiresAtMs(put.slotBase + i)).toBe(expiries.get(key));
              expected.delete(key);
            }
          },
        });
        expect(expected.size).toBe(0);
      }),
      { numRuns: 100 },
    );
  });

  it('writes a message put to a thousand queues once', () => {
    const builder = new RowBuilder();
    const bytes = Buffer.alloc(10_000, 1);
    const message = new Message('e', 'k', 0, bytes, 0, 0, 10_000, true, -1, -1, 0);
    builder.begin(1);
    for (let id = 1; id <= 1000; id += 1) {
      builder.add(new QueueIndex(id), 1, message, true, Infinity, () => 1);
    }
    const built = builder.seal(builder.sealPuts(1));
    expect(built.row.slotCount).toBe(1000);
    expect(built.data.length).toBeLessThan(10_000 + 4 * 1000 + 100);
  });
});

describe('ranges', () => {
  it('merge to what a set would hold', () => {
    const pair = fc.tuple(fc.nat(50), fc.integer({ min: 1, max: 9 }));
    fc.assert(
      fc.property(fc.array(pair), fc.array(fc.nat(60)), (pairs, without) => {
        const flat = pairs.flatMap(([first, length]) => [first, first + length]);
        const set = new Set<number>();
        for (const [first, length] of pairs) {
          for (let i = first; i < first + length; i += 1) set.add(i);
        }
        for (const value of without) set.delete(value);
        const merged = subtractValues(mergeRanges(flat), without);
        const back: number[] = [];
        for (let i = 0; i < merged.length; i += 2) {
          for (let value = merged[i]!; value < merged[i + 1]!; value += 1) back.push(value);
        }
        expect(back).toEqual([...set].sort((a, b) => a - b));
      }),
    );
  });
});
