/** Asserts stay on in production: a broken invariant must not become a lost message. */

/** A programmer error: the state this process is in was thought impossible. */
export class AssertionFailure extends Error {
  constructor(text: string) {
    super(text);
    this.name = 'AssertionFailure';
  }
}

/** Throws `AssertionFailure` unless `condition` holds. */
export function assert(condition: unknown, text: string): asserts condition {
  if (!condition) throw new AssertionFailure(text);
}
