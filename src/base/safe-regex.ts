/**
 * Regular expressions that people give us at run time: permissions, policies, filters.
 *
 * One pattern can freeze a single-threaded process: `^(a+)+$` takes V8's backtracking engine 25 s
 * on 28 characters. Three fences:
 *
 * 1. Length of pattern and subject are capped.
 * 2. Backreferences and lookaround are refused: no automaton can run them.
 * 3. What is left is regular. `allowLinearFallback`, called at start-up, tells V8 to hand a match
 *    that backtracks too often over to its linear-time engine.
 */
import { setFlagsFromString } from 'node:v8';
import { BrokerError } from './errors.ts';

/** Longest pattern, in UTF-16 code units. */
export const REGEX_PATTERN_MAX = 1024;

/**
 * Largest repeat count, as in `a{1000}`. The linear engine unrolls repeats, nested ones multiply;
 * V8 refuses the fallback for programs that grow too large.
 */
export const REGEX_REPEAT_MAX = 255;

/** Why a pattern is refused; undefined when it is fine. */
export function findRegexProblem(pattern: string): string | undefined {
  if (pattern.length > REGEX_PATTERN_MAX) {
    return `pattern is longer than ${REGEX_PATTERN_MAX} characters`;
  }
  const problem = findIrregular(pattern);
  if (problem !== undefined) return problem;
  try {
    new RegExp(pattern);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : 'pattern is not a regular expression';
  }
}

/**
 * Compiles a pattern for an unanchored search.
 * @throws BrokerError PRECONDITION_FAILED when it is refused
 */
export function compileSafeRegex(pattern: string): RegExp {
  const problem = findRegexProblem(pattern);
  if (problem !== undefined) {
    throw new BrokerError('PRECONDITION_FAILED', `invalid regular expression: ${problem}`);
  }
  return new RegExp(pattern);
}

/** Makes every character of `text` stand for itself inside a pattern, outside and inside classes. */
export function escapeRegex(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/\-]/g, '\\$&');
}

/**
 * Turns V8's linear-time fallback on, for the whole process. Call once, before the first pattern
 * is compiled.
 */
export function allowLinearFallback(): void {
  setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks');
  setFlagsFromString('--regexp-backtracks-before-fallback=50000');
}

/** Finds constructs that are not regular, or repeats above the limit. */
function findIrregular(pattern: string): string | undefined {
  let isInClass = false;
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i];
    if (char === '\\') {
      i++;
      const escaped = pattern[i] ?? '';
      if (isInClass) continue;
      if ((escaped >= '1' && escaped <= '9') || (escaped === 'k' && pattern[i + 1] === '<')) {
        return 'backreferences are not allowed';
      }
    } else if (isInClass) {
      if (char === ']') isInClass = false;
    } else if (char === '[') {
      isInClass = true;
    } else if (char === '(' && /^\(\?<?[=!]/.test(pattern.slice(i, i + 4))) {
      return 'lookahead and lookbehind are not allowed';
    } else if (char === '{' && isRepeatTooLarge(pattern, i)) {
      return `repeat counts above ${REGEX_REPEAT_MAX} are not allowed`;
    }
  }
  return undefined;
}

function isRepeatTooLarge(pattern: string, start: number): boolean {
  const match = /^\{(\d+)(?:,(\d*))?\}/.exec(pattern.slice(start, start + 32));
  if (match === null) return /^\{\d{4,}/.test(pattern.slice(start, start + 32));
  return Number(match[1]) > REGEX_REPEAT_MAX || Number(match[2] ?? 0) > REGEX_REPEAT_MAX;
}
