import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CallResult } from '../../../src/server/functions/function-process.ts';
import {
  FunctionRunner,
  type FunctionRunnerOptions,
} from '../../../src/server/functions/function-runner.ts';
import { FakeTimers } from '../../net/push/fake-timers.ts';

const EVENT = JSON.stringify({ Records: [{ CMQ: { msgBody: 'a\nb\u2028c\u2029d', msgId: '1' } }] });

let directory = '';
let logged: object[] = [];
const runners: FunctionRunner[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'functions-'));
  logged = [];
});

afterEach(async () => {
  for (const runner of runners.splice(0)) await runner.close();
  rmSync(directory, { recursive: true });
});

function createRunner(options: Partial<FunctionRunnerOptions> = {}): FunctionRunner {
  const runner = new FunctionRunner({
    directory,
    limits: { timeoutMs: 900_000, memoryBytes: 32 * 1024 * 1024 },
    concurrencyMax: 4,
    logger: { info: (fields) => logged.push(fields) },
    ...options,
  });
  runners.push(runner);
  return runner;
}

/** Writes functions; a text is the body of `main_handler`. */
function write(functions: Readonly<Record<string, string>>): void {
  for (const [name, body] of Object.entries(functions)) {
    const text = `export const main_handler = async (event, context) => { ${body} };\n`;
    writeFileSync(join(directory, `${name}.mjs`), text);
  }
}

function invoke(runner: FunctionRunner, name: string): Promise<CallResult> {
  return new Promise((resolve) => {
    runner.invoke({ name, makeEvent: () => EVENT, requestId: 'r1' }, resolve);
  });
}

const OK = { isOk: true, detail: 'returned' };
/** A function that writes what it got into a file. */
function recorder(file: string): string {
  return `const { writeFileSync } = await import('node:fs');
    writeFileSync(${JSON.stringify(file)}, JSON.stringify({ event, context, env: process.env }));`;
}

describe('what cannot be called', () => {
  test('a file that is a link to itself fails the call', async () => {
    symlinkSync('loop.mjs', join(directory, 'loop.mjs'));
    const failed = { isOk: false, detail: 'cannot be started (ELOOP)' };
    expect(await invoke(createRunner(), 'loop')).toEqual(failed);
  });

  test('an event that cannot be made fails the call, and starts nothing', async () => {
    write({ one: '' });
    const runner = createRunner();
    const makeEvent = (): never => {
      throw new RangeError('Invalid string length');
    };
    const result = await new Promise<CallResult>((resolve) => {
      runner.invoke({ name: 'one', makeEvent, requestId: 'r1' }, resolve);
    });
    expect(result).toEqual({ isOk: false, detail: 'cannot be started (no code)' });
    expect(runner.processCount).toBe(0);
  });
});

