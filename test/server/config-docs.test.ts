import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { renderOptionDocs, renderRabbitmqDocs } from '../../src/server/config-docs.ts';

const FILE = new URL('../../docs/CONFIG.md', import.meta.url);

function replaceSection(document: string, name: string, text: string): string {
  const start = `<!-- generated: ${name} -->\n`;
  const end = '<!-- end -->';
  const from = document.indexOf(start);
  expect(from, `${start} is missing`).toBeGreaterThanOrEqual(0);
  const to = document.indexOf(end, from);
  return `${document.slice(0, from)}${start}\n${text}\n${document.slice(to)}`;
}

test('docs/CONFIG.md says what the option table says', () => {
  const document = readFileSync(FILE, 'utf8');
  const withOptions = replaceSection(document, 'options', renderOptionDocs());
  const current = replaceSection(withOptions, 'rabbitmq.conf', renderRabbitmqDocs());
  if (process.env['UPDATE_GENERATED'] === '1') writeFileSync(FILE, current);
  expect(readFileSync(FILE, 'utf8') === current, 'run `npm run generate`').toBe(true);
});
