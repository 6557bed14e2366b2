/** Starts the built gateway as a child process on a data directory, and stops it again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 30_000;

export interface GatewayOptions {
  /** A fresh temporary one by default, removed by `remove()`. */
  readonly directory?: string;
  /** Flags for node itself, such as --cpu-prof. */
  readonly nodeFlags?: readonly string[];
  /** More flags for the gateway. */
  readonly flags?: readonly string[];
}

/** The gateway's entry: BENCH_GATEWAY, or the built one beside this file. */
export function gatewayEntry(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  const entry = process.env['BENCH_GATEWAY'] ?? join(here, '..', 'src', 'main.js');
  if (!existsSync(entry)) throw new Error(`${entry} is missing: run npm run build`);
  return entry;
}

export class Gateway {
  readonly url: string;
  readonly pid: number;
  readonly directory: string;
  /** From spawn to the ready line. */
  readonly startMs: number;
  /** The gateway's own version; server-properties may name another product for clients' sake. */
  readonly version: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<number | null>;

  private constructor(child: ChildProcess, ready: Ready, directory: string, startMs: number) {
    this.url = `amqp://guest:guest@127.0.0.1:${ready.port}`;
    this.pid = child.pid ?? 0;
    this.directory = directory;
    this.startMs = startMs;
    this.version = ready.version;
    this.#child = child;
    this.#exited = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
  }

  /** Starts it on a free port and waits for its ready line. */
  static async start(options: GatewayOptions = {}): Promise<Gateway> {
    const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'tributary-bench-'));
    const startedAtMs = performance.now();
    const child = spawn(
      process.execPath,
      [
        ...(options.nodeFlags ?? []),
        gatewayEntry(),
        '--data-dir',
        directory,
        '--host',
        '127.0.0.1',
        '--amqp-port',
        '0',
        '--mqtt-port',
        'off',
        '--stomp-port',
        'off',
        '--http-port',
        'off',
        ...(options.flags ?? []),
      ],
      { stdio: ['ignore', 'pipe', 'inherit'], cwd: directory },
    );
    dieWithUs(child);
    const ready = await untilReady(child);
    return new Gateway(child, ready, directory, performance.now() - startedAtMs);
  }

  /** SIGTERM, then SIGKILL when it takes too long. Returns the exit code. */
  async stop(): Promise<number | null> {
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    const code = await this.#exited;
    clearTimeout(timer);
    return code;
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  /** Removes the data directory. */
  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** A bench that is cut short, by an error or a time limit, leaves no gateway behind. */
function dieWithUs(child: ChildProcess): void {
  const kill = (): void => void child.kill('SIGKILL');
  const end = (): void => process.exit(1);
  process.once('exit', kill);
  process.once('SIGTERM', end);
  process.once('SIGINT', end);
  child.once('exit', () => {
    process.off('exit', kill);
    process.off('SIGTERM', end);
    process.off('SIGINT', end);
  });
}

/** What the ready line says. */
interface Ready {
  readonly port: number;
  readonly version: string;
}

function untilReady(child: ChildProcess): Promise<Ready> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`the gateway was not ready within ${READY_TIMEOUT_MS} ms`));
    }, READY_TIMEOUT_MS);
    child.once('exit', (code) => {
      clearTimeout(timer);
      reject(new Error(`the gateway ended with ${code} before it was ready`));
    });
    // Read to the end: a full pipe would stop the gateway's log and, with it, the gateway.
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const ready = parseReady(line);
      if (ready === undefined) return;
      clearTimeout(timer);
      resolve(ready);
    });
  });
}

function parseReady(line: string): Ready | undefined {
  if (!line.includes('"ready"')) return undefined;
  try {
    const entry = JSON.parse(line) as {
      msg?: string;
      version?: string;
      listeners?: readonly { protocol: string; port: number }[];
    };
    if (entry.msg !== 'ready') return undefined;
    const listener = entry.listeners?.find((one) => one.protocol === 'amqp');
    if (listener === undefined) return undefined;
    return { port: listener.port, version: entry.version ?? '?' };
  } catch {
    return undefined;
  }
}