describe('a function', () => {
  test('gets the event and a context, and nothing of the environment', async () => {
    const file = join(directory, 'seen.json');
    write({ record: recorder(file) });
    process.env['PUSH_TEST_SECRET'] = 'do not leak';
    try {
      expect(await invoke(createRunner(), 'record')).toEqual(OK);
    } finally {
      delete process.env['PUSH_TEST_SECRET'];
    }
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({
      event: JSON.parse(EVENT),
      context: {
        request_id: 'r1',
        function_name: 'record',
        time_limit_in_ms: 900_000,
        memory_limit_in_mb: 32,
      },
      env: {},
    });
  });

  test.each([
    ['a default export', 'mjs', 'export default async () => undefined;'],
    ['handler', 'mjs', 'export function handler() {}'],
    ['CommonJS', 'js', 'exports.main_handler = async () => undefined;'],
    ['a callback', 'js', 'exports.main_handler = (event, context, done) => done(null, 1);'],
    ['a late callback', 'js', 'exports.main_handler = (e, c, done) => setImmediate(done);'],
  ])('may be %s', async (_what, extension, text) => {
    writeFileSync(join(directory, `f.${extension}`), text);
    expect(await invoke(createRunner(), 'f')).toEqual(OK);
  });

  test.each([
    [
      'throws',
      'export const handler = () => { throw new TypeError("no\\n good"); };',
      'TypeError: no good',
    ],
    ['rejects', 'export const handler = async () => { throw "just text"; };', 'just text'],
    [
      'calls back with an error',
      'export const handler = (e, c, done) => done(new Error("x"));',
      'Error: x',
    ],
    [
      'exports nothing',
      'export const other = 1;',
      'Error: the module has no function main_handler',
    ],
    ['cannot be read', 'export const = ;', "SyntaxError: Unexpected token '='"],
  ])('fails when it %s', async (_what, text, detail) => {
    writeFileSync(join(directory, 'f.mjs'), text);
    expect(await invoke(createRunner(), 'f')).toEqual({ isOk: false, detail });
  });

  test('that is not there fails', async () => {
    const runner = createRunner();
    const missing = { isOk: false, detail: 'no such function' };
    expect(await invoke(runner, 'nothing')).toEqual(missing);
    expect(await invoke(runner, '../nothing')).toEqual(missing);
    expect(runner.processCount).toBe(0);
  });

  test('keeps its process from call to call, also after an error', async () => {
    const text =
      'let n = 0; export const handler = () => { n += 1; throw new Error("call " + n); };';
    writeFileSync(join(directory, 'f.mjs'), text);
    const runner = createRunner();
    expect(await invoke(runner, 'f')).toEqual({ isOk: false, detail: 'Error: call 1' });
    expect(await invoke(runner, 'f')).toEqual({ isOk: false, detail: 'Error: call 2' });
    expect(runner.processCount).toBe(1);
  });

  test('is loaded again when its file changes', async () => {
    write({ f: 'throw new Error("old");' });
    const runner = createRunner();
    expect(await invoke(runner, 'f')).toEqual({ isOk: false, detail: 'Error: old' });
    write({ f: 'throw new Error("newer");' });
    expect(await invoke(runner, 'f')).toEqual({ isOk: false, detail: 'Error: newer' });
  });

  test('has its output logged, up to a limit', async () => {
    write({
      talk: 'console.log("hello\\nworld"); console.error("x".repeat(5000));',
      flood: 'for (;;) await new Promise((next) => process.stdout.write("y".repeat(1000), next));',
    });
    const runner = createRunner();
    expect(await invoke(runner, 'talk')).toEqual(OK);
    expect(await invoke(runner, 'flood')).toEqual({ isOk: false, detail: 'too much output' });
    expect(logged).toContainEqual({ function: 'talk', text: 'hello' });
    expect(logged).toContainEqual({ function: 'talk', text: 'world' });
    expect(logged).toContainEqual({ function: 'talk', text: 'x'.repeat(1_000) });
    expect(logged.length).toBeLessThan(110);
  });
});

