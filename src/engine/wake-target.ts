/** Something that asks to be called when time has passed: a queue, delayed messages, a task. */
export interface WakeTarget {
  /** True once it is gone: no call is wanted any more. */
  readonly isDeleted: boolean;
  /** A wake-up asked for is due; one that comes too early just asks again. */
  tick(nowMs: number): void;
}

/** Asks for `target.tick` at or soon after `atMs`, wall ms. */
export type WakeAt = (target: WakeTarget, atMs: number) => void;
