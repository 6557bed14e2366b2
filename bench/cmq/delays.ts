/**
 * `node dist/bench/cmq/delays.js [--messages 1000000] [--spread 3600] [--lead 60] [--size 64] [--batch 16]`:
 * delayed messages with random due times, a kill -9, and what becomes of them: each must be
 * received once, not before its time and at most a second after it, while the gateway's memory
 * stays small.
 *
 * The messages of one batch are due together: with `--batch 1` each has a due time of its own.
 * Due times are spread over `spread` seconds that begin `lead` seconds after the start; sending and
 * restarting must be over by then.
 */
import { parseArgs } from 'node:util';
import { residentBytes } from '../load/process-stats.ts';
import { pause } from '../target.ts';
import { type CmqGateway, KEY, startCmq } from './broker.ts';
import { CmqLink, deleteAll, EMPTY, openLinks } from './cmq-link.ts';

const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '1000000' },
    spread: { type: 'string', default: '3600' },
    lead: { type: 'string', default: '60' },
    size: { type: 'string', default: '64' },
    batch: { type: 'string', default: '16' },
  },
});

const COUNT = Number(values.messages);
const SPREAD_SECONDS = Number(values.spread);
const LEAD_SECONDS = Number(values.lead);
const SIZE = Number(values.size);
const QUEUE = 'delayed';
const BATCH = Number(values.batch);
/** Messages a receiver asks for. */
const RECEIVED_MAX = 16;
const SENDERS = 64;
const RECEIVERS = 16;
const LATE_MS_MAX = 1_000;
const RESIDENT_BYTES_MAX = 400e6;
/** Seconds after the last due time at which what is missing is lost. */
const PATIENCE_SECONDS = 10;

type Phase = 'sending' | 'waiting' | 'receiving';

interface Sums {
  received: number;
  duplicates: number;
  early: number;
  late: number;
  /** Ms after the due time at which the latest came. */
  latestMs: number;
}

/** Wall ms at which the reply to each batch came; its messages are due by that plus the delay. */
const sentAtMs = new Float64Array(Math.ceil(COUNT / BATCH));
const startedAtMs = Date.now();

/** Bodies: number and delay in seconds; the delay counts from some time between the two given. */
function bodyOf(message: number, delaySeconds: number, fromMs: number): string {
  return `${message} ${delaySeconds} ${fromMs} `.padEnd(SIZE, '.');
}

async function send(port: number): Promise<void> {
  const links = await openLinks(port, KEY, SENDERS);
  let next = 0;
  const work = async (link: CmqLink): Promise<void> => {
    while (next < sentAtMs.length) {
      const batch = next;
      next += 1;
      const nowMs = Date.now();
      const dueAtMs = startedAtMs + (LEAD_SECONDS + Math.random() * SPREAD_SECONDS) * 1000;
      const delay = Math.max(0, Math.round((dueAtMs - nowMs) / 1000));
      const first = batch * BATCH;
      const count = Math.min(BATCH, COUNT - first);
      const bodies = Array.from(
        { length: count },
        (_, n) => [`msgBody.${n}`, bodyOf(first + n, delay, nowMs)] as const,
      );
      await link.ok('BatchSendMessage', [
        ['queueName', QUEUE],
        ['delaySeconds', String(delay)],
        ...bodies,
      ]);
      sentAtMs[batch] = Date.now();
    }
  };
  await Promise.all(links.map(work));
  for (const link of links) link.close();
}

function note(sums: Sums, seen: Uint8Array, body: string): void {
  const nowMs = Date.now();
  const [message, delay, fromMs] = body.split(' ', 3).map(Number) as [number, number, number];
  if (seen[message] === 1) sums.duplicates += 1;
  else sums.received += 1;
  seen[message] = 1;
  if (nowMs < fromMs + delay * 1000) sums.early += 1;
  const lateMs = nowMs - (sentAtMs[Math.floor(message / BATCH)]! + delay * 1000);
  if (lateMs > LATE_MS_MAX) sums.late += 1;
  sums.latestMs = Math.max(sums.latestMs, lateMs);
}

