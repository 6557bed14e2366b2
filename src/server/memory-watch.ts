/**
 * Whether this process uses too much memory.
 *
 * Resident memory tells when it begins to, but not when it ends: while publishers are blocked next
 * to nothing is allocated, so no garbage is collected, and what was freed stays with the allocator,
 * which uses it again before it asks the system for more. So while there is too much, garbage is
 * collected from time to time; what is resident then and neither heap nor buffer, nor what native
 * code takes anyway, is idle. Idle memory does not count until it is used again.
 *
 * Long before that, the process becomes thrifty: V8 lets garbage grow to three times what lives
 * before it collects, which is cheap while all of it is small, and later costs memory that a
 * backlog could use. Measured with a million delayed messages: 40 MB less at 120 live.
 */
import type { ResourceProbe } from './resource-monitor.ts';

/** An alarm ends this far below its limit, so that it does not flap. */
const RELEASE_SHARE = 0.95;
/** Resident bytes from which on garbage is collected early, and below which that ends. */
const THRIFT_BYTES = 256 * 1024 * 1024;
const THRIFT_END_BYTES = 192 * 1024 * 1024;
/** Live share of the heap: V8 spends ever more time collecting above this, and dies at 1. */
const HEAP_SHARE_LIMIT = 0.8;
/** Bytes native code may take more than at the start: SQLite's caches, threads, the allocator. */
const NATIVE_GROWTH_BYTES = 32 * 1024 * 1024;
/** Samples from the alarm to the first collection. A full one takes up to a second. */
const COLLECT_SAMPLES_MIN = 2;
/** Collections that change nothing come twice as late each time, up to this many samples. */
const COLLECT_SAMPLES_MAX = 60;

export class MemoryWatch {
  readonly #probe: ResourceProbe;
  readonly #limitBytes: number;
  /** What is resident at the start beyond heap and buffers. */
  #nativeBytes: number;
  #idleBytes: number;
  #isOver: boolean;
  #isThrifty: boolean;
  #collectInterval: number;
  #samplesToCollection: number;

  constructor(probe: ResourceProbe, limitBytes: number) {
    this.#probe = probe;
    this.#limitBytes = limitBytes;
    this.#nativeBytes = 0;
    this.#idleBytes = 0;
    this.#isOver = false;
    this.#isThrifty = false;
    this.#collectInterval = COLLECT_SAMPLES_MIN;
    this.#samplesToCollection = COLLECT_SAMPLES_MIN;
  }

  /** To be called once the process has what it always has. */
  start(): void {
    this.#nativeBytes = this.#unknownBytes();
  }

  /** To be called at regular intervals. True while there is too much. */
  sample(): boolean {
    this.#adaptThrift();
    const hasCollected = this.#isOver && this.#collectSometimes();
    const freedBytes = this.#unknownBytes() - this.#nativeBytes - NATIVE_GROWTH_BYTES;
    const idleBytes = Math.max(0, freedBytes);
    this.#idleBytes = hasCollected ? idleBytes : Math.min(this.#idleBytes, idleBytes);
    const scale = this.#isOver ? RELEASE_SHARE : 1;
    const usedBytes = this.#probe.residentBytes() - this.#idleBytes;
    this.#isOver =
      usedBytes > this.#limitBytes * scale || this.#probe.heapShare() > HEAP_SHARE_LIMIT * scale;
    if (!this.#isOver) {
      this.#collectInterval = COLLECT_SAMPLES_MIN;
      this.#samplesToCollection = COLLECT_SAMPLES_MIN;
    }
    return this.#isOver;
  }

  /** For the log. */
  get figures(): object {
    return {
      residentBytes: this.#probe.residentBytes(),
      idleBytes: this.#idleBytes,
      limitBytes: this.#limitBytes,
      heapShare: this.#probe.heapShare(),
    };
  }

  #adaptThrift(): void {
    const residentBytes = this.#probe.residentBytes();
    const isThrifty = residentBytes > (this.#isThrifty ? THRIFT_END_BYTES : THRIFT_BYTES);
    if (isThrifty === this.#isThrifty) return;
    this.#isThrifty = isThrifty;
    this.#probe.setThrift(isThrifty);
  }

  #unknownBytes(): number {
    return this.#probe.residentBytes() - this.#probe.knownBytes();
  }

  #collectSometimes(): boolean {
    this.#samplesToCollection -= 1;
    if (this.#samplesToCollection > 0) return false;
    this.#probe.collect();
    this.#collectInterval = Math.min(this.#collectInterval * 2, COLLECT_SAMPLES_MAX);
    this.#samplesToCollection = this.#collectInterval;
    return true;
  }
}
