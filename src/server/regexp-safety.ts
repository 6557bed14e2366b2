import { setFlagsFromString } from 'node:v8';

/**
 * Makes V8 give up backtracking early and finish with its linear engine: a pattern like
 * `^(a+)+$` in a permission or policy would otherwise stop the whole process for seconds on a
 * name of 28 letters. Patterns with back references are not covered: whoever accepts patterns
 * refuses those. Call once, before any pattern of a user is compiled.
 */
export function limitRegexpBacktracking(): void {
  setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks');
  // 50,000 backtracks take well below a millisecond.
  setFlagsFromString('--regexp-backtracks-before-fallback=50000');
}