describe('a function gone wrong', () => {
  const HOGS = {
    map: 'const map = new Map(); for (let i = 0; ; i += 1) map.set(i, i);',
    array: 'const list = []; for (let i = 0; ; i += 1) list.push(i + 0.5);',
    text: '"x".repeat(1e8).split("");',
    buffers: 'const all = []; for (;;) all.push(Buffer.alloc(1e6, 1));',
    shared:
      'const all = []; for (;;) all.push(new Uint8Array(new SharedArrayBuffer(1e6)).fill(1));',
  };

  test.each(Object.entries(HOGS))('hogging memory: %s', async (_what, body) => {
    write({ hog: body, good: '' });
    const runner = createRunner();
    const residentBytes = process.memoryUsage.rss();
    const [hog, good] = await Promise.all([invoke(runner, 'hog'), invoke(runner, 'good')]);
    expect(hog).toEqual({ isOk: false, detail: 'out of memory' });
    expect(good).toEqual(OK);
    expect(process.memoryUsage.rss() - residentBytes).toBeLessThan(200 * 1024 * 1024);
  });

  test.each([
    ['never returns', 'for (;;);'],
    ['never resolves', 'await new Promise((resolve) => setInterval(() => undefined, 1000));'],
    ['waits in the system', `(await import('node:child_process')).execSync('sleep 1000');`],
  ])('that %s ends at the time limit, and all it started', async (_what, body) => {
    const file = join(directory, 'started');
    const mark = `(await import('node:fs')).writeFileSync(${JSON.stringify(file)}, '');`;
    write({ slow: mark + body, good: '' });
    const timers = new FakeTimers();
    const runner = createRunner({ timers });
    const late = invoke(runner, 'slow');
    expect(await invoke(runner, 'good')).toEqual(OK);
    while (!existsSync(file)) await new Promise((resolve) => setImmediate(resolve));
    timers.advance(900_000);
    expect(await late).toEqual({ isOk: false, detail: 'no result within 900 s' });
    expect(await invoke(runner, 'good')).toEqual(OK);
  });

  test.each([
    ['exits', 'process.exit(3);', 'ended (3)'],
    ['aborts', 'process.abort();', 'ended (SIGABRT)'],
    ['kills itself', 'process.kill(process.pid, "SIGKILL"); for (;;);', 'ended (SIGKILL)'],
    [
      'has nothing left to wait for',
      'process.stdin.destroy(); await new Promise(() => undefined);',
      'ended (0)',
    ],
    [
      'throws later',
      'setImmediate(() => { throw 1; }); await new Promise(() => undefined);',
      'ended (1)',
    ],
  ])('that %s', async (_what, body, detail) => {
    write({ bad: body, good: '' });
    const runner = createRunner();
    expect(await invoke(runner, 'bad')).toMatchObject({ isOk: false });
    expect(await invoke(runner, 'bad')).toEqual({ isOk: false, detail });
    expect(await invoke(runner, 'good')).toEqual(OK);
  });

  test.each([
    ['is not there', '/nonexistent/node', 'ENOENT'],
    ['may not run', tmpdir(), 'EACCES'],
    // The system's other refusals, such as want of memory, are thrown.
    ['is refused', 'a\0b', 'ERR_INVALID_ARG_VALUE'],
  ])('whose program %s fails, and the next call is another try', async (_what, program, code) => {
    write({ good: '' });
    const runner = createRunner();
    const { execPath } = process;
    process.execPath = program;
    const results = await Promise.all(['good', 'good', 'good'].map((n) => invoke(runner, n)));
    process.execPath = execPath;
    const failed = { isOk: false, detail: `cannot be started (${code})` };
    expect(results).toEqual([failed, failed, failed]);
    expect(runner.processCount).toBe(0);
    expect(await invoke(runner, 'good')).toEqual(OK);
  });

  test('that answers for others, or without end, is ended', async () => {
    const answer = (text: string) =>
      `const fs = await import('node:fs'); fs.writeSync(3, ${text}); await new Promise(() => 0);`;
    write({
      other: answer(`'{"id":7,"isOk":true,"detail":"x"}\\n'`),
      garbage: answer(`'hello\\n'`),
      endless: answer(`'x'.repeat(10_000)`),
    });
    const runner = createRunner();
    const senseless = { isOk: false, detail: 'its answer makes no sense' };
    expect(await invoke(runner, 'other')).toEqual(senseless);
    expect(await invoke(runner, 'garbage')).toEqual(senseless);
    expect(await invoke(runner, 'endless')).toEqual(senseless);
  });
});

describe('bounds', () => {
  test('one function has half of the calls at a time, and others the rest', async () => {
    write({ slow: 'await new Promise((resolve) => setTimeout(resolve, 900_000));', good: '' });
    const runner = createRunner();
    const results: CallResult[] = [];
    const call = { name: 'slow', makeEvent: () => EVENT, requestId: 'r' };
    const handles = Array.from({ length: 5 }, () =>
      runner.invoke(call, (result) => results.push(result)),
    );
    expect(await invoke(runner, 'good')).toEqual(OK);
    expect(runner.processCount).toBe(3);
    for (const handle of handles) handle.abort();
    handles[0]!.abort();
    expect(await invoke(runner, 'good')).toEqual(OK);
    expect(results).toEqual([]);
  });

  test('idle processes make room for those of other functions', async () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    write(Object.fromEntries(names.map((name) => [name, ''])));
    const runner = createRunner({ concurrencyMax: 2 });
    for (const name of names) expect(await invoke(runner, name)).toEqual(OK);
    expect(runner.processCount).toBeLessThanOrEqual(3);
  });

  test('closing ends every process, without results', async () => {
    const file = join(directory, 'started');
    write({
      slow: `(await import('node:fs')).writeFileSync(${JSON.stringify(file)}, ''); for (;;);`,
      good: '',
    });
    const runner = createRunner();
    const results: CallResult[] = [];
    expect(await invoke(runner, 'good')).toEqual(OK);
    runner.invoke({ name: 'slow', makeEvent: () => EVENT, requestId: 'r' }, (result) =>
      results.push(result),
    );
    while (!existsSync(file)) await new Promise((resolve) => setImmediate(resolve));
    await runner.close();
    expect(runner.processCount).toBe(0);
    runner.invoke({ name: 'good', makeEvent: () => EVENT, requestId: 'r' }, (result) =>
      results.push(result),
    );
    expect(results).toEqual([]);
  });
});
