// One line per check on standard output, shared by the JavaScript clients.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

export const url = process.env.AMQP_URL ?? 'amqp://guest:guest@127.0.0.1:5672/%2F';
export const largeBytes = Number(process.env.LARGE_MESSAGE_BYTES ?? 20 * 1024 * 1024);
const checkTimeoutMs = 30_000;
let failures = 0;

/** A name that no other run uses. */
export function unique(label) {
  return `clients.${label}.${process.pid}.${Math.random().toString(36).slice(2, 8)}`;
}

/** Runs one check and reports it; a check that throws SKIP is reported as skipped. */
export async function check(name, run) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error('timed out')), checkTimeoutMs);
  });
  try {
    await Promise.race([run(), late]);
    console.log(`ok ${name}`);
  } catch (error) {
    if (error === SKIP) console.log(`skip ${name}`);
    else {
      failures += 1;
      console.log(`not ok ${name}: ${String(error?.stack ?? error).split('\n').slice(0, 3).join(' | ')}`);
    }
  } finally {
    clearTimeout(timer);
  }
}

export const SKIP = Symbol('skip');

/** Ends the process with the verdict; open sockets of failed checks do not keep it alive. */
export function finish() {
  process.exit(failures === 0 ? 0 : 1);
}

/** Restarts the broker when the runner owns it; otherwise the check is skipped. */
export async function restartBroker() {
  const command = process.env.RESTART_COMMAND;
  if (!command) throw SKIP;
  await promisify(execFile)(command, ['restart']);
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Polls until `probe` gives a truthy value. */
export async function eventually(probe, what, timeoutMs = 10_000) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`never happened: ${what}`);
    await sleep(20);
  }
}
