/**
 * `node dist/bench/profile.js [SCENARIO] [--seconds 8]`: runs one scenario against the gateway
 * under V8's sampling profiler and prints where its main thread spent its time: self time by
 * function and by file, garbage collection and idle share.
 */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Gateway } from './gateway.ts';
import { DEFAULT_LOAD, runLoad } from './load/load.ts';
import { SCENARIOS } from './scenarios.ts';

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

const TOP_FUNCTIONS = 40;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string' },
    top: { type: 'string' },
  },
});

function shortUrl(url: string): string {
  return url.replace(/^.*\/dist\//, '').replace(/^.*\/node_modules\//, '');
}

function print(title: string, times: ReadonlyMap<string, number>, totalUs: number): void {
  console.log(`\n${title}`);
  const sorted = [...times].sort((a, b) => b[1] - a[1]);
  for (const [name, us] of sorted.slice(0, Number(values.top ?? TOP_FUNCTIONS))) {
    console.log(`${((us / totalUs) * 100).toFixed(1).padStart(6)} %  ${name}`);
  }
}

function report(profile: CpuProfile): void {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node.callFrame]));
  const byFunction = new Map<string, number>();
  const byFile = new Map<string, number>();
  let totalUs = 0;
  let idleUs = 0;
  for (const [index, id] of profile.samples.entries()) {
    const us = profile.timeDeltas[index] ?? 0;
    const frame = nodes.get(id);
    if (frame === undefined) continue;
    if (frame.functionName === '(idle)') {
      idleUs += us;
      continue;
    }
    totalUs += us;
    const url = shortUrl(frame.url);
    const name = `${frame.functionName || '(anonymous)'} ${url}:${frame.lineNumber + 1}`;
    byFunction.set(name, (byFunction.get(name) ?? 0) + us);
    byFile.set(url, (byFile.get(url) ?? 0) + us);
  }
  const wallUs = totalUs + idleUs;
  console.log(
    `main thread busy ${((totalUs / wallUs) * 100).toFixed(0)} % of ${(wallUs / 1e6).toFixed(1)} s`,
  );
  print('self time by function', byFunction, totalUs);
  print('self time by file', byFile, totalUs);
}

const scenario = SCENARIOS.find((one) => one.name === (positionals[0] ?? 'transient-16'));
if (scenario === undefined) {
  throw new Error(`no such scenario; there are ${SCENARIOS.map((one) => one.name).join(', ')}`);
}
const profileDirectory = mkdtempSync(join(tmpdir(), 'tributary-profile-'));
const gateway = await Gateway.start({
  nodeFlags: ['--cpu-prof', `--cpu-prof-dir=${profileDirectory}`, '--cpu-prof-interval', '500'],
});
try {
  const result = await runLoad({
    ...DEFAULT_LOAD,
    ...scenario.load,
    url: gateway.url,
    serverPid: gateway.pid,
    durationSeconds: Number(values.seconds ?? 8),
  });
  console.log(
    `${scenario.title}: published ${Math.round(result.publishedPerSecond)}/s, ` +
      `confirmed ${Math.round(result.confirmedPerSecond)}/s, ` +
      `delivered ${Math.round(result.deliveredPerSecond)}/s, ` +
      `server ${result.serverCores.toFixed(2)} cores, ` +
      `generator ${result.generatorCores.toFixed(2)}`,
  );
} finally {
  await gateway.stop();
  gateway.remove();
}
const file = readdirSync(profileDirectory).find((name) => name.endsWith('.cpuprofile'));
if (file === undefined) throw new Error('the gateway wrote no profile');
report(JSON.parse(readFileSync(join(profileDirectory, file), 'utf8')) as CpuProfile);
rmSync(profileDirectory, { recursive: true, force: true });
