import { type Stats, statSync } from 'node:fs';
import { join } from 'node:path';

/** Letters, digits, `_` and `-`: no separator, no dot, nothing that leaves the directory. */
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_-]{0,127}$/;
/** In this order. */
const EXTENSIONS = ['.mjs', '.js'] as const;

/** A function that is there. */
export interface FunctionFile {
  readonly name: string;
  readonly path: string;
  /** Changes with the file. */
  readonly version: string;
}

/** True for what a function may be called. */
export function isFunctionName(name: string): boolean {
  return NAME.test(name);
}

/** Looks a function up; undefined when the name is none or there is no such file. */
export function findFunction(directory: string, name: string): FunctionFile | undefined {
  if (!isFunctionName(name)) return undefined;
  for (const extension of EXTENSIONS) {
    const path = join(directory, `${name}${extension}`);
    const stats: Stats | undefined = statSync(path, { throwIfNoEntry: false });
    if (stats?.isFile() === true) {
      return { name, path, version: `${stats.ino} ${stats.mtimeMs} ${stats.size}` };
    }
  }
  return undefined;
}
