import type { FieldTable } from '../base/field-value.ts';
import { EMPTY_TABLE } from '../base/field-value.ts';
import { NAME_BYTES_MAX } from '../base/limits.ts';
import { tableFromPlain } from './plain-json.ts';

/** Reads the fields of one entry; a mistake is noted and a harmless value returned. */
export class EntryReader {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly #label: string;
  readonly #problems: string[];

  private constructor(
    fields: Readonly<Record<string, unknown>>,
    label: string,
    problems: string[],
  ) {
    this.fields = fields;
    this.#label = label;
    this.#problems = problems;
  }

  /** @param place stands for the name of an entry that has none */
  static of(
    item: unknown,
    kind: string,
    place: string,
    problems: string[],
  ): EntryReader | undefined {
    if (typeof item !== 'object' || item === null || Array.isArray(item)) {
      problems.push(`${place}: must be an object`);
      return undefined;
    }
    const fields = item as Readonly<Record<string, unknown>>;
    const own = fields['name'] ?? fields['id'] ?? fields['user'];
    const topic = fields['topic'];
    const isInTopic = typeof own === 'string' && typeof topic === 'string';
    const name = isInTopic ? `${topic}/${own}` : own;
    const vhost = fields['vhost'];
    const where = typeof vhost === 'string' ? ` in vhost '${vhost}'` : '';
    const label = typeof name === 'string' ? `${kind} '${name}'${where}` : `${kind} ${place}`;
    return new EntryReader(fields, label, problems);
  }

  /** The object in a field, read under the same name. */
  inner(key: string): EntryReader {
    const value = this.fields[key];
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    if (!isObject) this.fail(`${key} must be an object`);
    const fields = (isObject ? value : {}) as Readonly<Record<string, unknown>>;
    return new EntryReader(fields, this.#label, this.#problems);
  }

  raw(key: string): unknown {
    return this.fields[key];
  }

  fail(text: string): void {
    this.#problems.push(`${this.#label}: ${text}`);
  }

  /** A text; without `fallback` it must be there. */
  text(key: string, fallback?: string): string {
    const value = this.fields[key] ?? fallback;
    if (typeof value === 'string') return value;
    this.fail(value === undefined ? `${key} is missing` : `${key} must be a text`);
    return '';
  }

  /** A name that is not empty and fits AMQP. */
  name(key: string): string {
    const value = this.text(key);
    if (value === '' && this.fields[key] === '') this.fail(`${key} must not be empty`);
    return this.#limited(key, value);
  }

  /** A name or key that may be empty. */
  shortText(key: string): string {
    return this.#limited(key, this.text(key, ''));
  }

  flag(key: string, fallback: boolean): boolean {
    const value = this.fields[key] ?? fallback;
    if (typeof value !== 'boolean') this.fail(`${key} must be true or false`);
    return value === true;
  }

  /** A whole number, or `fallback` when it is not there. */
  integer(key: string, fallback: number): number {
    const value = this.fields[key] ?? fallback;
    if (!Number.isSafeInteger(value)) this.fail(`${key} must be a whole number`);
    return value as number;
  }

  /** One of `choices`, or `fallback`; without, it must be there. */
  choice<T extends string>(key: string, choices: readonly [T, ...T[]], fallback?: T): T {
    const value = this.text(key, fallback);
    const found = choices.find((choice) => choice === value);
    if (found === undefined) this.fail(`${key} must be one of ${choices.join(', ')}`);
    return found ?? choices[0];
  }

  /** A list of texts, possibly empty or not there. */
  texts(key: string): readonly string[] {
    const value = this.fields[key] ?? [];
    if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
    this.fail(`${key} must be a list of texts`);
    return [];
  }

  table(key: string): FieldTable {
    const table = tableFromPlain(this.fields[key] ?? {});
    if (typeof table !== 'string') return table;
    this.fail(`${key} ${table}`);
    return EMPTY_TABLE;
  }

  #limited(key: string, value: string): string {
    if (Buffer.byteLength(value) > NAME_BYTES_MAX) {
      this.fail(`${key} is longer than ${NAME_BYTES_MAX} bytes`);
    }
    return value;
  }
}
