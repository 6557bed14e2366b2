/**
 * The built server as a child process: start, stop, kill and restart on a data directory, always
 * by the child's own process id.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const ROOT = path.resolve(import.meta.dirname, '../..');
/** The entry of the built server; another build may be named for a comparison. */
const MAIN = process.env['SERVER_MAIN'] ?? path.join(ROOT, 'dist/src/main.js');
/** Ms. Far beyond what the server needs, or gives itself, on a busy machine. */
const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 45_000;

/**
 * What load or attacks may add to the resident memory of an idle server. Measured: 145 to 270 MiB
 * under floods, which are the windows of the engine and of the commits, 32 MiB each, as much garbage
 * as V8 waits for, and the copies of a transaction. What would stay in memory by a fault comes on
 * top of that: 480 MB and more.
 */
export const GROWTH_MAX_BYTES = 400 * 1024 * 1024;

interface Listener {
  readonly protocol: string;
  readonly host: string;
  readonly port: number;
}

export interface ServerOptions {
  /** Kept when given; a fresh temporary directory, removed by `dispose`, when not. */
  readonly dataDir?: string;
  /** More command-line arguments. */
  readonly args?: readonly string[];
  /** TOML text, written to a file and passed as --config. */
  readonly config?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Put before the command, such as `ip netns exec NAME`; it must become the server's process. */
  readonly prefix?: readonly string[];
}

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class ServerProcess {
  readonly dataDir: string;
  readonly #options: ServerOptions;
  readonly #ownsDataDir: boolean;
  #child: ChildProcess | undefined;
  #exit: Promise<Exit> | undefined;
  #listeners: readonly Listener[] = [];
  /** Resident bytes when it was ready. */
  #idleBytes = 0;
  #output: string[] = [];

  private constructor(options: ServerOptions) {
    this.#options = options;
    this.#ownsDataDir = options.dataDir === undefined;
    this.dataDir = options.dataDir ?? fs.mkdtempSync(path.join(os.tmpdir(), 'conformance-'));
  }

  static async start(options: ServerOptions = {}): Promise<ServerProcess> {
    const server = new ServerProcess(options);
    try {
      await server.restart();
    } catch (error) {
      await server.dispose();
      throw error;
    }
    return server;
  }

  /** Starts the process (again) on the same data directory and waits for its ready line. */
  async restart(): Promise<void> {
    if (!fs.existsSync(MAIN)) throw new Error('no built server: run `npm run build` first');
    const ports = [
      ...['--amqp-port', '0', '--http-port', '0'],
      ...['--mqtt-port', 'off', '--stomp-port', 'off'],
    ];
    const args = [MAIN, '--data-dir', this.dataDir, ...ports, '--log-level', 'info'];
    if (this.#options.config !== undefined) {
      const file = `${this.dataDir}.toml`;
      fs.writeFileSync(file, this.#options.config);
      args.push('--config', file);
    }
    args.push(...(this.#options.args ?? []));
    const [command, ...rest] = [...(this.#options.prefix ?? []), process.execPath, ...args];
    const child = spawn(command!, rest, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...this.#options.env },
    });
    this.#child = child;
    this.#output = [];
    this.#exit = new Promise((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }));
    });
    await this.#waitForReady(child);
    this.#idleBytes = this.residentBytes();
  }

  async #waitForReady(child: ChildProcess): Promise<void> {
    let pending = '';
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`server not ready:\n${this.log}`)),
        READY_TIMEOUT_MS,
      );
      child.once('exit', (code, signal) => {
        clearTimeout(timer);
        reject(new Error(`server ended with ${code ?? signal} at start:\n${this.log}`));
      });
      const onOutput = (chunk: Buffer): void => {
        pending += chunk.toString('utf8');
        const lines = pending.split('\n');
        pending = lines.pop() ?? '';
        for (const line of lines) {
          this.#remember(line);
          if (!line.includes('"ready"')) continue;
          const entry = JSON.parse(line) as { msg?: string; listeners?: Listener[] };
          if (entry.msg !== 'ready') continue;
          this.#listeners = entry.listeners ?? [];
          clearTimeout(timer);
          resolve();
        }
      };
      child.stdout!.on('data', onOutput);
      child.stderr!.on('data', onOutput);
    });
  }

  #remember(line: string): void {
    this.#output.push(line);
    if (this.#output.length > 500) this.#output.shift();
  }

  /** The last lines the process wrote. */
  get log(): string {
    return this.#output.join('\n');
  }

  /** Lines of level error or worse among the last ones. */
  get errors(): string[] {
    return this.#output.filter((line) => /"level":"(error|fatal)"/.test(line));
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error('the server is not running');
    return pid;
  }

  get isRunning(): boolean {
    const child = this.#child;
    return child !== undefined && child.exitCode === null && child.signalCode === null;
  }

  port(protocol = 'amqp'): number {
    const listener = this.#listeners.find((candidate) => candidate.protocol === protocol);
    if (!listener) throw new Error(`no ${protocol} listener`);
    return listener.port;
  }

  get url(): string {
    return `amqp://guest:guest@127.0.0.1:${this.port()}`;
  }

  /** Resident memory in bytes, read from /proc by process id. */
  residentBytes(): number {
    const status = fs.readFileSync(`/proc/${this.pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
  }

  /**
   * Bytes resident beyond those of the idle server. What stands before a test is no mark: after load
   * it falls by whatever V8 and the allocator give back, at some later moment.
   */
  get grownBytes(): number {
    return this.residentBytes() - this.#idleBytes;
  }

  /** Highest resident memory so far in bytes. */
  peakResidentBytes(): number {
    const status = fs.readFileSync(`/proc/${this.pid}/status`, 'utf8');
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
  }

  /** SIGTERM, then waits for the end. SIGKILL when it does not come. */
  async stop(): Promise<Exit> {
    const child = this.#child;
    if (!child || !this.#exit) throw new Error('the server is not running');
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    const exit = await this.#exit;
    clearTimeout(timer);
    return exit;
  }

  /** SIGKILL: no chance to flush anything. */
  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#exit;
  }

  /** Kills what still runs and removes the temporary data directory. */
  async dispose(): Promise<void> {
    if (this.isRunning) await this.kill();
    fs.rmSync(`${this.dataDir}.toml`, { force: true });
    if (this.#ownsDataDir) fs.rmSync(this.dataDir, { recursive: true, force: true });
  }
}
