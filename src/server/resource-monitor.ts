/**
 * Watches memory and disk, and raises the alarms that block publishers while consumers drain.
 * Coarse on purpose: a sample costs microseconds, and what happens between two is bounded by the
 * limits on connections and the commit backlog.
 */
import { statfs } from 'node:fs/promises';
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Logger } from '../base/logger.ts';
import { lastKnown } from './last-known.ts';
import { MemoryWatch } from './memory-watch.ts';

/** Where the figures come from; replaced in tests. */
export interface ResourceProbe {
  residentBytes(): number;
  /** Bytes of the JavaScript heap and of buffers, garbage included. */
  knownBytes(): number;
  /** Share of what the JavaScript heap may grow to that is live, 0 to 1. */
  heapShare(): number;
  /** Collects all garbage now. */
  collect(): void;
  /** Sets whether garbage is collected early, for some more CPU time. */
  setThrift(isThrifty: boolean): void;
  diskFreeBytes(directory: string): Promise<number>;
  close(): void;
}

export interface ResourceLimits {
  readonly directory: string;
  readonly memoryLimitBytes: number;
  readonly diskFreeLimitBytes: number;
}

/** Told about every change. */
export type SetAlarm = (name: 'memory' | 'disk', isOn: boolean) => void;

const MEMORY_INTERVAL_MS = 500;
const DISK_INTERVAL_MS = 5_000;
/** Near the limit a fast disk fills 256 MiB in half a second. */
const DISK_NEAR_INTERVAL_MS = 250;
const DISK_NEAR_FACTOR = 8;
/** Garbage allowed beside what lives in a thrifty heap; V8 by itself decides for up to 300. */
const THRIFTY_GROWTH_PERCENT = 50;
/** An alarm ends with this much more room than its limit, so that it does not flap. */
const RELEASE_SHARE = 0.95;

/**
 * The operating system's and V8's figures. Live means after a full collection: in between, garbage
 * may fill the heap to its limit in all health, and would never go while publishers are blocked.
 */
export class SystemProbe implements ResourceProbe {
  readonly #observer: PerformanceObserver;
  readonly #resident: () => number;
  readonly #usage: () => NodeJS.MemoryUsage;
  #liveBytes: number;
  #gc: (() => void) | undefined;

  constructor() {
    this.#resident = lastKnown(() => process.memoryUsage.rss());
    this.#usage = lastKnown(() => process.memoryUsage());
    this.#liveBytes = 0;
    this.#gc = undefined;
    this.#observer = new PerformanceObserver((list) => {
      const { NODE_PERFORMANCE_GC_MAJOR: major } = constants;
      const isMajor = list
        .getEntries()
        .some((entry) => (entry as { detail?: { kind?: number } }).detail?.kind === major);
      if (isMajor) this.#liveBytes = getHeapStatistics().used_heap_size;
    });
    this.#observer.observe({ entryTypes: ['gc'] });
  }

  residentBytes(): number {
    return this.#resident();
  }

  knownBytes(): number {
    const { heapTotal, external } = this.#usage();
    return heapTotal + external;
  }

  collect(): void {
    if (this.#gc === undefined) {
      // The function is there in contexts made after the flag.
      setFlagsFromString('--expose-gc');
      this.#gc = runInNewContext('gc') as () => void;
      setFlagsFromString('--no-expose-gc');
    }
    this.#gc();
    this.#liveBytes = getHeapStatistics().used_heap_size;
  }

  setThrift(isThrifty: boolean): void {
    setFlagsFromString(`--heap-growing-percent=${isThrifty ? THRIFTY_GROWTH_PERCENT : 0}`);
  }

  heapShare(): number {
    const { used_heap_size: usedBytes, heap_size_limit: limitBytes } = getHeapStatistics();
    return Math.min(this.#liveBytes, usedBytes) / limitBytes;
  }

  async diskFreeBytes(directory: string): Promise<number> {
    const { bavail, bsize } = await statfs(directory);
    return bavail * bsize;
  }

  close(): void {
    this.#observer.disconnect();
  }
}

/** Samples until stopped; see above. */
export class ResourceMonitor {
  readonly #limits: ResourceLimits;
  readonly #setAlarm: SetAlarm;
  readonly #logger: Logger;
  readonly #probe: ResourceProbe;
  readonly #memory: MemoryWatch;
  readonly #active: Set<'memory' | 'disk'>;
  #memoryTimer: NodeJS.Timeout | undefined;
  #diskTimer: NodeJS.Timeout | undefined;
  #isStopped: boolean;
  /** The store has found no room for a commit: that is worth more than a figure. */
  #isStoreFull: boolean;

  constructor(
    limits: ResourceLimits,
    setAlarm: SetAlarm,
    logger: Logger,
    probe: ResourceProbe = new SystemProbe(),
  ) {
    this.#limits = limits;
    this.#setAlarm = setAlarm;
    this.#logger = logger;
    this.#probe = probe;
    this.#memory = new MemoryWatch(probe, limits.memoryLimitBytes);
    this.#active = new Set();
    this.#memoryTimer = undefined;
    this.#diskTimer = undefined;
    this.#isStopped = false;
    this.#isStoreFull = false;
  }

  /** Samples once, so that a start with a full disk is blocked from the beginning, and goes on. */
  async start(): Promise<void> {
    this.#memory.start();
    this.sampleMemory();
    this.#memoryTimer = setInterval(() => this.sampleMemory(), MEMORY_INTERVAL_MS).unref();
    await this.#watchDisk();
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#memoryTimer);
    clearTimeout(this.#diskTimer);
    this.#probe.close();
  }

  /** The store is out of room, or has some again. */
  storeFull(isFull: boolean): void {
    this.#isStoreFull = isFull;
    if (isFull && !this.#active.has('disk')) this.#change('disk', true, { isStoreFull: true });
    if (!isFull) void this.sampleDisk();
  }

  sampleMemory(): void {
    const isOver = this.#memory.sample();
    const isOn = this.#active.has('memory');
    if (isOver !== isOn) this.#change('memory', isOver, this.#memory.figures);
  }

  /** @returns ms after which the next sample is due */
  async sampleDisk(): Promise<number> {
    const limitBytes = this.#limits.diskFreeLimitBytes;
    let freeBytes: number;
    try {
      freeBytes = await this.#probe.diskFreeBytes(this.#limits.directory);
    } catch (error) {
      this.#logger.warn({ error: (error as Error).message }, 'free disk space is unknown');
      return DISK_INTERVAL_MS;
    }
    const isOn = this.#active.has('disk');
    const isScarce = isOn ? freeBytes < limitBytes / RELEASE_SHARE : freeBytes < limitBytes;
    const isShort = isScarce || this.#isStoreFull;
    if (isShort !== isOn) this.#change('disk', isShort, { freeBytes, limitBytes });
    return freeBytes < limitBytes * DISK_NEAR_FACTOR ? DISK_NEAR_INTERVAL_MS : DISK_INTERVAL_MS;
  }

  async #watchDisk(): Promise<void> {
    const waitMs = await this.sampleDisk();
    if (this.#isStopped) return;
    this.#diskTimer = setTimeout(() => void this.#watchDisk(), waitMs).unref();
  }

  #change(name: 'memory' | 'disk', isOn: boolean, figures: object): void {
    if (this.#isStopped) return;
    if (isOn) {
      this.#active.add(name);
      this.#logger.warn({ alarm: name, ...figures }, 'alarm raised, publishers are blocked');
    } else {
      this.#active.delete(name);
      this.#logger.info({ alarm: name, ...figures }, 'alarm cleared');
    }
    this.#setAlarm(name, isOn);
  }
}
