import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';

test('the package has what runs, and nothing of the build', () => {
  const directory = fs.mkdtempSync(join(tmpdir(), 'tributary-package-'));
  try {
    fs.copyFileSync(
      join(import.meta.dirname, '../../package.json'),
      join(directory, 'package.json'),
    );
    const wanted = [
      'dist/src/main.js',
      'dist/protocols/cmq/codes.js',
      'docs/CMQ.md',
      // The README and the documents refer to these.
      'protocols/cmq/README.md',
      'README.md',
    ];
    const others = ['dist/.built', 'dist/src/main.d.ts', 'dist/src/main.js.map', 'dist/bench/x.js'];
    for (const path of [
      ...wanted,
      ...others,
      'src/main.ts',
      'protocols/cmq/form.ts',
      'test/a.test.ts',
    ]) {
      fs.mkdirSync(dirname(join(directory, path)), { recursive: true });
      fs.writeFileSync(join(directory, path), '');
    }
    const args = ['pack', '--dry-run', '--ignore-scripts', '--json'];
    const { stdout } = spawnSync('npm', args, { cwd: directory, encoding: 'utf8' });
    const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }];
    expect(files.map(({ path }) => path).sort()).toEqual([...wanted, 'package.json'].sort());
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
});
