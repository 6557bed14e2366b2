/**
 * One function in a process of its own, used for one call at a time and kept for the next.
 *
 * A worker thread with `resourceLimits` would not do: a Map or an array that grows past the limit
 * in one step ends the whole process (V8 cannot unwind there), and buffers are not counted at all.
 * So the limits are those of processes:
 *
 *     time     SIGKILL to the process group after the time limit
 *     memory   V8's own limit for the heap; for all else its resident size, looked at while it runs
 *     output   bytes per call; what is within the limit is logged
 *     CPU      a lower priority than the gateway's
 *
 * It gets no variable of the environment and no descriptor but its own four. That guards against
 * mistakes of functions, which the operator put there, not against malice: a function has the
 * rights of the gateway's user.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import type { Readable } from 'node:stream';
import { setImmediate as later } from 'node:timers';
import type { Logger } from '../../base/logger.ts';
import type { Timers } from '../../net/push/timers.ts';
import type { FunctionFile } from './function-directory.ts';
import { FUNCTION_PROGRAM } from './function-program.ts';

export interface FunctionLimits {
  /** Ms of one call, the start of the process included. */
  readonly timeoutMs: number;
  /** Bytes of the JavaScript heap; of all memory together with `PROCESS_BYTES`. */
  readonly memoryBytes: number;
}

/** Bytes of a process that runs nothing, generously. */
const PROCESS_BYTES = 96 * 1024 * 1024;
/** Ms between looks at the resident size. */
const WATCH_MS = 50;
/** Bytes a function may write per call. */
const OUTPUT_BYTES_MAX = 256 * 1024;
/** Lines per call that are logged, and characters of each. */
const LOGGED_LINES_MAX = 100;
const LOGGED_CHARS_MAX = 1_000;
/** Bytes of an answer. */
const ANSWER_BYTES_MAX = 4 * 1024;

/** How a call ended. */
export interface CallResult {
  readonly isOk: boolean;
  /** One short line. */
  readonly detail: string;
}

/** What the program answers. */
interface Answer {
  readonly id: number;
  readonly isOk: boolean;
  readonly detail: string;
  readonly isBroken: boolean;
}

interface Call {
  readonly id: number;
  readonly done: (result: CallResult) => void;
  cancelTimeout: () => void;
  cancelWatch: () => void;
}

export interface FunctionProcessDeps {
  readonly file: FunctionFile;
  readonly limits: FunctionLimits;
  readonly timers: Timers;
  readonly logger: Pick<Logger, 'info'>;
  /** Once, when the process has ended, after the result of its last call. */
  readonly onExit: () => void;
}

export class FunctionProcess {
  readonly file: FunctionFile;
  readonly #deps: FunctionProcessDeps;
  readonly #child: ChildProcess;
  #call: Call | undefined;
  #callCount: number;
  #answer: string;
  #outputBytes: number;
  #loggedLines: number;
  #isEnding: boolean;
  /** V8 said so before it gave up. */
  #isHeapFull: boolean;
  /** Why it was killed. */
  #cause: string | undefined;

