/**
 * From what a request says to checked `Parameters`, by the action's row in the table.
 *
 * API 2.0 and the older mode of 3.0 bring a form (`msgTag.0=a&msgTag.1=b`), API 3.0 an object
 * (`{"MsgTag": ["a", "b"]}`). What the table does not name is tolerated. The first thing that is
 * wrong, in the order of the table, is the error.
 */
import { parameterFailure } from './error-mapper.ts';
import { type Form, nestedJson } from './form.ts';
import { Parameters, type ParameterValue } from './request-parameters.ts';
import type { ActionSpec, ActionV3 } from './spec/actions.ts';
import type { ParameterSpec } from './spec/parameters.ts';

/** Where values come from. */
export interface ParameterSource {
  /** All texts are known to be ASCII. */
  readonly isAscii: boolean;
  /** Undefined when it is not there. @throws CmqFailure for a list, or what is no Unicode */
  scalar(name: string): unknown;
  /** Items in order. @throws CmqFailure for gaps, or when it is there as no list */
  list(name: string, spec: ParameterSpec): readonly string[] | undefined;
  /** JSON text. @throws CmqFailure */
  json(name: string, spec: ParameterSpec): string | undefined;
}

/** @throws CmqFailure with the first thing that is wrong */
export function bindParameters(
  action: ActionSpec,
  v3: ActionV3 | undefined,
  source: ParameterSource,
): Parameters {
  const values = new Map<string, ParameterValue>();
  for (const spec of action.parameters) {
    const name = v3 === undefined ? spec.name : nameInV3(spec, v3);
    const value = read(spec, name, source, v3 !== undefined);
    if (value !== undefined) {
      if (spec.members === undefined) values.set(spec.name, value);
      else addMembers(action, spec, value as string, values);
    } else if (spec.isRequired === true || (spec.isRequired === 'v2' && v3 === undefined)) {
      throw parameterFailure(spec.missingError ?? 'PARAMETER_MISSING', name);
    }
  }
  return new Parameters(values, source.isAscii);
}

/** Name of a parameter in one action of API 3.0. */
export function nameInV3(spec: ParameterSpec, v3: ActionV3): string {
  return v3.parameters?.[spec.name] ?? spec.v3 ?? capitalized(spec.name);
}

/** `msgId` as `MsgId`. */
export function capitalized(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}

function read(
  spec: ParameterSpec,
  name: string,
  source: ParameterSource,
  isV3: boolean,
): ParameterValue | undefined {
  switch (spec.type) {
    case 'list':
      return readList(spec, name, source, isV3);
    case 'json':
      return source.json(name, spec);
    case 'integer':
      return readInteger(spec, name, source.scalar(name));
    case 'flag':
      return readFlag(name, source.scalar(name));
    case 'text':
      return readText(spec, name, source.scalar(name));
  }
}

function readInteger(spec: ParameterSpec, name: string, raw: unknown): number | undefined {
  if (raw === undefined || raw === null) return undefined;
  const isText = typeof raw === 'string';
  const isInteger = isText ? /^-?\d{1,20}$/.test(raw) : Number.isInteger(raw);
  if (!isInteger) throw parameterFailure('PARAMETER_TYPE', name);
  const value = Number(raw);
  if (value < spec.min || value > spec.max) throw parameterFailure(spec.rangeError, name);
  return value;
}

function readFlag(name: string, raw: unknown): boolean | undefined {
  if (raw === undefined || raw === null) return undefined;
  switch (typeof raw === 'string' ? raw.toLowerCase() : raw) {
    case 'true':
    case '1':
    case 1:
    case true:
      return true;
    case 'false':
    case '0':
    case 0:
    case false:
      return false;
    default:
      throw parameterFailure('PARAMETER_TYPE', name);
  }
}

function readText(spec: ParameterSpec, name: string, raw: unknown): string | undefined {
  if (raw === undefined || raw === null) return undefined;
  if (typeof raw !== 'string') throw parameterFailure('PARAMETER_TYPE', name);
  const isFitting = hasBytes(raw, spec.min, spec.max) && (spec.pattern?.test(raw) ?? true);
  if (!isFitting) throw parameterFailure(spec.rangeError, name);
  if (spec.choices !== undefined) {
    // SDKs send optional words as empty texts.
    if (raw === '' && spec.isRequired === false) return undefined;
    if (!spec.choices.includes(raw)) throw parameterFailure(spec.rangeError, name);
  }
  checkDots(spec, name, raw);
  return raw;
}

function readList(
  spec: ParameterSpec,
  name: string,
  source: ParameterSource,
  isV3: boolean,
): readonly string[] | undefined {
  const items = source.list(name, spec);
  if (items === undefined) return undefined;
  if (items.length < spec.min || items.length > spec.max) {
    throw parameterFailure(spec.rangeError, name);
  }
  const { item } = spec;
  for (const text of items) {
    if (item !== undefined) {
      const max = isV3 ? (item.v3Max ?? item.max) : item.max;
      const fits = item.isCharacters === true ? hasCharacters : hasBytes;
      if (!fits(text, item.min, max)) throw parameterFailure(item.rangeError, name);
    }
    checkDots(spec, name, text);
  }
  return items;
}

function checkDots(spec: ParameterSpec, name: string, value: string): void {
  if (spec.dots === undefined) return;
  let count = 0;
  for (let at = value.indexOf('.'); at >= 0; at = value.indexOf('.', at + 1)) count += 1;
  if (count > spec.dots.max) throw parameterFailure(spec.dots.error, name);
}

function hasCharacters(value: string, min: number, max: number): boolean {
  // A character has one or two units of the string.
  if (value.length < min || value.length > 2 * max) return false;
  const { length } = Array.from(value);
  return length >= min && length <= max;
}

