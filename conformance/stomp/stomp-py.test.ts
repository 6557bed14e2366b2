/** stomp.py, when STOMP_PYTHON names a Python that has it (`pip install stomp.py`). */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { ServerProcess } from '../support/server-process.ts';

const PYTHON = process.env['STOMP_PYTHON'];

test.skipIf(PYTHON === undefined)('stomp.py, all versions', async () => {
  const server = await ServerProcess.start({ args: ['--stomp-port', '0'] });
  try {
    const script = path.join(import.meta.dirname, 'stomp_py_checks.py');
    const port = String(server.port('stomp'));
    const { stdout } = await promisify(execFile)(PYTHON!, [script, port], { timeout: 100_000 });
    expect(stdout).toContain('all is well');
  } finally {
    await server.stop();
    await server.dispose();
  }
});