async function receive(port: number): Promise<Sums> {
  const sums: Sums = { received: 0, duplicates: 0, early: 0, late: 0, latestMs: 0 };
  const seen = new Uint8Array(COUNT);
  const links = await openLinks(port, KEY, RECEIVERS);
  const endMs = startedAtMs + (LEAD_SECONDS + SPREAD_SECONDS + PATIENCE_SECONDS) * 1000;
  const work = async (link: CmqLink): Promise<void> => {
    while (sums.received < COUNT && Date.now() < endMs) {
      const reply = await link.call('BatchReceiveMessage', [
        ['queueName', QUEUE],
        ['numOfMsg', String(RECEIVED_MAX)],
        ['pollingWaitSeconds', '2'],
      ]);
      if (reply.code === EMPTY) continue;
      const messages = reply.msgInfoList;
      if (messages === undefined) throw new Error(`${reply.code} ${reply.message}`);
      for (const { msgBody } of messages) note(sums, seen, msgBody);
      await deleteAll(link, QUEUE, messages);
    }
  };
  await Promise.all(links.map(work));
  for (const link of links) link.close();
  return sums;
}

async function delayedCount(port: number): Promise<number> {
  const link = await CmqLink.open(port, KEY);
  const reply = await link.ok('GetQueueAttributes', [['queueName', QUEUE]]);
  link.close();
  return Number(reply['delayMsgNum']);
}

function verdict(what: string, isReached: boolean): boolean {
  console.log(`${what}: ${isReached ? 'reached' : 'MISSED'}`);
  return isReached;
}

async function run(first: CmqGateway): Promise<boolean> {
  const peaks: Record<Phase, number> = { sending: 0, waiting: 0, receiving: 0 };
  let phase: Phase = 'sending';
  let { gateway } = first;
  const watch = setInterval(() => {
    peaks[phase] = Math.max(peaks[phase], residentBytes(gateway.pid).total);
  }, 250);
  const admin = await CmqLink.open(first.port, KEY);
  await admin.ok('CreateQueue', [['queueName', QUEUE]]);
  admin.close();
  await send(first.port);
  const seconds = (Date.now() - startedAtMs) / 1000;
  console.log(`${COUNT} delayed messages sent in ${seconds.toFixed(1)} s`);
  await gateway.kill();
  const second = await startCmq({ directory: gateway.directory });
  ({ gateway } = second);
  phase = 'waiting';
  try {
    const restartSeconds = gateway.startMs / 1000;
    const left = LEAD_SECONDS - (Date.now() - startedAtMs) / 1000;
    const survived = await delayedCount(second.port);
    const memory = residentBytes(gateway.pid).total / 1e6;
    console.log(`restarted in ${restartSeconds.toFixed(1)} s, ${memory.toFixed(0)} MB`);
    if (left < 0) throw new Error(`not ready in time: --lead must be ${-left} s longer`);
    const isWhole = verdict(`${survived} of ${COUNT} survived kill -9`, survived === COUNT);
    await pause(Math.max(0, startedAtMs + LEAD_SECONDS * 1000 - Date.now()));
    phase = 'receiving';
    const sums = await receive(second.port);
    await pause(500);
    const { received, duplicates, early, late, latestMs } = sums;
    const isAll = verdict(
      `${received} received, ${duplicates} of them more than once, ${early} early`,
      received === COUNT && duplicates === 0 && early === 0,
    );
    const latest = `latest ${latestMs.toFixed(0)} ms after its time, ${LATE_MS_MAX} allowed`;
    const isPunctual = verdict(`${latest} (${late} later)`, late === 0);
    let isSmall = true;
    for (const [name, bytes] of Object.entries(peaks)) {
      const peak = `memory while ${name} at most ${(bytes / 1e6).toFixed(0)} MB, 400 allowed`;
      isSmall = verdict(peak, bytes < RESIDENT_BYTES_MAX) && isSmall;
    }
    return isSmall && isWhole && isAll && isPunctual;
  } finally {
    clearInterval(watch);
    await gateway.stop();
    gateway.remove();
  }
}

process.exitCode = (await run(await startCmq())) ? 0 : 1;
