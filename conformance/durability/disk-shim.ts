/** Builds and steers the preloaded disk shim (shim/disk-shim.c). Linux with a C compiler only. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

export const EIO = 5;
export const ENOSPC = 28;

const SOURCE = path.join(import.meta.dirname, 'shim', 'disk-shim.c');

export class DiskShim {
  /** For the server process. */
  readonly env: Readonly<Record<string, string>>;
  readonly dataDir: string;
  readonly logFile: string;
  readonly #directory: string;
  readonly #control: number;

  private constructor(directory: string, library: string) {
    this.#directory = directory;
    this.dataDir = path.join(directory, 'data');
    this.logFile = path.join(directory, 'disk.log');
    fs.mkdirSync(this.dataDir);
    const controlFile = path.join(directory, 'control');
    fs.writeFileSync(controlFile, Buffer.alloc(12));
    this.#control = fs.openSync(controlFile, 'r+');
    this.env = {
      LD_PRELOAD: library,
      DISK_SHIM_DIR: this.dataDir,
      DISK_SHIM_CONTROL: controlFile,
    };
  }

  /** Compiles the shim; undefined where that is not possible. */
  static build(): DiskShim | undefined {
    if (process.platform !== 'linux') return undefined;
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'disk-shim-'));
    const library = path.join(directory, 'disk-shim.so');
    const flags = ['-O2', '-shared', '-fPIC', '-o', library, SOURCE, '-ldl', '-lpthread'];
    const { status } = spawnSync('cc', flags, { stdio: 'ignore' });
    if (status === 0) return new DiskShim(directory, library);
    fs.rmSync(directory, { recursive: true, force: true });
    return undefined;
  }

  /** The environment with the recorder on. */
  get recordingEnv(): Readonly<Record<string, string>> {
    return { ...this.env, DISK_SHIM_LOG: this.logFile };
  }

  /** From now on each sync takes so much longer. */
  delaySyncs(milliseconds: number): void {
    this.#set(0, milliseconds);
  }

  /** From now on writes fail with this errno; 0 ends it. */
  failWrites(errno: number): void {
    this.#set(1, errno);
  }

  /** From now on fsync and fdatasync fail with this errno; 0 ends it. */
  failSyncs(errno: number): void {
    this.#set(2, errno);
  }

  dispose(): void {
    fs.closeSync(this.#control);
    fs.rmSync(this.#directory, { recursive: true, force: true });
  }

  #set(index: number, value: number): void {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(value);
    fs.writeSync(this.#control, bytes, 0, 4, index * 4);
  }
}
