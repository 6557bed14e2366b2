/**
 * Writes `codec.generated.ts` from `methods.ts`.
 *
 * Generated: the two sinks a server implements, the two functions that read a method and call
 * them, and a writer for each method a server sends. Not generated: reading and writing of single
 * values (`method-reader.ts`, `frame-writer.ts`), content headers, tables.
 *
 * To bring the file up to date: `UPDATE_GENERATED=1 npx vitest run test/protocols/amqp/codec`.
 * Without the variable the same test fails when the file is stale.
 */
import type { FieldSpec, FieldType, MethodSpec } from './methods.ts';
import { isReserved, METHODS } from './methods.ts';

/** Methods read first: one of the first comparisons finds them. */
const HOT = new Set(['basic.ack', 'basic.publish', 'basic.nack', 'basic.reject']);

/** Bytes of the types that have a size; bits count where they are grouped. */
const FIXED_BYTES: { readonly [T in FieldType]?: number } = {
  bit: 0,
  short: 2,
  long: 4,
  longlong: 8,
};

/** A run of adjacent bits, or one other field. */
type Group = { readonly bits: readonly FieldSpec[] } | { readonly field: FieldSpec };

/** The whole text of `codec.generated.ts`. */
export function generateCodec(): string {
  const received = METHODS.filter((m) => m.from !== 'server');
  const connection = received.filter((m) => m.className === 'connection');
  const channel = received.filter((m) => m.className !== 'connection');
  const sent = METHODS.filter((m) => m.from !== 'client');
  return [
    HEAD,
    sink('ConnectionMethodSink', 'Methods of class connection a server receives.', connection),
    sink('ChannelMethodSink', 'Methods of all other classes a server receives.', channel),
    dispatch('dispatchConnectionMethod', 'ConnectionMethodSink', connection),
    dispatch('dispatchChannelMethod', 'ChannelMethodSink', channel),
    hasContent(received),
    ...sent.map(writer),
  ].join('\n');
}

const HEAD = `/* Generated from spec/methods.ts by spec/generate.ts. Do not edit. */
import { readU16, readU32, readU64 } from '../../src/base/byte-reader.ts';
import {
  putShortText,
  putU16,
  putU32,
  putU64,
} from '../../src/base/byte-writer.ts';
import type { FieldTable } from '../../src/base/field-value.ts';
import { encodeTable } from './field-table.ts';
import type { FrameSink } from './frame-writer.ts';
import { beginMethod, shortStringBytes } from './frame-writer.ts';
import type { MethodReader, PublishFields } from './method-reader.ts';
import { expectArguments, methodOf, unexpectedMethod } from './method-reader.ts';
`;