/** UTF-8 bytes; counted only when the length leaves a doubt. */
function hasBytes(value: string, min: number, max: number): boolean {
  if (value.length > max) return false;
  if (value.length * 3 > max && Buffer.byteLength(value) > max) return false;
  return value.length >= min || Buffer.byteLength(value) >= min;
}

/** Members of a JSON object stand for parameters of their own; those that were given win. */
function addMembers(
  action: ActionSpec,
  spec: ParameterSpec,
  text: string,
  values: Map<string, ParameterValue>,
): void {
  const object = JSON.parse(text) as unknown;
  if (typeof object !== 'object' || object === null || Array.isArray(object)) {
    throw parameterFailure('PARAMETER_FORMAT', spec.name);
  }
  const source = new ObjectSource(object);
  for (const [member, parameter] of Object.entries(spec.members!)) {
    const target = action.parameters.find(({ name }) => name === parameter)!;
    const value =
      read(target, member, source, false) ?? read(target, capitalized(member), source, false);
    if (value !== undefined && !values.has(parameter)) values.set(parameter, value);
  }
}

/** Digits of the number of an item at most. */
const INDEX_DIGITS_MAX = 4;

/** The number from `start` to the end of a name, as JavaScript writes it; -1 when it is none. */
function indexFrom(name: string, start: number): number {
  const digits = name.length - start;
  if (digits < 1 || digits > INDEX_DIGITS_MAX) return -1;
  let index = 0;
  for (let at = start; at < name.length; at += 1) {
    const digit = name.charCodeAt(at) - 0x30;
    if (digit < 0 || digit > 9 || (digit === 0 && at === start && digits > 1)) return -1;
    index = index * 10 + digit;
  }
  return index;
}

/** Parameters of a form. */
export class FormSource implements ParameterSource {
  readonly #form: Form;

  constructor(form: Form) {
    this.#form = form;
  }

  get isAscii(): boolean {
    return this.#form.isAscii;
  }

  scalar(name: string): string | undefined {
    const value = this.#form.get(name);
    if (value !== undefined || !this.#form.hasDots) return value;
    if (this.#form.has(`${name}.0`) || this.#form.has(`${name}.1`)) {
      throw parameterFailure('PARAMETER_REPEATED', name);
    }
    return undefined;
  }

  list(name: string, spec: ParameterSpec): readonly string[] | undefined {
    if (this.#form.has(name)) throw parameterFailure('PARAMETER_FORMAT', name);
    const { names, values, hasDots } = this.#form;
    if (!hasDots) return undefined;
    const prefix = `${name}.`;
    const items: (string | undefined)[] = [];
    let count = 0;
    for (let at = 0; at < names.length; at += 1) {
      const full = names[at]!;
      if (!full.startsWith(prefix)) continue;
      const index = indexFrom(full, prefix.length);
      if (index < 0) throw parameterFailure('PARAMETER_FORMAT', full);
      items[index] = values[at];
      count += 1;
    }
    if (count === 0) return undefined;
    if (count > spec.max) throw parameterFailure(spec.rangeError, name);
    const first = items[0] === undefined ? 1 : 0;
    const list = items.slice(first);
    // Holes, and items beyond a hole, make the array longer than what was counted.
    if (list.length !== count) throw parameterFailure('BATCH_INDEX', name);
    return list as string[];
  }

  /** A JSON text, or as the SDKs of API 3.0 flatten it: `name.0.Key=a&name.0.Value=b`. */
  json(name: string, spec: ParameterSpec): string | undefined {
    const text = this.#form.get(name) ?? nestedJson(this.#form, name);
    if (text === undefined || text === '') return undefined;
    if (!hasBytes(text, spec.min, spec.max)) throw parameterFailure(spec.rangeError, name);
    if (!isJson(text)) throw parameterFailure('PARAMETER_FORMAT', name);
    return text;
  }
}

/** Half of a pair, which JSON can escape and UTF-8 cannot write: it would be stored as U+FFFD. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** Parameters of a JSON object; its own members only. */
export class ObjectSource implements ParameterSource {
  readonly isAscii = false;
  readonly #object: Readonly<Record<string, unknown>>;

  constructor(object: object) {
    this.#object = object as Readonly<Record<string, unknown>>;
  }

  scalar(name: string): unknown {
    const value = Object.hasOwn(this.#object, name) ? this.#object[name] : undefined;
    if (typeof value === 'string') checkWritable(value, name);
    return value;
  }

  list(name: string): readonly string[] | undefined {
    const value = this.scalar(name);
    if (value === undefined || value === null) return undefined;
    if (!Array.isArray(value)) throw parameterFailure('PARAMETER_TYPE', name);
    const items = value as readonly unknown[];
    if (!items.every((item) => typeof item === 'string')) {
      throw parameterFailure('PARAMETER_TYPE', name);
    }
    for (const item of items) checkWritable(item, name);
    return items;
  }

  json(name: string, spec: ParameterSpec): string | undefined {
    const value = this.scalar(name);
    if (value === undefined || value === null) return undefined;
    const text = writeJson(value, name);
    if (!hasBytes(text, spec.min, spec.max)) throw parameterFailure(spec.rangeError, name);
    return text;
  }
}

function checkWritable(text: string, name: string): void {
  if (LONE_SURROGATE.test(text)) throw parameterFailure('PARAMETER_FORMAT', name);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Nesting can be too deep to write. */
function writeJson(value: unknown, name: string): string {
  try {
    return JSON.stringify(value);
  } catch {
    throw parameterFailure('PARAMETER_FORMAT', name);
  }
}
