/**
 * `npm run bench -- --peer amqp://guest:guest@127.0.0.1:5673`: ours and a peer in turn, the same
 * generator, the same machine, the same minutes. Prints a Markdown table.
 *
 * Each scenario runs ours, the peer, and the peer's quorum queues, then again, `--runs` times; the
 * medians are compared. Ours is started afresh for each run on an empty data directory.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type FsyncFigures, joinFsync, probeFsync } from './fsync-probe.ts';
import { Gateway } from './gateway.ts';
import { DEFAULT_LOAD, type LoadResult, runLoad } from './load/load.ts';
import { pidListeningOn, residentBytes } from './load/process-stats.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';

interface CompareOptions {
  readonly peer: string | undefined;
  readonly seconds: number;
  readonly runs: number;
  readonly only: readonly string[];
  readonly withQuorum: boolean;
}

type Column = 'ours' | 'peer' | 'quorum';

/** Rates and remarks of one scenario, by column. */
interface Row {
  readonly scenario: Scenario;
  readonly rates: Record<Column, number[]>;
  readonly serverCores: Record<Column, number[]>;
  unaccounted: number;
}

function options(): CompareOptions {
  const { values } = parseArgs({
    options: {
      peer: { type: 'string' },
      seconds: { type: 'string' },
      runs: { type: 'string' },
      only: { type: 'string' },
      'no-quorum': { type: 'boolean' },
    },
  });
  return {
    peer: values.peer,
    seconds: Number(values.seconds ?? 10),
    runs: Number(values.runs ?? 3),
    only: values.only === undefined ? [] : values.only.split(','),
    withQuorum: values['no-quorum'] !== true,
  };
}

async function runOurs(
  scenario: Scenario,
  seconds: number,
): Promise<{ result: LoadResult; version: string }> {
  const gateway = await Gateway.start();
  try {
    const result = await runLoad({
      ...DEFAULT_LOAD,
      ...scenario.load,
      url: gateway.url,
      serverPid: gateway.pid,
      durationSeconds: seconds,
    });
    return { result, version: gateway.version };
  } finally {
    await gateway.stop();
    gateway.remove();
  }
}

function runPeer(
  scenario: Scenario,
  url: string,
  seconds: number,
  queueType: 'classic' | 'quorum',
): Promise<LoadResult> {
  return runLoad({
    ...DEFAULT_LOAD,
    ...scenario.load,
    url,
    queueType,
    durationSeconds: seconds,
  });
}

function note(row: Row, column: Column, result: LoadResult): void {
  const rate =
    row.scenario.figure === 'delivered' ? result.deliveredPerSecond : result.confirmedPerSecond;
  row.rates[column].push(rate);
  row.serverCores[column].push(result.serverCores);
  if (column === 'ours') row.unaccounted += Math.abs(result.unaccounted);
  process.stderr.write(
    `${row.scenario.name} ${column}: ${Math.round(rate)}/s, ` +
      `server ${result.serverCores.toFixed(2)} cores, ` +
      `generator ${result.generatorCores.toFixed(2)}, unaccounted ${result.unaccounted}\n`,
  );
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function perSecond(value: number): string {
  return Number.isNaN(value) ? '–' : Math.round(value).toLocaleString('en');
}

function ratio(value: number): string {
  return Number.isNaN(value) ? '–' : `${value.toFixed(2)}x`;
}

function printTable(
  rows: readonly Row[],
  names: { ours: string; peer: string },
  fsync: FsyncFigures,
  chosen: CompareOptions,
): void {
  console.log(
    `${names.ours} against ${names.peer}, ${cpus().length} cores (${cpus()[0]?.model ?? '?'}), ` +
      `Node ${process.versions.node}; median of ${chosen.runs} runs of ${chosen.seconds} s, ` +
      `fdatasync of 4 KiB p50 ${fsync.p50Ms.toFixed(3)} ms, p99 ${fsync.p99Ms.toFixed(3)} ms.\n`,
  );
  console.log('| scenario | ours /s | peer classic /s | ratio | target | peer quorum /s | ratio |');
  console.log('|---|---:|---:|---:|---:|---:|---:|');
  for (const row of rows) {
    const ours = median(row.rates.ours);
    const peer = median(row.rates.peer);
    const quorum = median(row.rates.quorum);
    const target = row.scenario.targetRatio === 0 ? '' : `${row.scenario.targetRatio}x`;
    console.log(
      `| ${row.scenario.title} | ${perSecond(ours)} | ${perSecond(peer)} | ` +
        `${ratio(ours / peer)} | ${target} | ${perSecond(quorum)} | ${ratio(ours / quorum)} |`,
    );
  }
  console.log(
    '\nOurs has every confirmed message on disk (fdatasync before the confirm). RabbitMQ’s ' +
      'classic queue confirms after handing the message to the operating system, without fsync; ' +
      'its quorum queue syncs first.',
  );
  const lost = rows.reduce((total, row) => total + row.unaccounted, 0);
  console.log(`\nMessages of ours not accounted for, all runs: ${lost}.`);
  const one = rows.find((row) => row.scenario.name === 'one-queue');
  const hundred = rows.find((row) => row.scenario.name === 'hundred-queues');
  if (one !== undefined && hundred !== undefined) {
    const share = median(hundred.rates.ours) / median(one.rates.ours);
    console.log(`\n100 queues reach ${share.toFixed(2)} of one queue (ours).`);
  }
}

async function idleMegabytes(): Promise<number> {
  const gateway = await Gateway.start();
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const bytes = residentBytes(gateway.pid).total;
  await gateway.stop();
  gateway.remove();
  return bytes / 1e6;
}

async function main(): Promise<void> {
  const chosen = options();
  const scenarios = SCENARIOS.filter(
    (scenario) => chosen.only.length === 0 || chosen.only.includes(scenario.name),
  );
  const rows: Row[] = scenarios.map((scenario) => ({
    scenario,
    rates: { ours: [], peer: [], quorum: [] },
    serverCores: { ours: [], peer: [], quorum: [] },
    unaccounted: 0,
  }));
  const names = { ours: 'tributary', peer: 'no peer' };
  const fsyncProbes: FsyncFigures[] = [];
  const probeDirectory = mkdtempSync(join(tmpdir(), 'tributary-fsync-'));
  for (let run = 0; run < chosen.runs; run += 1) {
    for (const row of rows) {
      fsyncProbes.push(probeFsync(probeDirectory));
      const ours = await runOurs(row.scenario, chosen.seconds);
      note(row, 'ours', ours.result);
      names.ours = `Tributary ${ours.version}`;
      if (chosen.peer === undefined) continue;
      const peer = await runPeer(row.scenario, chosen.peer, chosen.seconds, 'classic');
      note(row, 'peer', peer);
      names.peer = `${peer.server.product} ${peer.server.version}`;
      if (!chosen.withQuorum) continue;
      note(row, 'quorum', await runPeer(row.scenario, chosen.peer, chosen.seconds, 'quorum'));
    }
  }
  rmSync(probeDirectory, { recursive: true, force: true });
  printTable(rows, names, joinFsync(fsyncProbes), chosen);
  console.log(`\nIdle resident memory of ours: ${(await idleMegabytes()).toFixed(1)} MB.`);
  const peerPid =
    chosen.peer === undefined ? undefined : pidListeningOn(Number(new URL(chosen.peer).port));
  if (peerPid !== undefined) {
    const megabytes = residentBytes(peerPid).total / 1e6;
    console.log(`Resident memory of the peer after the runs: ${megabytes.toFixed(1)} MB.`);
  }
}

await main();
