import type { Command, Help } from 'commander';

/** Where what an option means begins, in columns. */
const TEXT_COLUMN = 30;
/** Columns of text at the least, however narrow the terminal is. */
const TEXT_COLUMNS_MIN = 40;
const INDENT = '  ';

/**
 * Has a program print its options in two columns that fit a terminal of 80: what is too long for
 * the first has a line of its own.
 */
export function formatHelp(program: Command): void {
  program.configureHelp({ formatItem });
}

function formatItem(term: string, _: number, description: string, helper: Help): string {
  const columns = Math.max((helper.helpWidth ?? 80) - TEXT_COLUMN, TEXT_COLUMNS_MIN);
  const margin = ' '.repeat(TEXT_COLUMN);
  const text = helper.boxWrap(description, columns).replaceAll('\n', `\n${margin}`);
  const first = INDENT + term;
  const isShort = first.length < TEXT_COLUMN - 1;
  return isShort ? first.padEnd(TEXT_COLUMN) + text : `${first}\n${margin}${text}`;
}
