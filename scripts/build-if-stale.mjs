/**
 * Builds dist/ when it is missing or older than a source, or always with `--force`. Run directly,
 * or through `buildIfStale()`; a fresh dist costs one walk over the sources.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stamp = join(root, 'dist', '.built');
const sources = [
  'src',
  'protocols',
  'bench',
  'tsconfig.json',
  'tsconfig.build.json',
  'package.json',
];

function newestMs(path) {
  const status = statSync(path);
  if (!status.isDirectory()) return status.mtimeMs;
  // A directory's own time changes when a file in it is removed.
  let newest = status.mtimeMs;
  for (const name of readdirSync(path)) newest = Math.max(newest, newestMs(join(path, name)));
  return newest;
}

function isStale() {
  if (!existsSync(stamp)) return true;
  const builtAtMs = statSync(stamp).mtimeMs;
  return sources.some(
    (name) => existsSync(join(root, name)) && newestMs(join(root, name)) > builtAtMs,
  );
}

/** Builds if needed; ends the process with the compiler's exit code when that fails. */
export function buildIfStale(isForced = false) {
  if (!isForced && !isStale()) return;
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  if (!existsSync(compiler)) {
    console.error('The dependencies are not installed. Run `npm ci` first.');
    process.exit(1);
  }
  console.error('Building ...');
  const startedAt = new Date();
  rmSync(stamp, { force: true });
  const project = join(root, 'tsconfig.build.json');
  const { status } = spawnSync(process.execPath, [compiler, '-p', project], {
    cwd: root,
    // Standard output belongs to the log lines of the server that starts next.
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0) process.exit(status ?? 1);
  writeFileSync(stamp, `${startedAt.toISOString()}\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  buildIfStale(process.argv.includes('--force'));
}
