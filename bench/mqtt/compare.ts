/**
 * `node dist/bench/mqtt/compare.js --peer mqtt://127.0.0.1:1886 --peer mqtt://127.0.0.1:1884`:
 * ours and the peers in turn, the same generator, the same machine, the same minutes. Prints
 * Markdown tables: rates with ratios and targets, then idle connections.
 *
 * Ours is started afresh for each run on an empty data directory.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type FsyncFigures, joinFsync, probeFsync } from '../fsync-probe.ts';
import { identify, type Peer, startOurs } from './broker.ts';
import { type ConnectionResult, DEFAULT_CONNECTIONS, runConnections } from './connections.ts';
import { DEFAULT_MQTT_LOAD, type MqttLoadResult, runMqttLoad } from './load.ts';
import { MQTT_SCENARIOS, type MqttScenario } from './scenarios.ts';

const USAGE = `usage: compare [options]
  --peer URL      mqtt://user:password@host:port, once per peer
  --seconds N     measured time of a run (10)
  --runs N        of which the median is taken (3)
  --only A,B      scenarios: ${MQTT_SCENARIOS.map(({ name }) => name).join(', ')}, connections
  --connections N idle connections (${DEFAULT_CONNECTIONS.count}; 0: none)`;

interface CompareOptions {
  readonly peers: readonly string[];
  readonly seconds: number;
  readonly runs: number;
  readonly only: readonly string[];
  readonly connections: number;
}

/** Rates of one scenario; index 0 is ours, then the peers in order. */
interface Row {
  readonly scenario: MqttScenario;
  readonly rates: number[][];
  missing: number;
}

