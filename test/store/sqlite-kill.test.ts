/** SIGKILL at random moments: what was confirmed is there, what was settled for sure is not. */
import { execFileSync, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import { checkDataFile } from '../../src/store/sqlite/check.ts';
import { SqliteStore } from '../../src/store/sqlite/sqlite-store.ts';
import { queueIdOf, readAll, temporaryDirectory } from './support.ts';

const CYCLES = Number(process.env['TRIBUTARY_KILLS'] ?? 4);
const ROOT = join(import.meta.dirname, '../..');
const QUEUE = queueIdOf(1);

/** Compiles the child; Node 20 cannot run it as it is. Returns its path. */
function compileChild(): string {
  const outDir = join(ROOT, '.cache/kill-child');
  const compiler = join(
    dirname(createRequire(import.meta.url).resolve('typescript/package.json')),
    'bin/tsc',
  );
  execFileSync(
    process.execPath,
    [
      compiler,
      ...['--ignoreConfig', '--skipLibCheck', '--rewriteRelativeImportExtensions'],
      ...['--target', 'ES2023', '--lib', 'ES2023', '--module', 'NodeNext', '--types', 'node'],
      ...['--rootDir', ROOT, '--outDir', outDir],
      join(ROOT, 'test/store/kill-child.ts'),
    ],
    { cwd: ROOT },
  );
  return join(outDir, 'test/store/kill-child.js');
}

interface Confirmed {
  put: number;
  settled: number;
}

/** Runs the child until some confirms have come and `delayMs` more, then kills it. */
async function killOne(child: string, directory: string, delayMs: number): Promise<Confirmed> {
  const confirmed: Confirmed = { put: 0, settled: 0 };
  const running = spawn(process.execPath, [child, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  const firstConfirm = new Promise<void>((resolve) => {
    running.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes('C ')) resolve();
    });
  });
  const ended = new Promise<void>((resolve) => running.stdout.once('close', resolve));
  await Promise.race([firstConfirm, ended]);
  await new Promise((resolve) => setTimeout(resolve, delayMs));
  running.kill('SIGKILL');
  await ended;
  // A line cut by the kill has no newline and does not count.
  for (const line of text.split('\n').slice(0, -1)) {
    const [kind, put, settled] = line.split(' ');
    if (kind === 'C') Object.assign(confirmed, { put: Number(put), settled: Number(settled) });
  }
  return confirmed;
}

it('a killed process loses nothing confirmed and brings nothing settled back', async () => {
  const child = compileChild();
  const { path, remove } = temporaryDirectory();
  try {
    for (let cycle = 0; cycle < CYCLES; cycle += 1) {
      const confirmed = await killOne(child, path, 30 + ((cycle * 97) % 300));
      expect(confirmed.put).toBeGreaterThan(0);
      const report = await checkDataFile(path);
      expect(report.problems).toEqual([]);
      const store = await SqliteStore.open({ directory: path, durability: 'full' });
      const { wasClean, queues } = await store.recover();
      expect(wasClean).toBe(false);
      const entries = await readAll(store, QUEUE);
      expect(queues.get(QUEUE)!.liveCount).toBe(entries.length);
      const present = new Set<number>();
      for (const { sequence, message } of entries) {
        expect(sequence).toBeGreaterThan(Math.max(0, ...[...present].slice(-1)));
        present.add(sequence);
        const text = `body ${sequence} ${'x'.repeat((sequence * 37) % 900)}`;
        expect(message.bytes.toString('latin1', message.start)).toContain(text);
      }
      for (let sequence = 1; sequence <= confirmed.put; sequence += 1) {
        if (sequence % 3 === 0) expect(present.has(sequence), `lost ${sequence}`).toBe(true);
      }
      for (let sequence = 1; sequence <= confirmed.settled; sequence += 1) {
        const isGone = sequence % 3 !== 0;
        if (isGone) expect(present.has(sequence), `resurrected ${sequence}`).toBe(false);
      }
      // The next child does not know the entries in doubt and never settles them: settle them here.
      for (const entry of entries) if (entry.sequence % 3 !== 0) store.settle(QUEUE, entry);
      await store.close();
    }
  } finally {
    remove();
  }
}, 300_000);
