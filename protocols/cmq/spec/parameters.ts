/** What a parameter of an action may be, as data; `request-parameters.ts` checks against it. */
import type { CmqErrorName } from './errors.ts';

export interface ParameterSpec {
  /** Name in API 2.0, by which handlers ask for it. */
  readonly name: string;
  /** `flag`: 0, 1, true, false. `list`: `name.0 ...` or `name.1 ...`, contiguous. `json`: any. */
  readonly type: 'text' | 'integer' | 'flag' | 'list' | 'json';
  /** `v2`: in API 2.0 only. */
  readonly isRequired: boolean | 'v2';
  /** Name in API 3.0 where it is not the 2.0 name with a capital. */
  readonly v3?: string;
  /** Least and largest integer; UTF-8 bytes of a text; items of a list. */
  readonly min: number;
  readonly max: number;
  /** Code of a value beyond `min` and `max`, or not of the choices or the pattern. */
  readonly rangeError: CmqErrorName;
  /** Code when a required one is not there; PARAMETER_MISSING without. */
  readonly missingError?: CmqErrorName;
  /** The whole text. */
  readonly pattern?: RegExp;
  readonly choices?: readonly string[];
  /** Items of a list. */
  readonly item?: {
    /** UTF-8 bytes. */
    readonly min: number;
    readonly max: number;
    /** Its length is counted in characters, not in bytes. */
    readonly isCharacters?: boolean;
    /** In API 3.0, where that differs. */
    readonly v3Max?: number;
    readonly rangeError: CmqErrorName;
  };
  /** Most dots in the text, or in each item. */
  readonly dots?: { readonly max: number; readonly error: CmqErrorName };
  /** A JSON object whose members stand for other parameters, by member name. */
  readonly members?: Readonly<Record<string, string>>;
}

type Traits = Partial<Omit<ParameterSpec, 'name' | 'type' | 'min' | 'max'>>;

/** An integer from `min` to `max`. */
export function integer(
  name: string,
  min: number,
  max: number,
  traits: Traits = {},
): ParameterSpec {
  return make('integer', name, min, max, traits);
}

/** A text of `min` to `max` bytes. */
export function text(name: string, min: number, max: number, traits: Traits = {}): ParameterSpec {
  return make('text', name, min, max, traits);
}

/** True or false. */
export function flag(name: string, traits: Traits = {}): ParameterSpec {
  return make('flag', name, 0, 1, traits);
}

/** `min` to `max` texts. */
export function list(name: string, min: number, max: number, traits: Traits): ParameterSpec {
  return make('list', name, min, max, traits);
}

/** A JSON value of at most `max` bytes; a JSON text in API 2.0. */
export function json(name: string, max: number, traits: Traits = {}): ParameterSpec {
  return make('json', name, 0, max, traits);
}

/** The same, and it must be there. */
export function required(spec: ParameterSpec): ParameterSpec {
  return { ...spec, isRequired: true };
}

function make(
  type: ParameterSpec['type'],
  name: string,
  min: number,
  max: number,
  traits: Traits,
): ParameterSpec {
  return { name, type, min, max, isRequired: false, rangeError: 'PARAMETER_RANGE', ...traits };
}