  constructor(deps: FunctionProcessDeps) {
    const { file, limits } = deps;
    this.file = file;
    this.#deps = deps;
    this.#call = undefined;
    this.#callCount = 0;
    this.#answer = '';
    this.#outputBytes = 0;
    this.#loggedLines = 0;
    this.#isEnding = false;
    this.#isHeapFull = false;
    this.#cause = undefined;
    const heapMegabytes = Math.max(1, Math.floor(limits.memoryBytes / (1024 * 1024)));
    const flags = [`--max-old-space-size=${heapMegabytes}`, '--eval', FUNCTION_PROGRAM];
    this.#child = spawn(process.execPath, [...flags, '--', file.path, String(process.pid)], {
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
      env: {},
      // A group of its own: what the function starts ends with it, and Ctrl+C is the gateway's.
      detached: true,
    });
    this.#listen();
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** False once it runs a call or is ending. */
  get isIdle(): boolean {
    return this.#call === undefined && !this.#isEnding;
  }

  /**
   * Calls the function; only while idle.
   *
   * @param event JSON in one line, as `context`
   * @param done called once, later
   */
  call(event: string, context: string, done: (result: CallResult) => void): void {
    const { limits, timers } = this.#deps;
    this.#callCount += 1;
    this.#answer = '';
    this.#outputBytes = 0;
    this.#loggedLines = 0;
    const call: Call = {
      id: this.#callCount,
      done,
      cancelTimeout: timers.after(limits.timeoutMs, () => {
        this.kill(`no result within ${limits.timeoutMs / 1000} s`);
      }),
      cancelWatch: () => undefined,
    };
    this.#call = call;
    this.#watch(call);
    const line = `{"id":${call.id},"event":${event},"context":${context}}\n`;
    this.#child.stdin?.write(line);
  }

  /** Ends the process and what it started; a call under way fails with `cause`. */
  kill(cause: string): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#cause = cause;
    this.#killGroup();
  }

  /** Kills it and forgets its call. */
  abandon(): void {
    const call = this.#call;
    this.#call = undefined;
    call?.cancelTimeout();
    call?.cancelWatch();
    this.kill('abandoned');
  }

  #listen(): void {
    const child = this.#child;
    child.on('error', (error) => {
      this.#cause ??= startFailure(error);
      // A process that never was does not exit.
      if (child.pid === undefined) this.#onExit();
    });
    if (child.pid === undefined) return;
    lowerPriority(child.pid);
    child.on('exit', (code, signal) => {
      this.#isEnding = true;
      this.#killGroup();
      // What it wrote last may still be in the pipes.
      later(() => {
        this.#cause ??= this.#isHeapFull ? 'out of memory' : `ended (${signal ?? code})`;
        this.#onExit();
      });
    });
    const [, stdout, stderr, answers] = child.stdio as Readable[];
    child.stdin!.on('error', () => undefined);
    for (const stream of [stdout!, stderr!]) {
      stream.on('error', () => undefined);
      stream.on('data', (chunk: Buffer) => this.#onOutput(chunk));
    }
    answers!.on('error', () => undefined);
    answers!.on('data', (chunk: Buffer) => this.#onAnswerBytes(chunk));
  }

  #killGroup(): void {
    const { pid } = this.#child;
    if (pid === undefined) return;
    try {
      process.kill(-pid, 'SIGKILL');
    } catch {
      // Nobody is left in it.
    }
  }

  #onExit(): void {
    this.#isEnding = true;
    // What the function started may hold the other ends and never close them.
    for (const stream of this.#child.stdio ?? []) stream?.destroy();
    this.#finish({ isOk: false, detail: this.#cause ?? 'ended' });
    this.#deps.onExit();
  }

  #finish(result: CallResult): void {
    const call = this.#call;
    if (call === undefined) return;
    this.#call = undefined;
    call.cancelTimeout();
    call.cancelWatch();
    call.done(result);
  }

  #onOutput(chunk: Buffer): void {
    this.#outputBytes += chunk.length;
    if (this.#outputBytes > OUTPUT_BYTES_MAX) {
      this.kill('too much output');
      return;
    }
    const output = chunk.toString('utf8');
    if (/^FATAL ERROR: .*out of memory/m.test(output)) this.#isHeapFull = true;
    for (const line of output.split('\n')) {
      if (line === '' || this.#loggedLines >= LOGGED_LINES_MAX) continue;
      this.#loggedLines += 1;
      const text = line.slice(0, LOGGED_CHARS_MAX);
      this.#deps.logger.info({ function: this.file.name, text }, 'function output');
    }
  }

  #onAnswerBytes(chunk: Buffer): void {
    this.#answer += chunk.toString('latin1');
    const end = this.#answer.indexOf('\n');
    if (end < 0 && this.#answer.length <= ANSWER_BYTES_MAX) return;
    const answer = parseAnswer(this.#answer.slice(0, end));
    this.#answer = '';
    if (answer === undefined || answer.id !== this.#call?.id) {
      this.kill('its answer makes no sense');
      return;
    }
    if (answer.isBroken || this.#residentBytes() > this.#residentBytesMax)
      this.kill('not reusable');
    this.#finish({ isOk: answer.isOk, detail: answer.detail });
  }

  #watch(call: Call): void {
    call.cancelWatch = this.#deps.timers.after(WATCH_MS, () => {
      if (this.#residentBytes() > this.#residentBytesMax) this.kill('out of memory');
      else this.#watch(call);
    });
  }

  get #residentBytesMax(): number {
    return this.#deps.limits.memoryBytes + PROCESS_BYTES;
  }

  /** 0 where the system does not tell: the heap's limit still holds. */
  #residentBytes(): number {
    try {
      const status = readFileSync(`/proc/${this.#child.pid}/status`, 'latin1');
      return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
    } catch {
      return 0;
    }
  }
}

/** What a tenant is told when there is no process: the system's code, without paths of ours. */
export function startFailure({ code }: NodeJS.ErrnoException): string {
  return `cannot be started (${code ?? 'no code'})`;
}

function lowerPriority(pid: number): void {
  try {
    setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // Ended already, or the system does not let us: nothing depends on it.
  }
}

function parseAnswer(text: string): Answer | undefined {
  try {
    const answer = JSON.parse(Buffer.from(text, 'latin1').toString('utf8')) as Partial<Answer>;
    const { id, isOk, detail, isBroken } = answer;
    const isWhole = typeof id === 'number' && typeof detail === 'string';
    return isWhole ? { id, isOk: isOk === true, detail, isBroken: isBroken === true } : undefined;
  } catch {
    return undefined;
  }
}
