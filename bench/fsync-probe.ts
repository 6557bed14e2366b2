/** How long the disk takes to keep 4 KiB: the floor under every confirm. */
import { closeSync, fdatasyncSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';

export interface FsyncFigures {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const PROBE_BYTES = 4096;

/** Overwrites 4 KiB and calls fdatasync `count` times in a file of `directory`. */
export function probeFsync(directory: string, count = 300): FsyncFigures {
  const path = join(directory, `fsync-probe-${process.pid}`);
  const file = openSync(path, 'w');
  const block = Buffer.alloc(PROBE_BYTES, 1);
  const samples: number[] = [];
  try {
    // The first one also allocates the block.
    writeSync(file, block, 0, PROBE_BYTES, 0);
    fdatasyncSync(file);
    for (let index = 0; index < count; index += 1) {
      const startMs = performance.now();
      writeSync(file, block, 0, PROBE_BYTES, 0);
      fdatasyncSync(file);
      samples.push(performance.now() - startMs);
    }
  } finally {
    closeSync(file);
    unlinkSync(path);
  }
  samples.sort((a, b) => a - b);
  return { p50Ms: at(samples, 0.5), p99Ms: at(samples, 0.99) };
}

function at(sorted: readonly number[], quantile: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(quantile * sorted.length))] ?? 0;
}

/** Joins probes of one run: the middle p50 and the worst p99. */
export function joinFsync(probes: readonly FsyncFigures[]): FsyncFigures {
  const p50 = probes.map((probe) => probe.p50Ms).sort((a, b) => a - b);
  return { p50Ms: at(p50, 0.5), p99Ms: Math.max(0, ...probes.map((probe) => probe.p99Ms)) };
}
