/**
 * `node dist/bench/mqtt/profile.js [SCENARIO] [--seconds 8] [--top 40]`: runs one MQTT scenario
 * against the gateway under V8's sampling profiler and prints where its main thread spent its
 * time: self time by function and by file, and the idle share.
 */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startOurs } from './broker.ts';
import { DEFAULT_MQTT_LOAD, runMqttLoad } from './load.ts';
import { MQTT_SCENARIOS } from './scenarios.ts';

/** The parts of V8's .cpuprofile that are read here. */
interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      readonly lineNumber: number;
    };
  }[];
  readonly samples: readonly number[];
  /** Microseconds since the sample before. */
  readonly timeDeltas: readonly number[];
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string' }, top: { type: 'string' } },
});

function add(times: Map<string, number>, name: string, us: number): void {
  times.set(name, (times.get(name) ?? 0) + us);
}

function print(title: string, times: ReadonlyMap<string, number>, totalUs: number): void {
  console.log(`\n${title}`);
  const sorted = [...times].sort((a, b) => b[1] - a[1]);
  for (const [name, us] of sorted.slice(0, Number(values.top ?? 40))) {
    console.log(`${((us / totalUs) * 100).toFixed(1).padStart(6)} %  ${name}`);
  }
}

function report(profile: CpuProfile): void {
  const frames = new Map(profile.nodes.map((node) => [node.id, node.callFrame]));
  const byFunction = new Map<string, number>();
  const byFile = new Map<string, number>();
  let busyUs = 0;
  let idleUs = 0;
  for (const [index, id] of profile.samples.entries()) {
    const us = profile.timeDeltas[index] ?? 0;
    const frame = frames.get(id);
    if (frame === undefined) continue;
    if (frame.functionName === '(idle)') {
      idleUs += us;
      continue;
    }
    busyUs += us;
    const url = frame.url.replace(/^.*\/dist\//, '').replace(/^.*\/node_modules\//, '');
    const name = frame.functionName || '(anonymous)';
    add(byFunction, `${name} ${url}:${frame.lineNumber + 1}`, us);
    add(byFile, url, us);
  }
  const share = (busyUs / (busyUs + idleUs)) * 100;
  console.log(
    `main thread busy ${share.toFixed(0)} % of ${((busyUs + idleUs) / 1e6).toFixed(1)} s`,
  );
  print('self time by function', byFunction, busyUs);
  print('self time by file', byFile, busyUs);
}

const scenario = MQTT_SCENARIOS.find((one) => one.name === (positionals[0] ?? 'qos0-16'));
if (scenario === undefined) {
  throw new Error(
    `no such scenario; there are ${MQTT_SCENARIOS.map(({ name }) => name).join(', ')}`,
  );
}
const profileDirectory = mkdtempSync(join(tmpdir(), 'tributary-profile-'));
const ours = await startOurs({
  nodeFlags: ['--cpu-prof', `--cpu-prof-dir=${profileDirectory}`, '--cpu-prof-interval', '500'],
});
try {
  const result = await runMqttLoad({
    ...DEFAULT_MQTT_LOAD,
    ...scenario.load,
    url: ours.url,
    serverPid: ours.gateway.pid,
    durationSeconds: Number(values.seconds ?? 8),
  });
  console.log(
    `${scenario.title}: published ${Math.round(result.publishedPerSecond)}/s, ` +
      `delivered ${Math.round(result.deliveredPerSecond)}/s, ` +
      `server ${result.serverCores.toFixed(2)} cores, ` +
      `generator ${result.generatorCores.toFixed(2)}`,
  );
} finally {
  await ours.close();
}
const file = readdirSync(profileDirectory).find((name) => name.endsWith('.cpuprofile'));
if (file === undefined) throw new Error('the gateway wrote no profile');
report(JSON.parse(readFileSync(join(profileDirectory, file), 'utf8')) as CpuProfile);
rmSync(profileDirectory, { recursive: true, force: true });
