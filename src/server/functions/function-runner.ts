import { setImmediate as later } from 'node:timers';
import type { Logger } from '../../base/logger.ts';
import { type Place, SlotGate } from '../../net/push/slot-gate.ts';
import { systemTimers, type Timers } from '../../net/push/timers.ts';
import { type FunctionFile, findFunction } from './function-directory.ts';
import {
  type CallResult,
  type FunctionLimits,
  FunctionProcess,
  startFailure,
} from './function-process.ts';

/** Ms an idle process is kept for the next call. */
const IDLE_MS = 30_000;
/** Ms a killed process may take to end; one that hangs in the system must not hold up a stop. */
const CLOSE_MS = 2_000;

export interface FunctionRunnerOptions {
  readonly directory: string;
  readonly limits: FunctionLimits;
  /** Calls at a time. One function has at most half of them. */
  readonly concurrencyMax: number;
  readonly logger: Pick<Logger, 'info'>;
  readonly timers?: Timers;
}

/** One call. */
export interface FunctionCall {
  readonly name: string;
  /** JSON in one line; called when its turn has come. */
  readonly makeEvent: () => string;
  readonly requestId: string;
}

/** A call under way. */
export interface FunctionHandle {
  /** Ends it without a result. */
  abort(): void;
}

/** Calls functions of a directory, each in a process of its own that serves further calls. */
export class FunctionRunner {
  readonly #options: FunctionRunnerOptions;
  readonly #timers: Timers;
  readonly #gate: SlotGate;
  readonly #processes: Set<FunctionProcess>;
  /** What calls off the end of an idle process. */
  readonly #idle: Map<FunctionProcess, () => void>;
  readonly #aborts: Set<() => void>;
  #isClosed: boolean;
  #onEmpty: (() => void) | undefined;

  constructor(options: FunctionRunnerOptions) {
    this.#options = options;
    this.#timers = options.timers ?? systemTimers;
    this.#gate = new SlotGate();
    this.#processes = new Set();
    this.#idle = new Map();
    this.#aborts = new Set();
    this.#isClosed = false;
    this.#onEmpty = undefined;
  }

  /** Processes that are there, idle ones included. */
  get processCount(): number {
    return this.#processes.size;
  }

  /**
   * Calls a function.
   *
   * @param done called once, later; not after `abort` or `close`
   */
  invoke(call: FunctionCall, done: (result: CallResult) => void): FunctionHandle {
    const { concurrencyMax } = this.#options;
    let running: FunctionProcess | undefined;
    let isOver = this.#isClosed;
    if (isOver) return { abort: () => undefined };
    const levels = [
      { name: `function ${call.name}`, max: Math.ceil(concurrencyMax / 2) },
      { name: 'all', max: concurrencyMax },
    ];
    const run = (): void => {
      if (isOver) return;
      running = this.#call(call, (result) => {
        if (isOver) return;
        end();
        done(result);
      });
    };
    // Never from within `invoke`.
    const place: Place = this.#gate.enter(levels, () => later(run));
    const abort = (): void => {
      if (isOver) return;
      end();
      running?.abandon();
    };
    const end = (): void => {
      isOver = true;
      this.#aborts.delete(abort);
      place.leave();
    };
    this.#aborts.add(abort);
    return { abort };
  }

  /** Ends every call and every process; resolves when none is left, or none dies any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const abort of this.#aborts) abort();
    for (const process of this.#processes) process.kill('closing');
    if (this.#processes.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
      this.#timers.after(CLOSE_MS, resolve);
    });
  }

  #call(call: FunctionCall, done: (result: CallResult) => void): FunctionProcess | undefined {
    const { directory, limits } = this.#options;
    let process: FunctionProcess | undefined;
    let event = '';
    try {
      const file = findFunction(directory, call.name);
      if (file !== undefined) {
        event = call.makeEvent();
        process = this.#takeIdle(file) ?? this.#start(file);
      }
    } catch (error) {
      // Some refusals of the system are thrown (no memory, a link to itself), others come as an
      // event (no processes); so is an event longer than a string may be.
      done({ isOk: false, detail: startFailure(error as Error) });
      return undefined;
    }
    if (process === undefined) {
      done({ isOk: false, detail: 'no such function' });
      return undefined;
    }
    const runs = process;
    const context = JSON.stringify({
      request_id: call.requestId,
      function_name: call.name,
      time_limit_in_ms: limits.timeoutMs,
      memory_limit_in_mb: Math.floor(limits.memoryBytes / (1024 * 1024)),
    });
    runs.call(event, context, (result) => {
      if (runs.isIdle) this.#keep(runs);
      done(result);
    });
    return runs;
  }

  /** A process that runs this very version; those of an older one end. */
  #takeIdle(file: FunctionFile): FunctionProcess | undefined {
    for (const [process, cancelEnd] of this.#idle) {
      if (process.file.path !== file.path) continue;
      cancelEnd();
      this.#idle.delete(process);
      if (process.file.version === file.version) return process;
      process.kill('changed');
    }
    return undefined;
  }

  #keep(process: FunctionProcess): void {
    const cancelEnd = this.#timers.after(IDLE_MS, () => {
      this.#idle.delete(process);
      process.kill('idle');
    });
    this.#idle.set(process, cancelEnd);
  }

  #start(file: FunctionFile): FunctionProcess {
    const { limits, logger, concurrencyMax } = this.#options;
    const [oldestIdle] = this.#idle;
    if (oldestIdle !== undefined && this.#processes.size >= concurrencyMax) {
      const [idle, cancelEnd] = oldestIdle;
      cancelEnd();
      this.#idle.delete(idle);
      idle.kill('makes room');
    }
    const process = new FunctionProcess({
      file,
      limits,
      timers: this.#timers,
      logger,
      onExit: () => {
        this.#idle.get(process)?.();
        this.#idle.delete(process);
        this.#processes.delete(process);
        if (this.#processes.size === 0) this.#onEmpty?.();
      },
    });
    this.#processes.add(process);
    return process;
  }
}
