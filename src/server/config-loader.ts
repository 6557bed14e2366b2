/**
 * From flags, environment, file and defaults to one `Config`. Every mistake is collected, so that
 * an operator sees all of them at once.
 */
import { readFileSync } from 'node:fs';
import { extname } from 'node:path';
import { parse as parseToml, TomlError } from 'smol-toml';
import { type Config, camelCase, type LoadedConfig, type Origin } from './config.ts';
import { checkConfig } from './config-rules.ts';
import { nearestOf } from './nearest.ts';
import { OptionValueError } from './option-types.ts';
import { environmentName, OPTION_KEYS, type OptionKey, optionOf } from './options.ts';
import { type FileSettings, parseRabbitmqConf } from './rabbitmq-conf.ts';
import { readSecretText } from './secret-text.ts';

/** What a start was given. */
export interface ConfigInput {
  /** Values of flags by option key: a text, or a list of them. */
  readonly flags: ReadonlyMap<string, unknown>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** `--config`; without it TRIBUTARY_CONFIG counts. */
  readonly file?: string | undefined;
}

/** All that is wrong with a configuration, one sentence each. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

interface Candidate {
  readonly raw: unknown;
  readonly origin: Origin;
  /** Named in messages: `--amqp-port`, `TRIBUTARY_AMQP_PORT`, `broker.toml: amqp-port`. */
  readonly name: string;
}

/**
 * Reads and merges all sources.
 *
 * @throws ConfigError with every mistake found
 */
export function loadConfig(input: ConfigInput): LoadedConfig {
  const problems: string[] = [];
  const fileName = input.file ?? input.environment['TRIBUTARY_CONFIG'];
  const candidates = new Map<OptionKey, Candidate>();
  // Later sources win.
  if (fileName !== undefined && fileName !== '') takeFile(fileName, candidates, problems);
  takeEnvironment(input.environment, candidates, problems);
  for (const [key, raw] of input.flags) {
    candidates.set(key as OptionKey, { raw, origin: 'flag', name: `--${key}` });
  }
  const values: Record<string, unknown> = {};
  const origins = new Map<OptionKey, Origin>();
  for (const key of OPTION_KEYS) {
    const candidate = candidates.get(key);
    origins.set(key, candidate?.origin ?? 'default');
    values[camelCase(key)] = parseValue(key, candidate, problems);
  }
  const config = values as Config;
  if (problems.length === 0) problems.push(...checkConfig(config, origins));
  if (problems.length > 0) throw new ConfigError(problems);
  return { config: withSecretFiles(config), origins };
}

function parseValue(key: OptionKey, candidate: Candidate | undefined, problems: string[]): unknown {
  const option = optionOf(key);
  const fallback = option.type.parse(option.default);
  if (candidate === undefined) return fallback;
  try {
    const value = option.type.parse(candidate.raw);
    if (option.unavailable === undefined || value === 'off') return value;
    problems.push(`${candidate.name}: ${option.unavailable}; leave it out or set it to \`off\``);
  } catch (error) {
    if (!(error instanceof OptionValueError)) throw error;
    const shown = option.isSecret ? '' : `, not ${JSON.stringify(candidate.raw)}`;
    problems.push(`${candidate.name}: expected ${error.message}${shown}`);
  }
  return fallback;
}

function takeEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  candidates: Map<OptionKey, Candidate>,
  problems: string[],
): void {
  const keysByName = new Map(OPTION_KEYS.map((key) => [environmentName(key), key]));
  for (const [name, raw] of Object.entries(environment)) {
    if (!name.startsWith('TRIBUTARY_') || raw === undefined || name === 'TRIBUTARY_CONFIG')
      continue;
    const key = keysByName.get(name);
    if (key !== undefined) candidates.set(key, { raw, origin: 'environment', name });
    else if (!isServiceLink(name)) {
      problems.push(`${name}: no such option${suggest(name, keysByName.keys())}`);
    }
  }
}

/** Kubernetes gives every pod such variables for a service that is called `tributary`. */
function isServiceLink(name: string): boolean {
  return /^TRIBUTARY_(SERVICE_(HOST|PORT)(_.*)?|PORT(_\d+_(TCP|UDP)(_.*)?)?)$/.test(name);
}

function takeFile(
  fileName: string,
  candidates: Map<OptionKey, Candidate>,
  problems: string[],
): void {
  const settings = readSettings(fileName);
  for (const problem of settings.problems) problems.push(`${fileName}: ${problem}`);
  for (const [key, raw] of settings.values) {
    const name = `${fileName}: ${settings.names?.get(key) ?? key}`;
    candidates.set(key, { raw, origin: 'file', name });
  }
}

function readSettings(fileName: string): FileSettings {
  const values = new Map<OptionKey, unknown>();
  let text: string;
  try {
    text = readFileSync(fileName, 'utf8');
  } catch (error) {
    return { values, problems: [`cannot be read: ${(error as Error).message}`] };
  }
  if (extname(fileName) === '.conf') return parseRabbitmqConf(text);
  if (extname(fileName) !== '.toml') {
    return { values, problems: ['a configuration file ends in .toml, or .conf for rabbitmq.conf'] };
  }
  const problems: string[] = [];
  try {
    flatten('', parseToml(text), values, problems);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    problems.push(error.message.trim());
  }
  return { values, problems };
}

/** `[amqp] port = 1` is `amqp-port = 1`. */
function flatten(
  prefix: string,
  table: Readonly<Record<string, unknown>>,
  values: Map<OptionKey, unknown>,
  problems: string[],
): void {
  for (const [name, value] of Object.entries(table)) {
    const key = `${prefix}${name}`;
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      flatten(`${key}-`, value as Record<string, unknown>, values, problems);
    } else if ((OPTION_KEYS as readonly string[]).includes(key)) {
      values.set(key as OptionKey, value);
    } else {
      problems.push(`no such option \`${key}\`${suggest(key, OPTION_KEYS)}`);
    }
  }
}

/** `; did you mean ...?`, or nothing. */
export function suggest(word: string, candidates: Iterable<string>): string {
  const nearest = nearestOf(word, candidates);
  return nearest === undefined ? '' : `; did you mean \`${nearest}\`?`;
}

/** Replaces secrets by the contents of their `-file` options. */
function withSecretFiles(config: Config): Config {
  const problems: string[] = [];
  const read = (key: string, fileName: string | undefined): string | undefined => {
    if (fileName === undefined) return undefined;
    try {
      return readSecretText(fileName);
    } catch (error) {
      problems.push(`${key}: cannot be read: ${(error as Error).message}`);
      return undefined;
    }
  };
  const passphrase = read('tls-passphrase-file', config.tlsPassphraseFile);
  const password = read('default-password-file', config.defaultPasswordFile);
  const secretKey = read('cmq-secret-key-file', config.cmqSecretKeyFile);
  if (problems.length > 0) throw new ConfigError(problems);
  return {
    ...config,
    tlsPassphrase: passphrase ?? config.tlsPassphrase,
    defaultPassword: password ?? config.defaultPassword,
    cmqSecretKey: secretKey ?? config.cmqSecretKey,
  };
}
