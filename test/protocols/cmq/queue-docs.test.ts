/** docs/CMQ.md says what the code does, as far as it is numbers and names. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ATTRIBUTE_RANGES } from '../../../src/engine/cmq/queue-attributes.ts';
import type { TraceKind } from '../../../src/engine/cmq/trace-event.ts';
import { ACTIONS } from '../../../protocols/cmq/spec/actions.ts';
import { ROOT } from '../../support/source-tree.ts';

const TEXT = readFileSync(join(ROOT, 'docs/CMQ.md'), 'utf8');

const TRACE_KINDS: Readonly<Record<TraceKind, true>> = {
  sent: true,
  delayed: true,
  rescheduled: true,
  cancelled: true,
  received: true,
  extended: true,
  released: true,
  deleted: true,
  expired: true,
  'dead-lettered': true,
  rewound: true,
  redriven: true,
  cleared: true,
  published: true,
  matched: true,
  delivered: true,
  failed: true,
  abandoned: true,
};

describe('docs/CMQ.md', () => {
  test.each(Object.entries(ATTRIBUTE_RANGES))('has the range of %s', (name, range) => {
    const row = TEXT.split('\n').find((line) => line.startsWith(`| ${name} |`));
    const [from, to, usual] = [range.min, range.max, range.default].map((value) =>
      value.toLocaleString('en-US'),
    );
    expect(row).toContain(`| ${from} to ${to}`);
    expect(row).toContain(`| ${usual} |`);
  });

  test('names every queue action that is served', () => {
    const missing = ACTIONS.filter(
      ({ resource, unserved, name }) =>
        resource === 'queue' && unserved === undefined && !new RegExp(`\\b${name}\\b`).test(TEXT),
    );
    // Each batch is named with what it is a batch of.
    const names = missing.map(({ name }) => name).filter((name) => !name.startsWith('Batch'));
    expect(names).toEqual([]);
  });

  test('names every event of a trace', () => {
    const section = TEXT.slice(TEXT.indexOf('### Traces'));
    for (const kind of Object.keys(TRACE_KINDS)) expect(section).toContain(kind);
  });
});
