/**
 * A copy of the data file, made while commits go on.
 *
 *     begin -> step, rest, step, rest ... -> last step -> synced -> under its name
 *
 * 1. A step copies some pages between two commits, on the store's own connection. Nobody else can
 *    read the file; and so SQLite changes the copy, too, when a commit changes a page that has been
 *    copied. It is never begun anew, and shows the moment of its last step.
 * 2. No read transaction stays open between steps: the write-ahead log is emptied as ever.
 * 3. The file has another name until it is whole and on disk: what was cut off is no data.
 * 4. An error ends the backup, never the store.
 */
import { mkdirSync, rmdirSync, rmSync, statfsSync, statSync } from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { CommitLoop } from '../commit-loop.ts';
import type { DataFile } from './data-file.ts';
import type { FileCopy } from './driver.ts';
import type { PatientWriter } from './patient-writer.ts';
import { DATA_FILE } from './schema.ts';

/** Pages of a step, 1 MiB: a commit that has to wait for one waits some ms. */
const STEP_PAGES = 64;
/** Steps after which the copy is synced, so that the last one has little left to write. */
const STEPS_PER_SYNC = 64;
/** A step that took t ms is followed by a rest of t: half of the time belongs to commits alone. */
const REST_FACTOR = 1;
/** Ms between tries to get a turn when no commit comes by. */
const TURN_MS = 10;

const FULL = 'the disk of the data directory is full';
const STOPPED = 'the server stopped before the backup was whole';

/** Why there is no backup; one sentence for an operator. */
export class BackupError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'BackupError';
  }
}

/** The parts of a store that a backup works on. */
interface BackupDeps {
  readonly file: DataFile;
  readonly loop: CommitLoop;
  readonly writer: PatientWriter;
}

/** The backups of one store, one at a time. */
export class Backups {
  readonly #deps: BackupDeps;
  #current: Backup | undefined;
  #isOver: boolean;

  constructor(file: DataFile, loop: CommitLoop, writer: PatientWriter) {
    this.#deps = { file, loop, writer };
    this.#current = undefined;
    this.#isOver = false;
  }

  /** @throws BackupError; `directory` is as it was before then */
  async make(directory: string): Promise<void> {
    if (this.#isOver) throw new BackupError(STOPPED);
    if (this.#current !== undefined) throw new BackupError('a backup is being made already');
    this.#current = new Backup(this.#deps, directory);
    try {
      await this.#current.run();
    } finally {
      this.#current = undefined;
    }
  }

  /** A commit has ended and the connection is free: copies some pages, if it is time. */
  turn(): Promise<void> | undefined {
    return this.#current?.turn();
  }

  /** Breaks one off that is being made; resolves when the connection is free of it. */
  async end(): Promise<void> {
    this.#isOver = true;
    await this.#current?.end();
  }
}

interface Step {
  readonly copy: FileCopy;
  readonly resolve: (isDone: boolean) => void;
  readonly reject: (error: Error) => void;
}

class Backup {
  readonly #deps: BackupDeps;
  readonly #directory: string;
  /** Waits for its turn. */
  #step: Step | undefined;
  #stepMs: number;
  #isEnding: boolean;
  #ended: Promise<void>;

  /** @param directory to be made, with the copy in it */
  constructor(deps: BackupDeps, directory: string) {
    this.#deps = deps;
    this.#directory = directory;
    this.#step = undefined;
    this.#stepMs = 0;
    this.#isEnding = false;
    this.#ended = Promise.resolve();
  }

  /** @throws BackupError; nothing of it is left then */
  run(): Promise<void> {
    const running = this.#make();
    this.#ended = running.catch(() => undefined);
    return running;
  }

  async end(): Promise<void> {
    this.#isEnding = true;
    await this.#ended;
  }

  /** Never rejects. */
  turn(): Promise<void> | undefined {
    const step = this.#step;
    if (step === undefined) return undefined;
    this.#step = undefined;
    const startedMs = performance.now();
    return step.copy.step(STEP_PAGES).then((isDone) => {
      this.#stepMs = performance.now() - startedMs;
      step.resolve(isDone);
    }, step.reject);
  }

  async #make(): Promise<void> {
    const partial = join(this.#directory, `${DATA_FILE}.partial`);
    try {
      checkRoom(this.#deps.file.path, dirname(this.#directory));
      mkdirSync(this.#directory, { mode: 0o700 });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw explain(error as Error);
      throw new BackupError(`${this.#directory} exists: a backup makes a new directory`);
    }
    try {
      await this.#copyTo(partial);
      await rename(partial, join(this.#directory, DATA_FILE));
      await syncPath(this.#directory);
      await syncPath(dirname(this.#directory));
    } catch (error) {
      const names = [DATA_FILE, `${DATA_FILE}.partial`, `${DATA_FILE}.partial-journal`];
      for (const name of names) rmSync(join(this.#directory, name), { force: true });
      rmdirSync(this.#directory);
      throw explain(error as Error);
    }
  }

  async #copyTo(path: string): Promise<void> {
    const file = await open(path, 'wx', 0o600);
    try {
      const copy = await this.#deps.file.connection.copyTo(path);
      try {
        await this.#copyAll(copy, file);
      } finally {
        await copy.finish();
      }
      await file.sync();
    } finally {
      await file.close();
    }
  }

  async #copyAll(copy: FileCopy, file: FileHandle): Promise<void> {
    for (let count = 1; !(await this.#takeTurn(copy)); count += 1) {
      if (count % STEPS_PER_SYNC === 0) await file.datasync();
      await pause(Math.max(1, REST_FACTOR * this.#stepMs));
    }
  }

  /** Waits for a turn and takes it; true when the copy is whole. */
  async #takeTurn(copy: FileCopy): Promise<boolean> {
    const taken = new Promise<boolean>((resolve, reject) => {
      this.#step = { copy, resolve, reject };
    });
    const step = this.#step;
    while (this.#step !== undefined && this.#step === step) {
      const { loop, writer } = this.#deps;
      if (loop.failure !== undefined || this.#isEnding || writer.isFull) {
        this.#step = undefined;
        // The copy may be what fills the disk, and commits wait for room.
        throw new BackupError(writer.isFull ? FULL : STOPPED);
      }
      loop.force();
      await Promise.race([taken, pause(TURN_MS)]);
    }
    return taken;
  }
}

/** @throws BackupError when the disk that is to hold the copy is too small for it */
function checkRoom(path: string, parent: string): void {
  const { bavail, bsize } = statfsSync(parent);
  const bytes = statSync(path).size;
  if (bytes <= bavail * bsize) return;
  throw new BackupError(`a backup takes ${bytes} bytes, and ${parent} has ${bavail * bsize} left`);
}

function explain(cause: Error): BackupError {
  return cause instanceof BackupError ? cause : new BackupError(cause.message, { cause });
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
