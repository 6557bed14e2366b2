import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

const SKIPPED = new Set(['node_modules', 'dist', '.git', '.cache', 'coverage', 'data', 'target']);

/** One text file of the repository. */
export interface SourceFile {
  /** From the root, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

/** All files under the given folders whose names end in one of `endings`. */
export function readSources(folders: readonly string[], endings: readonly string[]): SourceFile[] {
  const files: SourceFile[] = [];
  const visit = (folder: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        if (!SKIPPED.has(entry.name)) visit(path);
      } else if (entry.isFile() && endings.some((ending) => entry.name.endsWith(ending))) {
        const name = relative(ROOT, path).replaceAll('\\', '/');
        files.push({ path: name, text: readFileSync(path, 'utf8') });
      }
    }
  };
  for (const folder of folders) visit(join(ROOT, folder));
  return files;
}
