import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { generateCodec } from '../../../protocols/amqp/spec/generate.ts';

const FILE = new URL('../../../protocols/amqp/codec.generated.ts', import.meta.url);

test('codec.generated.ts is what spec/generate.ts makes of spec/methods.ts', () => {
  const text = generateCodec();
  if (process.env['UPDATE_GENERATED'] === '1') writeFileSync(FILE, text);
  expect(readFileSync(FILE, 'utf8') === text, 'run with UPDATE_GENERATED=1').toBe(true);
});
