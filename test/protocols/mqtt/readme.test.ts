/**
 * protocols/mqtt/README.md against the tables it is about. `UPDATE_GENERATED=1` writes the
 * generated parts anew.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { PACKETS, packetName } from '../../../protocols/mqtt/spec/packets.ts';
import { PROPERTIES } from '../../../protocols/mqtt/spec/properties.ts';
import {
  CONNACK_3_NONE,
  REASONS,
  isClientReason,
  isServerReason,
} from '../../../protocols/mqtt/spec/reason-codes.ts';
import { ROOT } from '../../support/source-tree.ts';

const README = join(ROOT, 'protocols/mqtt/README.md');

function hexOf(code: number): string {
  return `0x${code.toString(16).toUpperCase().padStart(2, '0')}`;
}

function propertyTable(): string {
  const rows = PROPERTIES.map(({ id, name, type, range, packets, isRepeatable }) => {
    const notes = [range === 'any' ? '' : range, isRepeatable ? 'repeatable' : ''];
    const note = notes.filter((text) => text !== '').join(', ');
    const where = packets.map(packetName).join(', ');
    return `| ${hexOf(id)} | ${name} | ${type} | ${note} | ${where} |`;
  });
  return [
    '| id | name | type | value | packets |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
}

function reasonTable(): string {
  const rows = REASONS.map(({ code, name, fromServer, fromClient, answer, connack3 }) => {
    const legacy = connack3 === CONNACK_3_NONE ? '' : String(connack3);
    const cells = [fromServer, fromClient].map((types) => types.map(packetName).join(', '));
    return `| ${hexOf(code)} | ${name} | ${cells.join(' | ')} | ${answer} | ${legacy} |`;
  });
  return [
    '| code | name | from the server in | from clients in | answer | 3.x |',
    '| --- | --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
}

function withPart(text: string, name: string, table: string): string {
  const begin = `<!-- ${name}: generated -->`;
  const from = text.indexOf(begin) + begin.length;
  const to = text.indexOf('<!-- end -->', from);
  return `${text.slice(0, from)}\n\n${table}\n\n${text.slice(to)}`;
}

describe('protocols/mqtt/README.md', () => {
  test('has the tables of properties and reason codes', () => {
    const text = readFileSync(README, 'utf8');
    const fresh = withPart(
      withPart(text, 'properties', propertyTable()),
      'reason codes',
      reasonTable(),
    );
    if (process.env['UPDATE_GENERATED'] === '1') writeFileSync(README, fresh);
    else expect(text).toBe(fresh);
  });

  test('names files and tests that exist, and each statement once', () => {
    const rows = [...readFileSync(README, 'utf8').matchAll(/^\| (MQTT-[\d.-]+) \|(.*)\|$/gm)];
    const ids = rows.map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.length).toBeGreaterThan(220);
    for (const [, id, rest] of rows) {
      const cells = rest!.split(' | ').map((cell) => cell.trim());
      expect(cells, id).toHaveLength(3);
      for (const [, file] of cells[1]!.matchAll(/`([^`]+)`/g)) {
        expect(existsSync(join(ROOT, 'protocols/mqtt', file!)), `${id}: ${file}`).toBe(true);
      }
      for (const [, file] of cells[2]!.matchAll(/`([^`]+)`/g)) {
        const path = file!.includes('/') ? file! : `test/protocols/mqtt/${file}`;
        expect(existsSync(join(ROOT, path)), `${id}: ${file}`).toBe(true);
      }
    }
  });
});

/** Reason codes by packet, as chapter 3 of the standard lists them in its tables. */
const TABLES: Readonly<Record<string, readonly [server: string, client: string]>> = {
  CONNACK: ['00 80 81 82 83 84 85 86 87 88 89 8a 8c 90 95 97 99 9a 9b 9c 9d 9f', ''],
  PUBACK: ['00 10 80 83 87 90 91 97 99', '00 10 80 83 87 90 91 97 99'],
  PUBREC: ['00 10 80 83 87 90 91 97 99', '00 10 80 83 87 90 91 97 99'],
  PUBREL: ['00 92', '00 92'],
  PUBCOMP: ['00 92', '00 92'],
  SUBACK: ['00 01 02 80 83 87 8f 91 97 9e a1 a2', ''],
  UNSUBACK: ['00 11 80 83 87 8f 91', ''],
  DISCONNECT: [
    '00 80 81 82 83 87 89 8b 8c 8d 8e 8f 90 93 94 95 96 97 98 99 9a 9b 9c 9d 9e 9f a0 a1 a2',
    '00 04 80 81 82 83 90 93 94 95 96 97 98 99',
  ],
  AUTH: ['00 18', '18 19'],
};

describe('reason codes', () => {
  test.each(PACKETS)('of $name are those of its table', ({ name, type }) => {
    const [server, client] = TABLES[name] ?? ['', ''];
    const codes = Array.from({ length: 256 }, (_, code) => code);
    const listed = (isIn: (code: number, type: number) => boolean): string =>
      codes
        .filter((code) => isIn(code, type))
        .map((code) => code.toString(16).padStart(2, '0'))
        .join(' ');
    expect(listed(isServerReason)).toBe(server);
    expect(listed(isClientReason)).toBe(client);
  });
});
