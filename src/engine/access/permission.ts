/**
 * Permissions: patterns over resource names, per user and vhost, and patterns over routing keys,
 * per user, vhost and topic exchange.
 *
 * A pattern is an unanchored search; the empty pattern denies. Patterns are compiled once, results
 * are remembered up to a bound.
 */
import { compileSafeRegex, escapeRegex } from '../../base/safe-regex.ts';
import { topicToKey } from '../session/routing-key.ts';

export type PermissionKind = 'configure' | 'write' | 'read';

/** Names whose answer one pattern remembers. At about 100 bytes each: 100 kB. */
const RESULTS_MAX = 1024;
/** Client ids for which one topic pattern keeps an expansion ... */
const EXPANSIONS_MAX = 1024;
/** ... and the routing keys whose answer each remembers: 6 MB in all for one pattern. */
const EXPANDED_RESULTS_MAX = 64;
/** Longest name whose answer is remembered, in UTF-16 code units; AMQP names have at most 255. */
const REMEMBERED_NAME_MAX = 255;

/** One compiled pattern with its remembered results. */
export class NamePattern {
  readonly source: string;
  readonly #regex: RegExp | undefined;
  readonly #matchesAll: boolean;
  readonly #results = new Map<string, boolean>();
  readonly #resultsMax: number;

  /** @throws BrokerError PRECONDITION_FAILED when the pattern is refused */
  constructor(source: string, resultsMax = RESULTS_MAX) {
    this.source = source;
    this.#resultsMax = resultsMax;
    this.#regex = source === '' ? undefined : compileSafeRegex(source);
    this.#matchesAll = source === '.*' || source === '^.*' || source === '^.*$';
  }

  matches(name: string): boolean {
    if (this.#regex === undefined) return false;
    if (this.#matchesAll && !name.includes('\n') && !name.includes('\r')) return true;
    if (name.length > REMEMBERED_NAME_MAX) return this.#regex.test(name);
    const known = this.#results.get(name);
    if (known !== undefined) return known;
    const result = this.#regex.test(name);
    if (this.#results.size >= this.#resultsMax) this.#results.clear();
    this.#results.set(name, result);
    return result;
  }
}

/** What a user may do with the resources of a vhost. */
export class Permission {
  readonly configure: NamePattern;
  readonly write: NamePattern;
  readonly read: NamePattern;

  /** @throws BrokerError PRECONDITION_FAILED when a pattern is refused */
  constructor(patterns: PermissionPatterns) {
    this.configure = new NamePattern(patterns.configure);
    this.write = new NamePattern(patterns.write);
    this.read = new NamePattern(patterns.read);
  }

  allows(kind: PermissionKind, name: string): boolean {
    return this[kind].matches(name);
  }

  toJson(): PermissionPatterns {
    return {
      configure: this.configure.source,
      write: this.write.source,
      read: this.read.source,
    };
  }
}

/** Pattern texts as people write them; also the persisted form. */
export type PermissionPatterns = {
  readonly configure: string;
  readonly write: string;
  readonly read: string;
};

export type TopicPatterns = { readonly write: string; readonly read: string };

/** Values for `{username}`, `{vhost}` and `{client_id}`. */
export interface TopicVariables {
  readonly username: string;
  readonly vhost: string;
  readonly clientId?: string | undefined;
}

const VARIABLE = /\{(username|vhost|client_id)\}/g;

/**
 * One topic pattern with variables. A value takes the place of its variable with every character
 * standing for itself. Values that hold a wildcard, a level separator of MQTT or NUL could mean
 * more than themselves elsewhere: with them, as with a missing client id, the pattern denies.
 *
 * Who has a client id speaks in topics, and so the names are one level there: the dot of `a.b` is
 * then the character that a dot within a level is in a routing key.
 */
export class TopicPattern {
  readonly source: string;
  readonly #fixed: NamePattern | undefined;
  readonly #expansions = new Map<string, NamePattern | undefined>();

  /** @throws BrokerError PRECONDITION_FAILED when the pattern is refused */
  constructor(source: string) {
    this.source = source;
    const hasVariable = source.search(VARIABLE) >= 0;
    this.#fixed = hasVariable ? undefined : new NamePattern(source);
    if (hasVariable) compileSafeRegex(source.replace(VARIABLE, 'x'));
  }

  matches(routingKey: string, variables: TopicVariables): boolean {
    const pattern = this.#fixed ?? this.#expand(variables);
    return pattern !== undefined && pattern.matches(routingKey);
  }

  /** The pattern with the variables' values; undefined when one must not be used. */
  #expand(variables: TopicVariables): NamePattern | undefined {
    const key = `${variables.username}\0${variables.vhost}\0${variables.clientId ?? '\0'}`;
    if (this.#expansions.has(key)) return this.#expansions.get(key);
    const expanded = this.#substitute(variables);
    if (this.#expansions.size >= EXPANSIONS_MAX) this.#expansions.clear();
    this.#expansions.set(key, expanded);
    return expanded;
  }

  #substitute(variables: TopicVariables): NamePattern | undefined {
    const isInTopic = variables.clientId !== undefined;
    let isUsable = true;
    const source = this.source.replace(VARIABLE, (_text, name: string) => {
      const value = valueOf(variables, name);
      const isSafe = value !== undefined && (name === 'vhost' || !/[+#/\0]/.test(value));
      if (!isSafe) isUsable = false;
      if (!isSafe) return '';
      return escapeRegex(isInTopic && name !== 'vhost' ? topicToKey(value) : value);
    });
    if (!isUsable) return undefined;
    try {
      return new NamePattern(source, EXPANDED_RESULTS_MAX);
    } catch {
      return undefined; // a variable where the pattern's syntax has no room for its value
    }
  }
}

function valueOf(variables: TopicVariables, name: string): string | undefined {
  switch (name) {
    case 'username':
      return variables.username;
    case 'vhost':
      return variables.vhost;
    default:
      return variables.clientId;
  }
}

/** Which routing keys of one topic exchange a user may publish to and bind with. */
export class TopicPermission {
  readonly write: TopicPattern;
  readonly read: TopicPattern;

  /** @throws BrokerError PRECONDITION_FAILED when a pattern is refused */
  constructor(patterns: TopicPatterns) {
    this.write = new TopicPattern(patterns.write);
    this.read = new TopicPattern(patterns.read);
  }

  allows(kind: 'write' | 'read', routingKey: string, variables: TopicVariables): boolean {
    return this[kind].matches(routingKey, variables);
  }

  toJson(): TopicPatterns {
    return { write: this.write.source, read: this.read.source };
  }
}