function options(): CompareOptions | undefined {
  const { values } = parseArgs({
    options: {
      peer: { type: 'string', multiple: true },
      seconds: { type: 'string' },
      runs: { type: 'string' },
      only: { type: 'string' },
      connections: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values.help === true) return undefined;
  return {
    peers: values.peer ?? [],
    seconds: Number(values.seconds ?? 10),
    runs: Number(values.runs ?? 3),
    only: values.only === undefined ? [] : values.only.split(','),
    connections: Number(values.connections ?? DEFAULT_CONNECTIONS.count),
  };
}

async function runOurs(scenario: MqttScenario, seconds: number): Promise<MqttLoadResult> {
  const ours = await startOurs();
  try {
    return await runMqttLoad({
      ...DEFAULT_MQTT_LOAD,
      ...scenario.load,
      url: ours.url,
      serverPid: ours.gateway.pid,
      durationSeconds: seconds,
    });
  } finally {
    await ours.close();
  }
}

function note(row: Row, column: number, name: string, result: MqttLoadResult): void {
  row.rates[column]!.push(result.deliveredPerSecond);
  if (column === 0) row.missing += result.missing;
  process.stderr.write(
    `${row.scenario.name} ${name}: ${Math.round(result.deliveredPerSecond)}/s, ` +
      `server ${result.serverCores.toFixed(2)} cores, ` +
      `generator ${result.generatorCores.toFixed(2)}, missing ${result.missing}\n`,
  );
}

async function runRow(row: Row, peers: readonly Peer[], seconds: number): Promise<void> {
  note(row, 0, 'ours', await runOurs(row.scenario, seconds));
  for (const [index, peer] of peers.entries()) {
    try {
      const result = await runMqttLoad({
        ...DEFAULT_MQTT_LOAD,
        ...row.scenario.load,
        url: peer.url,
        serverPid: peer.pid,
        durationSeconds: seconds,
      });
      note(row, index + 1, peer.name, result);
    } catch (error) {
      process.stderr.write(`${row.scenario.name} ${peer.name}: ${String(error)}\n`);
    }
  }
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

function printRates(
  rows: readonly Row[],
  peers: readonly Peer[],
  ours: string,
  fsync: FsyncFigures,
  chosen: CompareOptions,
): void {
  console.log(
    `${ours} against ${peers.map((peer) => peer.name).join(' and ') || 'nobody'}, ` +
      `${cpus().length} cores (${cpus()[0]?.model ?? '?'}), Node ${process.versions.node}; ` +
      `median of ${chosen.runs} runs of ${chosen.seconds} s, ` +
      `fdatasync of 4 KiB p50 ${fsync.p50Ms.toFixed(3)} ms, p99 ${fsync.p99Ms.toFixed(3)} ms.\n`,
  );
  const heads = peers.map((peer) => ` ${peer.name} /s | ratio |`).join('');
  console.log(`| scenario | ours /s |${heads} target | met |`);
  console.log(`|---|---:|${peers.map(() => '---:|---:|').join('')}---|---|`);
  for (const row of rows) {
    const [own = Number.NaN, ...others] = row.rates.map(median);
    const cells = others.map((rate) => ` ${perSecond(rate)} | ${ratio(own / rate)} |`).join('');
    const { target } = row.scenario;
    const at = peers.findIndex((peer) => peer.kind === target?.peer);
    const met = target === undefined || at < 0 ? Number.NaN : own / others[at]! / target.ratio;
    const verdict = Number.isNaN(met) ? '' : met >= 1 ? 'yes' : 'no';
    const wanted = target === undefined ? '' : `${target.ratio}x ${target.peer}`;
    console.log(`| ${row.scenario.title} | ${perSecond(own)} |${cells} ${wanted} | ${verdict} |`);
  }
  const missing = rows.reduce((total, row) => total + row.missing, 0);
  console.log(
    '\nRates are deliveries. Ours acknowledges a QoS 1 message for a persistent session after ' +
      'fdatasync; RabbitMQ after handing it to the operating system; Mosquitto keeps it in memory. ' +
      `Messages of ours that did not arrive, all runs: ${missing}.`,
  );
}

async function compareConnections(peers: readonly Peer[], count: number): Promise<void> {
  const rows: [string, ConnectionResult][] = [];
  const ours = await startOurs();
  try {
    rows.push([
      'ours',
      await runConnections({
        ...DEFAULT_CONNECTIONS,
        count,
        url: ours.url,
        serverPid: ours.gateway.pid,
      }),
    ]);
  } finally {
    await ours.close();
  }
  for (const peer of peers) {
    const { url, pid: serverPid } = peer;
    rows.push([peer.name, await runConnections({ ...DEFAULT_CONNECTIONS, count, url, serverPid })]);
  }
  console.log(`\n${count} connections, keep-alive ${DEFAULT_CONNECTIONS.keepAliveSeconds} s:\n`);
  console.log('| broker | accepted /s | bytes each | idle, % of a core | lost |');
  console.log('|---|---:|---:|---:|---:|');
  for (const [name, result] of rows) {
    console.log(
      `| ${name} | ${perSecond(result.acceptedPerSecond)} | ${perSecond(result.bytesEach)} | ` +
        `${(result.idleCores * 100).toFixed(1)} | ${result.lost} |`,
    );
  }
  console.log('\nWanted: 1,000 accepted per second, below 15,000 bytes each, below 5 % of a core.');
}

async function main(chosen: CompareOptions): Promise<void> {
  const isWanted = (name: string): boolean =>
    chosen.only.length === 0 || chosen.only.includes(name);
  const peers: Peer[] = [];
  for (const url of chosen.peers) peers.push(await identify(url));
  const rows: Row[] = MQTT_SCENARIOS.filter(({ name }) => isWanted(name)).map((scenario) => ({
    scenario,
    rates: [[], ...peers.map(() => [])],
    missing: 0,
  }));
  const fsyncProbes: FsyncFigures[] = [];
  const probeDirectory = mkdtempSync(join(tmpdir(), 'tributary-fsync-'));
  for (let run = 0; run < chosen.runs; run += 1) {
    for (const row of rows) {
      fsyncProbes.push(probeFsync(probeDirectory));
      await runRow(row, peers, chosen.seconds);
    }
  }
  rmSync(probeDirectory, { recursive: true, force: true });
  if (rows.length > 0) printRates(rows, peers, 'Tributary', joinFsync(fsyncProbes), chosen);
  if (chosen.connections > 0 && isWanted('connections')) {
    await compareConnections(peers, chosen.connections);
  }
}

const chosen = options();
if (chosen === undefined) console.log(USAGE);
else await main(chosen);
