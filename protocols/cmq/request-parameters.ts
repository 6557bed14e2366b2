import { assert } from '../../src/base/assert.ts';

/** A value of a parameter, checked: by its type in the action's table. */
export type ParameterValue = string | number | boolean | readonly string[];

const NONE: ReadonlyMap<string, ParameterValue> = new Map();

/**
 * The parameters of one call, by their 2.0 names. All are of the type and in the range of the
 * action's table; asking for one that the table has not, or by another type, is a bug.
 */
export class Parameters {
  /** All texts are known to be ASCII: as many bytes as characters. */
  readonly isAscii: boolean;
  #values: ReadonlyMap<string, ParameterValue>;

  constructor(values: ReadonlyMap<string, ParameterValue>, isAscii = false) {
    this.isAscii = isAscii;
    this.#values = values;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** Forgets all: nobody asks any more, and what waits for a commit need not keep a request. */
  release(): void {
    this.#values = NONE;
  }

  /** A text, or the JSON text of a `json` parameter, that the table requires. */
  text(name: string): string {
    const value = this.optionalText(name);
    assert(value !== undefined, `parameter ${name} is required`);
    return value;
  }

  integer(name: string): number {
    const value = this.optionalInteger(name);
    assert(value !== undefined, `parameter ${name} is required`);
    return value;
  }

  optionalText(name: string): string | undefined {
    const value = this.#values.get(name);
    assert(value === undefined || typeof value === 'string', `parameter ${name} is no text`);
    return value;
  }

  optionalInteger(name: string): number | undefined {
    const value = this.#values.get(name);
    assert(value === undefined || typeof value === 'number', `parameter ${name} is no integer`);
    return value;
  }

  optionalFlag(name: string): boolean | undefined {
    const value = this.#values.get(name);
    assert(value === undefined || typeof value === 'boolean', `parameter ${name} is no flag`);
    return value;
  }

  /** Items in order; empty when the parameter is not there (`has` tells). */
  list(name: string): readonly string[] {
    const value = this.#values.get(name) ?? [];
    assert(Array.isArray(value), `parameter ${name} is no list`);
    return value as readonly string[];
  }
}
