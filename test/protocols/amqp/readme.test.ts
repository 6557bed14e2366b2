import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { METHODS } from '../../../protocols/amqp/spec/methods.ts';

const ROOT = path.resolve(import.meta.dirname, '../../..');
const AMQP = path.join(ROOT, 'protocols/amqp');
const README = readFileSync(path.join(AMQP, 'README.md'), 'utf8');

function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

test('the conformance table has every method of the specification table', () => {
  const missing = METHODS.map((method) => `${method.className}.${kebab(method.name)}`).filter(
    (name) => !README.includes(`\n| ${name} |`),
  );
  expect(missing).toEqual([]);
});

test('every file the table names exists', () => {
  const named = [...README.matchAll(/`([\w./-]+\.ts)`/g)].map((match) => match[1]!);
  const isThere = (file: string): boolean =>
    existsSync(path.join(AMQP, file)) || existsSync(path.join(ROOT, file));
  expect(named.length).toBeGreaterThan(100);
  expect([...new Set(named)].filter((file) => !isThere(file))).toEqual([]);
});
