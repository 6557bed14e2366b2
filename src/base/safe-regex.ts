/**
 * Regular expressions that people give us at run time: permissions, policies, filters.
 *
 * One pattern can freeze a single-threaded process: `^(a+)+$` takes V8's backtracking engine 25 s
 * on 28 characters. V8 also has a linear-time engine, and a flag that hands a match over to it
 * after too many backtracks. That engine cannot run everything, so:
 *
 * 1. Backreferences and lookaround are refused: no automaton can run them.
 * 2. Counted repeats are written out (`a{3}` becomes `aaa`): the linear engine takes counts up to
 *    16 only, and one `[0-9a-f]{32}` would take its protection from the whole pattern.
 * 3. Nested `+` copy their operand inside the engine, twice per level, 16 copies at most: four
 *    levels pass, more are refused.
 * 4. The pattern and what it becomes when written out are capped in length, so that compiling and
 *    every match stay small: a match costs at most pattern x subject steps.
 */
import { setFlagsFromString } from 'node:v8';
import { BrokerError } from './errors.ts';

/** Longest pattern, in UTF-16 code units. */
export const REGEX_PATTERN_MAX = 1024;

/** Longest pattern with its repeats written out, in UTF-16 code units. */
export const REGEX_EXPANDED_MAX = 4096;

/** How often V8's linear engine copies an operand at most (its kMaxReplicationFactor). */
const COPIES_MAX = 16;

/** Deepest nesting of groups: the rewriting below is recursive. */
const GROUP_DEPTH_MAX = 64;

const REFUSAL = 'invalid regular expression: ';

/** Why a pattern is refused; undefined when it is fine. */
export function findRegexProblem(pattern: string): string | undefined {
  try {
    compileSafeRegex(pattern);
    return undefined;
  } catch (error) {
    return (error as Error).message.slice(REFUSAL.length);
  }
}

/**
 * Compiles a pattern for an unanchored search with `test`. Groups capture nothing.
 * @throws BrokerError PRECONDITION_FAILED when it is refused
 */
export function compileSafeRegex(pattern: string): RegExp {
  if (pattern.length > REGEX_PATTERN_MAX) {
    refuse(`pattern is longer than ${REGEX_PATTERN_MAX} characters`);
  }
  allowLinearFallback();
  return compile(new Rewriter(compile(pattern).source).rewrite());
}

/** Makes every character of `text` stand for itself in a pattern, in and outside classes. */
export function escapeRegex(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}

function compile(pattern: string): RegExp {
  try {
    return new RegExp(pattern);
  } catch (error) {
    // V8 begins with the words that `refuse` begins with.
    return refuse((error as Error).message.replace(/^Invalid regular expression: /, ''));
  }
}

let isFallbackOn = false;

/** Turns the hand-over to the linear engine on, for patterns compiled from now on. */
export function allowLinearFallback(): void {
  if (isFallbackOn) return;
  isFallbackOn = true;
  setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks');
  setFlagsFromString('--regexp-backtracks-before-fallback=50000');
}

interface Repeat {
  readonly min: number;
  readonly max: number;
}

/** One part of a pattern, rewritten. */
interface Part {
  readonly text: string;
  /** Copies the linear engine makes of its innermost operand. */
  readonly copies: number;
}

/** Rewrites a pattern that is known to be valid JavaScript (without the `u` flag). */
class Rewriter {
  readonly #pattern: string;
  #at = 0;
  #depth = 0;

  constructor(pattern: string) {
    this.#pattern = pattern;
  }

  rewrite(): string {
    return this.#sequence().text;
  }

  /** Reads up to the end or to the parenthesis that closes this group. */
  #sequence(): Part {
    let text = '';
    let copies = 1;
    while (this.#at < this.#pattern.length && this.#pattern[this.#at] !== ')') {
      const atom = this.#atom();
      const part = this.#repeated(atom);
      text += part.text;
      copies = Math.max(copies, part.copies);
      if (text.length > REGEX_EXPANDED_MAX) {
        refuse(`pattern is longer than ${REGEX_EXPANDED_MAX} characters with repeats written out`);
      }
    }
    return { text, copies };
  }

  #atom(): Part {
    const start = this.#at;
    const char = this.#pattern[start];
    if (char === '(') return this.#group();
    if (char === '\\') this.#at += this.#escapeLength();
    else if (char === '[') this.#at = this.#classEnd();
    else this.#at++;
    return { text: this.#pattern.slice(start, this.#at), copies: 1 };
  }

  #group(): Part {
    const head = /\((?:\?(?:<?[=!]|:|<[^>]*>)?)?/y;
    head.lastIndex = this.#at;
    const opening = head.exec(this.#pattern)?.[0] ?? '(';
    if (opening.endsWith('=') || opening.endsWith('!')) {
      refuse('lookahead and lookbehind are not allowed');
    }
    if (++this.#depth > GROUP_DEPTH_MAX) refuse('groups are nested too deep');
    this.#at += opening.length;
    const inside = this.#sequence();
    this.#at++;
    this.#depth--;
    return { text: `(?:${inside.text})`, copies: inside.copies };
  }

  #escapeLength(): number {
    const rest = this.#pattern.slice(this.#at, this.#at + 6);
    const code = rest[1] ?? '';
    if ((code >= '1' && code <= '9') || code === 'k') refuse('backreferences are not allowed');
    const long = /^\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|c[A-Za-z]|0[0-7]{1,2})/.exec(rest);
    return long === null ? 2 : long[0].length;
  }

  /** Index after the class that starts here. */
  #classEnd(): number {
    let at = this.#at + 1;
    while (this.#pattern[at] !== ']') at += this.#pattern[at] === '\\' ? 2 : 1;
    return at + 1;
  }

  /** The atom with the quantifier that follows it, if any, written out. */
  #repeated(atom: Part): Part {
    const quantifier = /(?:[*+?]|\{(\d+)(?:(,)(\d*))?\})\??/y;
    quantifier.lastIndex = this.#at;
    const match = quantifier.exec(this.#pattern);
    if (match === null) return atom;
    this.#at = quantifier.lastIndex;
    const sign = match[0][0];
    if (sign === '*' || sign === '?') return { text: atom.text + sign, copies: atom.copies };
    if (sign === '+') {
      if (atom.copies * 2 > COPIES_MAX) refuse('repeats are nested too deep');
      return { text: `${atom.text}+`, copies: atom.copies * 2 };
    }
    const min = Number(match[1]);
    const max = match[2] === undefined ? min : Number(match[3] === '' ? Infinity : match[3]);
    return { text: writeOut(atom.text, { min, max }), copies: atom.copies };
  }
}

/** `x{2,4}` as `xx(?:x(?:x)?)?`, `x{2,}` as `xxx*`. */
function writeOut(atom: string, { min, max }: Repeat): string {
  const optional = max === Infinity ? 0 : max - min;
  const expandedLength = atom.length * min + (atom.length + '(?:)?'.length) * optional;
  if (expandedLength > REGEX_EXPANDED_MAX) {
    refuse(`pattern is longer than ${REGEX_EXPANDED_MAX} characters with repeats written out`);
  }
  const required = atom.repeat(min);
  if (max === Infinity) return `${required}${atom}*`;
  return `(?:${required}${`(?:${atom}`.repeat(optional)}${')?'.repeat(optional)})`;
}

function refuse(problem: string): never {
  throw new BrokerError('PRECONDITION_FAILED', REFUSAL + problem);
}
