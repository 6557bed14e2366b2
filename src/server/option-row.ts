/** A row of the option table, and the groups rows are in. */
import type { OptionType } from './option-types.ts';

/** One option. */
export interface Option<T> {
  readonly type: OptionType<T>;
  /** As one would write it in a file. */
  readonly default: string;
  /** One or two sentences for operators. */
  readonly doc: string;
  /** Group heading in help and documentation. */
  readonly group: OptionGroup;
  /** Never printed. */
  readonly isSecret: boolean;
  /** Why the option can only be `off` in this version. */
  readonly unavailable?: string;
}

export type OptionGroup = (typeof OPTION_GROUPS)[number];

/** In the order of the documentation. */
export const OPTION_GROUPS = [
  'General',
  'Listeners',
  'TLS',
  'AMQP',
  'MQTT',
  'CMQ',
  'Users',
  'Tokens',
  'Limits',
] as const;

type Traits = { readonly isSecret?: true; readonly unavailable?: string };

/** Makes a row; `defaultText` is as one would write it in a file. */
export function option<T>(
  group: OptionGroup,
  type: OptionType<T>,
  defaultText: string,
  doc: string,
  traits: Traits = {},
): Option<T> {
  return { type, default: defaultText, doc, group, isSecret: false, ...traits };
}
