/** Where what an option means begins, in columns. */
const TEXT_COLUMN = 30;
/** Columns of text at the least, however narrow the terminal is. */
const TEXT_COLUMNS_MIN = 40;
const INDENT = '  ';

/** What the formatter needs of the program's help. */
interface Helper {
  /** Columns of the terminal. */
  helpWidth?: number | undefined;
  boxWrap(text: string, columns: number): string;
}

/**
 * One option of the help in two columns that fit a terminal of 80: what is too long for the first
 * has a line of its own.
 */
export function formatHelpItem(term: string, _: number, text: string, helper: Helper): string {
  const columns = Math.max((helper.helpWidth ?? 80) - TEXT_COLUMN, TEXT_COLUMNS_MIN);
  const margin = ' '.repeat(TEXT_COLUMN);
  const wrapped = helper.boxWrap(text, columns).replaceAll('\n', `\n${margin}`);
  const first = INDENT + term;
  const isShort = first.length < TEXT_COLUMN - 1;
  return isShort ? first.padEnd(TEXT_COLUMN) + wrapped : `${first}\n${margin}${wrapped}`;
}
