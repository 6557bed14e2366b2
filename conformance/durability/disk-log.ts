/**
 * The disk log of a run and the disks a power loss could have left at any point of it.
 *
 * A write is pending until its file is synced. At a crash each pending write may be there, not be
 * there, or be there up to a 512-byte boundary, whatever happened to the others. Creation of a
 * file is durable with the first sync of the file; unlink and rename with a sync of the directory.
 */
import fs from 'node:fs';
import path from 'node:path';
import type { Random } from '../support/random.ts';

const SECTOR_BYTES = 512;

export type DiskOp =
  | {
      readonly kind: 'write';
      readonly name: string;
      readonly offset: number;
      readonly data: Buffer;
    }
  | { readonly kind: 'truncate'; readonly name: string; readonly size: number }
  | { readonly kind: 'sync'; readonly name: string }
  | { readonly kind: 'unlink'; readonly name: string }
  | { readonly kind: 'rename'; readonly name: string; readonly target: string }
  /** Written by the test: at this point it knew that `value` was promised. */
  | { readonly kind: 'marker'; readonly marker: string; readonly value: number };

/** What happens to the pending writes. */
export type CrashMode = 'none' | 'subset' | 'torn' | 'all';

/** Appends a marker to the log the server's shim is writing. */
export function appendMarker(logFile: number, marker: 'C' | 'A', value: number): void {
  const record = Buffer.alloc(16);
  record.write(marker);
  record.writeBigUInt64LE(BigInt(value), 8);
  fs.writeSync(logFile, record);
}

/** Reads the shim's log; a record that the kill cut short ends it. */
export function readDiskLog(file: string): DiskOp[] {
  const bytes = fs.readFileSync(file);
  const ops: DiskOp[] = [];
  let at = 0;
  while (at + 16 <= bytes.length) {
    const op = String.fromCharCode(bytes[at]!);
    const nameBytes = bytes[at + 1]!;
    const length = bytes.readUInt32LE(at + 4);
    const offset = Number(bytes.readBigUInt64LE(at + 8));
    const name = bytes.toString('utf8', at + 16, at + 16 + nameBytes);
    const dataStart = at + 16 + nameBytes;
    if (dataStart + length > bytes.length) break;
    const data = bytes.subarray(dataStart, dataStart + length);
    at = dataStart + length;
    if (name.endsWith('-shm')) continue;
    if (op === 'W') ops.push({ kind: 'write', name, offset, data });
    else if (op === 'T') ops.push({ kind: 'truncate', name, size: offset });
    else if (op === 'S') ops.push({ kind: 'sync', name });
    else if (op === 'U') ops.push({ kind: 'unlink', name });
    else if (op === 'R') ops.push({ kind: 'rename', name, target: data.toString('utf8') });
    else ops.push({ kind: 'marker', marker: op, value: offset });
  }
  return ops;
}

/** A growing file in memory. */
class Content {
  #bytes = Buffer.alloc(0);
  #size = 0;

  write(offset: number, data: Buffer): void {
    this.#reserve(offset + data.length);
    data.copy(this.#bytes, offset);
    this.#size = Math.max(this.#size, offset + data.length);
  }

  truncate(size: number): void {
    this.#reserve(size);
    if (size < this.#size) this.#bytes.fill(0, size, this.#size);
    this.#size = size;
  }

  copy(): Content {
    const copy = new Content();
    copy.write(0, this.#bytes.subarray(0, this.#size));
    return copy;
  }

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#size);
  }

  #reserve(size: number): void {
    if (size <= this.#bytes.length) return;
    const larger = Buffer.alloc(Math.max(size, this.#bytes.length * 2));
    this.#bytes.copy(larger, 0, 0, this.#size);
    this.#bytes = larger;
  }
}

type FileOp = Extract<DiskOp, { kind: 'write' | 'truncate' }>;

interface DiskFile {
  readonly durable: Content;
  /** The name is on disk. */
  isNamed: boolean;
  pending: FileOp[];
}

/** Replays a log operation by operation; an image can be taken after each. */
export class DiskReplay {
  readonly #directoryName: string;
  #files = new Map<string, DiskFile>();
  /** Unlinked or renamed away, the directory not yet synced. */
  readonly #ghosts = new Map<string, DiskFile>();

  constructor(directoryName: string) {
    this.#directoryName = directoryName;
  }

  apply(op: DiskOp): void {
    switch (op.kind) {
      case 'write':
      case 'truncate':
        this.#file(op.name).pending.push(op);
        return;
      case 'sync':
        if (op.name === this.#directoryName) this.#ghosts.clear();
        else this.#sync(this.#file(op.name));
        return;
      case 'unlink': {
        const file = this.#files.get(op.name);
        this.#files.delete(op.name);
        if (file?.isNamed === true) this.#ghosts.set(op.name, file);
        return;
      }
      case 'rename': {
        const file = this.#files.get(op.name);
        this.#files.delete(op.name);
        if (file !== undefined) this.#files.set(op.target, file);
        return;
      }
      case 'marker':
        return;
    }
  }

  /** Writes the disk a crash now could leave into an empty directory. */
  image(directory: string, mode: CrashMode, random: Random): void {
    for (const [name, file] of this.#ghosts) {
      if (mode === 'all' || random.chance(0.5)) continue;
      fs.writeFileSync(path.join(directory, name), file.durable.bytes);
    }
    for (const [name, file] of this.#files) {
      const isThere = file.isNamed || mode === 'all' || (mode !== 'none' && random.chance(0.5));
      if (!isThere) continue;
      const content = file.durable.copy();
      for (const op of survivors(file.pending, mode, random)) applyTo(content, op);
      fs.writeFileSync(path.join(directory, name), content.bytes);
    }
  }

  #file(name: string): DiskFile {
    let file = this.#files.get(name);
    if (file === undefined) {
      file = { durable: new Content(), isNamed: false, pending: [] };
      this.#files.set(name, file);
    }
    return file;
  }

  #sync(file: DiskFile): void {
    for (const op of file.pending) applyTo(file.durable, op);
    file.pending = [];
    file.isNamed = true;
  }
}

function applyTo(content: Content, op: FileOp): void {
  if (op.kind === 'write') content.write(op.offset, op.data);
  else content.truncate(op.size);
}

function survivors(pending: readonly FileOp[], mode: CrashMode, random: Random): FileOp[] {
  if (mode === 'none') return [];
  if (mode === 'all') return [...pending];
  const kept = pending.filter(() => random.chance(0.5));
  if (mode === 'subset' || kept.length === 0) return kept;
  const index = random.between(0, kept.length - 1);
  const torn = kept[index]!;
  if (torn.kind === 'write') {
    const sectors = Math.floor(torn.data.length / SECTOR_BYTES);
    const length = SECTOR_BYTES * random.between(0, sectors);
    kept[index] = { ...torn, data: torn.data.subarray(0, length) };
  }
  return kept;
}
