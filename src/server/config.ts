import type { Option } from './option-row.ts';
import { OPTION_KEYS, type OPTIONS, type OptionKey, optionOf } from './options.ts';

type CamelCase<S extends string> = S extends `${infer Head}-${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : S;

type ValueOf<K extends OptionKey> = (typeof OPTIONS)[K] extends Option<infer T> ? T : never;

/** The effective settings: every option in camel case. Sizes are bytes, times are ms. */
export type Config = { readonly [K in OptionKey as CamelCase<K>]: ValueOf<K> };

/** Where a value came from. */
export type Origin = 'flag' | 'environment' | 'file' | 'default';

/** Settings with the origin of each. */
export interface LoadedConfig {
  readonly config: Config;
  readonly origins: ReadonlyMap<OptionKey, Origin>;
}

/** `amqp-port` as `amqpPort`. */
export function camelCase(key: string): string {
  return key.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** The settings of a start without any flag, variable or file. */
export function defaultConfig(): Config {
  const values = OPTION_KEYS.map((key) => {
    const { type, default: text } = optionOf(key);
    return [camelCase(key), type.parse(text)];
  });
  return Object.fromEntries(values) as Config;
}

/** One line per option: `key = value`, and where it came from. Secrets are masked. */
export function formatConfig({ config, origins }: LoadedConfig): string {
  const values = config as Readonly<Record<string, unknown>>;
  const lines = OPTION_KEYS.map((key) => {
    const { type, isSecret } = optionOf(key);
    const text = type.format(values[camelCase(key)]);
    const shown = isSecret && text !== '' ? '********' : text;
    return `${`${key} = ${shown}`.padEnd(48)} # ${origins.get(key) ?? 'default'}`;
  });
  return `${lines.join('\n')}\n`;
}
