/**
 * House rules that no compiler checks, as pure functions from sources to sentences about what is
 * wrong, so that each can be tested on planted mistakes. Function length and floating promises
 * are the linter's.
 */
import { posix } from 'node:path';
import type { SourceFile } from './source-tree.ts';

/** An import of another module. */
interface Import {
  readonly target: string;
  /** Gone after compilation. */
  readonly isType: boolean;
}

export const FILE_LINES_MAX = 500;
export const LINE_COLUMNS_MAX = 100;

const IMPORT = /^(?:import|export)\s+(type\s)?(?:[\w*{][^;'"]*?\sfrom\s+)?['"]([^'"]+)['"]/gm;
const DYNAMIC_IMPORT = /\bimport\(\s*['"]([^'"]+)['"]/g;

/** Static and dynamic imports; those of a relative path are resolved from the root. */
export function importsOf({ path, text }: SourceFile): readonly Import[] {
  // A generator holds the imports of what it writes.
  if (path.endsWith('/spec/generate.ts')) return [];
  const resolve = (target: string): string =>
    target.startsWith('.') ? posix.join(posix.dirname(path), target) : target;
  return [
    ...[...text.matchAll(IMPORT)].map(([, type, target]) => ({
      target: resolve(target!),
      isType: type !== undefined,
    })),
    ...[...text.matchAll(DYNAMIC_IMPORT)].map(([, target]) => ({
      target: resolve(target!),
      isType: false,
    })),
  ];
}

const PRODUCT = /^(src|protocols)\//;
const OWN = /^(src|protocols|test|bench|conformance|scripts)\//;

/** What each part may import of ours, besides itself. The first part that matches counts. */
const MAY_IMPORT: readonly (readonly [part: RegExp, allowed: RegExp])[] = [
  [/^src\/base\//, /^$/],
  [/^src\/net\//, /^src\/base\//],
  [/^src\/engine\//, /^src\/base\//],
  [/^src\/store\//, /^src\/(base\/|engine\/(ports|message)\.ts$)/],
  [/^protocols\/[^/]+\//, /^src\/(base|net|engine)\//],
  [/^src\/(server\/|main\.ts$)/, /^(src|protocols)\//],
  [/^conformance\//, /^$/],
  [/^bench\//, /^(src|protocols)\//],
  [/^test\//, /^(src|protocols|bench|scripts)\//],
];

/** Packages that one file alone may import. */
const ONE_DOOR: Readonly<Record<string, string>> = {
  sqlite3: 'src/store/sqlite/driver.ts',
  pino: 'src/server/process-log.ts',
  commander: 'src/server/command-line.ts',
  'smol-toml': 'src/server/config-loader.ts',
};

/** Imports go one way. */
export function checkLayers(files: readonly SourceFile[]): string[] {
  const problems: string[] = [];
  for (const file of files) {
    const rule = MAY_IMPORT.find(([part]) => part.test(file.path));
    if (rule === undefined) continue;
    const home = rule[0].exec(file.path)![0];
    for (const { target } of importsOf(file)) {
      const isForeign = OWN.test(target) && !target.startsWith(home) && !rule[1].test(target);
      if (isForeign) problems.push(`${file.path} must not import ${target}`);
      const door = Object.hasOwn(ONE_DOOR, target) ? ONE_DOOR[target] : undefined;
      if (door !== undefined && PRODUCT.test(file.path) && door !== file.path) {
        problems.push(`${file.path} must not import ${target}: only ${door} may`);
      }
    }
  }
  return problems;
}

/** No module waits for itself; imports of types alone do not count. */
export function checkCycles(files: readonly SourceFile[]): string[] {
  const graph = new Map(
    files.map((file) => [
      file.path,
      importsOf(file)
        .filter(({ isType }) => !isType)
        .map(({ target }) => target),
    ]),
  );
  const problems: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) {
      problems.push(`import cycle: ${[...trail.slice(start), path].join(' -> ')}`);
      return;
    }
    if (done.has(path)) return;
    for (const target of graph.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return problems;
}

/** The engine is deterministic: what it needs from outside is passed in. */
export function checkDeterminism(files: readonly SourceFile[]): string[] {
  const forbidden =
    /\b(Date\.now|new Date\(\)|Math\.random|setTimeout|setInterval|setImmediate|performance\.now|randomBytes|randomUUID)\b/;
  return files
    .filter(({ path }) => path.startsWith('src/engine/'))
    .flatMap((file) =>
      codeLines(file)
        .filter(({ text }) => forbidden.test(text))
        .map(({ number }) => `${file.path}:${number} reads time or randomness by itself`),
    );
}

/** Length of files and lines of the product; elsewhere the formatter wraps what can be wrapped. */
export function checkSizes(files: readonly SourceFile[]): string[] {
  const problems: string[] = [];
  for (const { path, text } of files) {
    if (path.includes('.generated.') || !PRODUCT.test(path)) continue;
    const lines = text.split('\n');
    if (lines.length > FILE_LINES_MAX) {
      problems.push(`${path} has ${lines.length} lines, more than ${FILE_LINES_MAX}`);
    }
    for (const [index, line] of lines.entries()) {
      // A long literal (hex, a reply text) or an address reads no better in pieces.
      const isExcused = /https?:\/\/|^\s*['"`][^'"`]*['"`][,;)]*$/.test(line);
      if ([...line].length > LINE_COLUMNS_MAX && !isExcused) {
        problems.push(`${path}:${index + 1} is longer than ${LINE_COLUMNS_MAX} columns`);
      }
    }
  }
  return problems;
}

/** Built from parts, so that this file does not break its own rules. */
const DEBT = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX'].join('|')})\\b`);
const NARROWED = new RegExp(`\\b(test|it|describe|suite)\\.(${'on' + 'ly|sk' + 'ip'})\\b`);
const DEFAULT_EXPORT = new RegExp(`^export ${'def' + 'ault'}\\b`);
const ENUM = new RegExp(`^(export )?(const )?${'en' + 'um'} \\w`);

/** No notes of debt, no narrowed tests, named exports only, no enums. */
export function checkWords(files: readonly SourceFile[]): string[] {
  const problems: string[] = [];
  for (const file of files) {
    for (const [index, line] of file.text.split('\n').entries()) {
      const where = `${file.path}:${index + 1}`;
      if (DEBT.test(line)) problems.push(`${where} leaves a note of debt`);
      if (NARROWED.test(line)) problems.push(`${where} narrows or skips tests`);
      if (ENUM.test(line)) problems.push(`${where} uses an enum`);
      if (DEFAULT_EXPORT.test(line) && !/\.config\.[mc]?ts$/.test(file.path)) {
        problems.push(`${where} has a default export`);
      }
    }
  }
  return problems;
}

/** Files are named in kebab case, after the noun they hold. */
export function checkNames(files: readonly SourceFile[]): string[] {
  return files
    .filter(({ path }) => !/^[a-z0-9]+([-.][a-z0-9]+)*$/.test(posix.basename(path)))
    .map(({ path }) => `${path} is not named in kebab case`);
}

/** A barrel hides where things live. */
export function checkBarrels(files: readonly SourceFile[]): string[] {
  return files
    .filter(({ text }) => /^export \* from/m.test(text))
    .map(({ path }) => `${path} re-exports a whole module`);
}

/** Sources name no machine's folders. */
export function checkMachinePaths(files: readonly SourceFile[]): string[] {
  const home = new RegExp(
    `(^|[\\s'"\`(=])/(${['wo' + 'rk', 'ro' + 'ot', 'ho' + 'me'].join('|')})/`,
  );
  return files.flatMap(({ path, text }) =>
    text
      .split('\n')
      .flatMap((line, index) =>
        home.test(line) ? [`${path}:${index + 1} names a folder of one machine`] : [],
      ),
  );
}

/** A lock file with hosts in it only installs where those hosts are reachable. */
export function checkLockFile(text: string): string[] {
  const lock = JSON.parse(text) as {
    readonly packages: Readonly<Record<string, { readonly resolved?: string }>>;
  };
  return Object.entries(lock.packages)
    .filter(([, { resolved }]) => resolved !== undefined && /^https?:/.test(resolved))
    .map(([path, { resolved }]) => `package-lock.json: ${path} is bound to ${String(resolved)}`);
}

/** Lines outside comments. */
function codeLines({ text }: SourceFile): { readonly text: string; readonly number: number }[] {
  const blanked = text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' '))
    .replace(/(^|\s)\/\/.*$/gm, '$1');
  return blanked.split('\n').map((line, index) => ({ text: line, number: index + 1 }));
}
