/**
 * The program that a function's process runs: plain JavaScript for `node --eval`, as it needs none
 * of the gateway's modules and must run from sources as well as from a build.
 *
 *     stdin   one line of JSON per call: { id, event, context }
 *     fd 3    one line of JSON per call: { id, isOk, detail, isBroken }
 *
 * Its arguments are the module's path and the id of the gateway's process. A thread of its own
 * watches whether that still lives: a function that never returns would not see its input end. It
 * kills the whole group, which is this process and what it started.
 */

/** Characters of an error that are reported. */
const DETAIL_CHARS_MAX = 200;

const WATCHDOG = `
const { workerData: gateway } = require('node:worker_threads');
setInterval(() => { if (process.ppid !== gateway) process.kill(0, 'SIGKILL'); }, 1000);
`;

export const FUNCTION_PROGRAM = `
'use strict';
const { writeSync, writeFileSync } = require('node:fs');
const { pathToFileURL } = require('node:url');
const { Worker } = require('node:worker_threads');

// Where memory runs out, the kernel is to choose this process and not the gateway.
try { writeFileSync('/proc/self/oom_score_adj', '1000'); } catch {}
const workerData = Number(process.argv[2]);
new Worker(${JSON.stringify(WATCHDOG)}, { eval: true, env: {}, workerData }).unref();

const loading = import(pathToFileURL(process.argv[1]).href).then((loaded) => {
  for (const place of [loaded, loaded.default ?? {}]) {
    for (const name of ['main_handler', 'handler']) {
      if (typeof place[name] === 'function') return place[name];
    }
  }
  if (typeof loaded.default === 'function') return loaded.default;
  throw new Error('the module has no function main_handler');
});
loading.catch(() => undefined);

function call(handler, event, context) {
  return new Promise((resolve, reject) => {
    const value = handler(event, context, (error) => (error == null ? resolve() : reject(error)));
    const isPromise = typeof value?.then === 'function';
    if (isPromise || handler.length < 3) Promise.resolve(value).then(resolve, reject);
  });
}

function textOf(error) {
  const text = error instanceof Error ? error.name + ': ' + error.message : String(error);
  return text.replace(/\\s+/g, ' ').slice(0, ${DETAIL_CHARS_MAX});
}

const reply = (answer) => writeSync(3, JSON.stringify(answer) + '\\n');

async function serve(line) {
  const { id, event, context } = JSON.parse(line);
  let handler;
  try {
    handler = await loading;
  } catch (error) {
    reply({ id, isOk: false, detail: textOf(error), isBroken: true });
    return;
  }
  try {
    await call(handler, event, context);
    reply({ id, isOk: true, detail: 'returned', isBroken: false });
  } catch (error) {
    reply({ id, isOk: false, detail: textOf(error), isBroken: false });
  }
}

// Not readline: it also ends lines where JSON has U+2028.
let pending = '';
process.stdin.setEncoding('utf8').on('data', (text) => {
  pending += text;
  const lines = pending.split('\\n');
  pending = lines.pop();
  for (const line of lines) void serve(line);
}).on('end', () => process.exit());
`;