function sink(name: string, doc: string, methods: readonly MethodSpec[]): string {
  const lines = methods.map((m) => {
    const section = `  /** ${m.className}.${m.name}, ${m.section}. */\n`;
    return `${section}${wrapCall(`  ${handler(m)}(`, parameters(m, 'read'), '): void;')}`;
  });
  return `/** ${doc} Buffers and tables handed over are owned. */
export interface ${name} {
${lines.join('\n')}
}
`;
}

function dispatch(name: string, sinkName: string, methods: readonly MethodSpec[]): string {
  const hotFirst = [...methods].sort((a, b) => Number(isHot(b)) - Number(isHot(a)));
  return `/**
 * Reads the method frame payload [start, end) of \`buf\` (borrowed) and calls its handler.
 *
 * @throws BrokerError SYNTAX_ERROR for malformed arguments, FRAME_ERROR for a short string that
 *   is not UTF-8, COMMAND_INVALID for a method that is unknown here (all: connection); and
 *   whatever the handler throws
 */
export function ${name}(
  sink: ${sinkName},
  reader: MethodReader,
  buf: Buffer,
  start: number,
  end: number,
): void {
  const method = methodOf(buf, start, end);
  switch (method) {
${hotFirst.map(readCase).join('\n')}
    default:
      throw unexpectedMethod(method);
  }
}
`;
}

function readCase(method: MethodSpec): string {
  const lines: string[] = [];
  const args: string[] = [];
  if (isPublish(method)) {
    args.push('buf', 'reader.publish(buf, start + 4, end)');
  } else if (method.fields.every((field) => FIXED_BYTES[field.type] !== undefined)) {
    readFixed(method, lines, args);
  } else {
    readInOrder(method, lines, args);
  }
  const body = lines.map((line) => `      ${line}\n`).join('');
  const call = wrapCall(`      sink.${handler(method)}(`, args, ');');
  return `    // ${method.className}.${method.name}
    case ${methodNumber(method)}: {
${body}${call}
      return;
    }`;
}

/** Every field has its place: read there, without a reader. */
function readFixed(method: MethodSpec, lines: string[], args: string[]): void {
  // Class and method come first.
  let place = 4;
  for (const group of groups(method.fields)) {
    if ('bits' in group) {
      for (const bit of group.bits) {
        args.push(`(buf[start + ${place}]! & ${2 ** group.bits.indexOf(bit)}) !== 0`);
      }
      place += 1;
    } else {
      const { type } = group.field;
      if (!isReserved(group.field))
        args.push(`readU${FIXED_BYTES[type]! * 8}(buf, start + ${place})`);
      place += FIXED_BYTES[type]!;
    }
  }
  lines.push(`expectArguments(start, end, ${place - 4});`);
}

/** Fields of varying size follow each other through the reader. */
function readInOrder(method: MethodSpec, lines: string[], args: string[]): void {
  let bitOctets = 0;
  lines.push('reader.begin(buf, start + 4, end);');
  for (const group of groups(method.fields)) {
    if ('bits' in group) {
      const bits = `bits${bitOctets === 0 ? '' : bitOctets}`;
      bitOctets += 1;
      const live = group.bits.filter((bit) => !isReserved(bit));
      lines.push(live.length === 0 ? 'reader.skip(1);' : `const ${bits} = reader.u8();`);
      for (const bit of live) {
        args.push(`(${bits} & ${2 ** group.bits.indexOf(bit)}) !== 0`);
      }
    } else if (isReserved(group.field)) {
      lines.push(skipField(group.field));
    } else {
      lines.push(`const ${parameterName(group.field)} = ${readField(group.field)};`);
      args.push(parameterName(group.field));
    }
  }
  lines.push('reader.finish();');
}

function hasContent(methods: readonly MethodSpec[]): string {
  const test = methods
    .filter((m) => m.hasContent)
    .map((m) => `method === ${methodNumber(m)}`)
    .join(' || ');
  return `/** True when a content follows \`method\` (class * 65536 + method) sent by a client. */
export function hasContent(method: number): boolean {
  return ${test};
}
`;
}

function writer(method: MethodSpec): string {
  const before: string[] = [];
  const puts: string[] = [];
  const sizes: string[] = [];
  let fixedBytes = 0;
  for (const group of groups(method.fields)) {
    if ('bits' in group) {
      fixedBytes += 1;
      const octet = group.bits
        .filter((bit) => !isReserved(bit))
        .map((bit) => `(${parameterName(bit)} ? ${2 ** group.bits.indexOf(bit)} : 0)`)
        .join(' | ');
      const bare = group.bits.length === 1 ? octet.replace(/^\((.*)\)$/, '$1') : octet;
      puts.push(`buf[pos] = ${bare === '' ? '0' : bare};`, 'pos += 1;');
    } else {
      fixedBytes += writeField(group.field, before, sizes, puts);
    }
  }
  const size = [...sizes, ...(fixedBytes > 0 || sizes.length === 0 ? [`${fixedBytes}`] : [])];
  const name = `write${pascal(method.className)}${pascal(method.name)}`;
  const head = wrapCall(
    `export function ${name}(`,
    ['out: FrameSink', 'channel: number', ...parameters(method, 'write')],
    '): void {',
  );
  const id = methodNumber(method);
  const ends = trimLast(puts);
  const declares = ends.some((line) => /^pos (=|\+=)/.test(line)) ? 'let' : 'const';
  const begin = wrapCall(
    puts.length === 0 ? '  beginMethod(' : `  ${declares} pos = beginMethod(`,
    ['out', 'channel', id, size.join(' + ')],
    ');',
  );
  const buffer = puts.length === 0 ? [] : ['  const buf = out.slab;'];
  return `/** Writes ${method.className}.${method.name} as one frame. @spec ${method.section} */
${head}
${[...before.map(indent), begin, ...buffer, ...ends.map(indent)].join('\n')}
}
`;
}

/** Adds what writes one field; returns the bytes known here. */
function writeField(field: FieldSpec, before: string[], sizes: string[], puts: string[]): number {
  const name = parameterName(field);
  const value = isReserved(field) ? '0' : name;
  switch (field.type) {
    case 'octet':
      puts.push(`buf[pos] = ${value};`, 'pos += 1;');
      return 1;
    case 'short':
      puts.push(`pos = putU16(buf, pos, ${value});`);
      return 2;
    case 'long':
      puts.push(`pos = putU32(buf, pos, ${value});`);
      return 4;
    case 'longlong':
      puts.push(`pos = putU64(buf, pos, ${value});`);
      return 8;
    case 'shortstr':
      if (isReserved(field)) {
        puts.push('buf[pos] = 0;', 'pos += 1;');
        return 1;
      }
      before.push(`const ${name}Bytes = shortStringBytes(${name});`);
      sizes.push(`${name}Bytes`);
      puts.push(`pos = putShortText(buf, pos, ${name}, ${name}Bytes);`);
      return 1;
    case 'longstr':
      if (isReserved(field)) {
        puts.push('pos = putU32(buf, pos, 0);');
        return 4;
      }
      sizes.push(`${name}.length`);
      puts.push(
        `pos = putU32(buf, pos, ${name}.length);`,
        `buf.set(${name}, pos);`,
        `pos += ${name}.length;`,
      );
      return 4;
    case 'table':
      // Its own length prefix is part of the encoded bytes.
      before.push(`const ${name}Table = encodeTable(${name});`);
      sizes.push(`${name}Table.length`);
      puts.push(`buf.set(${name}Table, pos);`, `pos += ${name}Table.length;`);
      return 0;
    default:
      throw new TypeError(`no writer for ${field.type}`);
  }
}

/** Drops the advance nobody reads after the last field. */
function trimLast(puts: readonly string[]): string[] {
  const last = puts.at(-1);
  if (last === undefined) return [];
  if (last.startsWith('pos += ')) return puts.slice(0, -1);
  return [...puts.slice(0, -1), last.replace(/^pos = /, '')];
}

function readField(field: FieldSpec): string {
  switch (field.type) {
    case 'octet':
      return 'reader.u8()';
    case 'short':
      return 'reader.u16()';
    case 'long':
      return 'reader.u32()';
    case 'longlong':
      return 'reader.u64()';
    case 'shortstr':
      return 'reader.shortText()';
    case 'longstr':
      return 'reader.longBytes()';
    case 'table':
      return 'reader.table()';
    default:
      throw new TypeError(`no reader for ${field.type}`);
  }
}

function skipField(field: FieldSpec): string {
  switch (field.type) {
    case 'short':
      return 'reader.skip(2);';
    case 'shortstr':
      return 'reader.skipShortText();';
    case 'longstr':
      return 'reader.skipLongBytes();';
    default:
      throw new TypeError(`no reserved field is ${field.type}`);
  }
}

/** Bits share octets with their neighbours, eight at most (4.2.5.2). */
function groups(fields: readonly FieldSpec[]): Group[] {
  const result: Group[] = [];
  let bits: FieldSpec[] = [];
  for (const field of fields) {
    if (field.type !== 'bit') {
      bits = [];
      result.push({ field });
      continue;
    }
    if (bits.length === 0 || bits.length === 8) {
      bits = [];
      result.push({ bits });
    }
    bits.push(field);
  }
  return result;
}

function parameters(method: MethodSpec, use: 'read' | 'write'): string[] {
  if (isPublish(method)) return ['buf: Buffer', 'fields: PublishFields'];
  return method.fields
    .filter((field) => !isReserved(field))
    .map((field) => `${parameterName(field)}: ${parameterType(field, use)}`);
}

function parameterType(field: FieldSpec, use: 'read' | 'write'): string {
  switch (field.type) {
    case 'bit':
      return 'boolean';
    case 'shortstr':
      return 'string';
    case 'longstr':
      return use === 'read' ? 'Buffer' : 'Uint8Array';
    case 'table':
      return 'FieldTable';
    default:
      return 'number';
  }
}

/** `arguments` is no name for a parameter. */
function parameterName(field: FieldSpec): string {
  return field.name === 'arguments' ? 'args' : field.name;
}

/** Class and method as one literal: 0x003c_0028. */
function methodNumber(method: MethodSpec): string {
  const half = (id: number): string => id.toString(16).padStart(4, '0');
  return `0x${half(method.classId)}_${half(method.methodId)}`;
}

function handler(method: MethodSpec): string {
  return `on${pascal(method.className)}${pascal(method.name)}`;
}

function isHot(method: MethodSpec): boolean {
  return HOT.has(`${method.className}.${method.name}`);
}

function isPublish(method: MethodSpec): boolean {
  return method.className === 'basic' && method.name === 'publish';
}

function pascal(name: string): string {
  return name.slice(0, 1).toUpperCase() + name.slice(1);
}

function indent(line: string): string {
  return `  ${line}`;
}

/** One line when it fits into 100 columns, else one argument a line. */
function wrapCall(head: string, args: readonly string[], tail: string): string {
  const oneLine = `${head}${args.join(', ')}${tail}`;
  if (oneLine.length <= 100) return oneLine;
  const margin = /^ */.exec(head)?.[0] ?? '';
  return `${head}\n${args.map((arg) => `${margin}  ${arg},\n`).join('')}${margin}${tail}`;
}
