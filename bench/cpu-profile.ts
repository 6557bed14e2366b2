/**
 * Where the main thread of a gateway spent its time: V8's sampling profiler over its whole life,
 * printed as self time by function and by file, and the share it was idle.
 */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CommonResult } from './load/report.ts';

const TOP_FUNCTIONS = 40;

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

/** A directory for the profile, and the flags with which Node writes it there. */
export class CpuProfiling {
  readonly #directory: string;

  constructor() {
    this.#directory = mkdtempSync(join(tmpdir(), 'tributary-profile-'));
  }

  get nodeFlags(): string[] {
    return ['--cpu-prof', `--cpu-prof-dir=${this.#directory}`, '--cpu-prof-interval', '500'];
  }

  /** Prints the profile of the process, which has ended, and removes it. */
  print(rows = TOP_FUNCTIONS): void {
    const file = readdirSync(this.#directory).find((name) => name.endsWith('.cpuprofile'));
    if (file === undefined) throw new Error('the gateway wrote no profile');
    const text = readFileSync(join(this.#directory, file), 'utf8');
    report(JSON.parse(text) as CpuProfile, rows);
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** What a scenario came to, on one line. */
export function printRates(title: string, result: CommonResult): void {
  console.log(
    `${title}: published ${Math.round(result.publishedPerSecond)}/s, ` +
      `confirmed ${Math.round(result.confirmedPerSecond)}/s, ` +
      `delivered ${Math.round(result.deliveredPerSecond)}/s, ` +
      `server ${result.serverCores.toFixed(2)} cores, ` +
      `generator ${result.generatorCores.toFixed(2)}`,
  );
}

function shortUrl(url: string): string {
  return url.replace(/^.*\/dist\//, '').replace(/^.*\/node_modules\//, '');
}

function print(
  title: string,
  times: ReadonlyMap<string, number>,
  totalUs: number,
  rows: number,
): void {
  console.log(`\n${title}`);
  const sorted = [...times].sort((a, b) => b[1] - a[1]);
  for (const [name, us] of sorted.slice(0, rows)) {
    console.log(`${((us / totalUs) * 100).toFixed(1).padStart(6)} %  ${name}`);
  }
}

function report(profile: CpuProfile, rows: number): void {
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
  print('self time by function', byFunction, totalUs, rows);
  print('self time by file', byFile, totalUs, rows);
}
