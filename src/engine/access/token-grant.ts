/**
 * Rights that a login brought with it, in a token, instead of permission records: the scopes of
 * RabbitMQ's OAuth 2 plugin.
 *
 *     {configure|read|write}:VHOST/NAME[/ROUTING_KEY]     tag:TAG
 *
 * 1. Each part is a pattern over the whole text: `*` stands for any characters, `%XX` for a byte,
 *    `+` for a space, `{claim}` for the text of a claim and `{vhost}` for the vhost asked about.
 * 2. What a claim says stands for itself, whatever characters it has: it cannot widen a pattern.
 * 3. A scope that cannot be understood grants nothing.
 * 4. Topic exchanges need a scope with a routing key, besides the right on the exchange.
 * 5. To who speaks in topics a claim is one level, or a part of one: its dots are no new words.
 */
import type { Json } from '../definitions.ts';
import { topicToKey } from '../session/routing-key.ts';
import type { PermissionKind } from './permission.ts';

/** Vhosts for which one grant keeps its compiled scopes; a connection asks about one. */
const VHOSTS_MAX = 16;

const SCOPE = /^(configure|read|write):([^/]*)\/([^/]*)(?:\/([^/]*))?$/;
const TAG_PREFIX = 'tag:';
/** Wildcards and separators of topics: a claim with one in it fits no topic. */
const MORE_THAN_A_LEVEL = /[+#/\0]/;
const VARIABLE = /\{([^{}]*)\}/;

/** Text of the claims that scopes may name in braces. */
export type ScopeClaims = Readonly<Record<string, unknown>>;

interface Scope {
  readonly kind: PermissionKind;
  readonly vhost: string;
  readonly name: string;
  readonly routingKey: string | undefined;
}

interface CompiledScope {
  readonly kind: PermissionKind;
  readonly name: Wildcard;
  /** Undefined: says nothing about routing keys. */
  readonly routingKey: Wildcard | undefined;
  /** The same where claims are parts of topics. */
  readonly topicKey: Wildcard | undefined;
}

/** A pattern as the texts between its wildcards. */
type Wildcard = readonly string[];

/** What a token allows in one vhost. */
export class VHostGrant {
  readonly #scopes: readonly CompiledScope[];

  constructor(scopes: readonly CompiledScope[]) {
    this.#scopes = scopes;
  }

  allows(kind: PermissionKind, name: string): boolean {
    return this.#scopes.some((scope) => scope.kind === kind && matches(scope.name, name));
  }

  /** @param isTopic  the key is a topic in AMQP's form */
  allowsTopic(
    kind: 'write' | 'read',
    exchange: string,
    routingKey: string,
    isTopic = false,
  ): boolean {
    return this.#scopes.some((scope) => {
      const pattern = isTopic ? scope.topicKey : scope.routingKey;
      return (
        scope.kind === kind &&
        pattern !== undefined &&
        matches(scope.name, exchange) &&
        matches(pattern, routingKey)
      );
    });
  }
}

/** What a token allows, and until when. */
export class TokenGrant {
  /** Wall-clock ms since the epoch; from then on it grants nothing. */
  readonly expiresAtMs: number;
  /** From scopes `tag:...`. */
  readonly tags: ReadonlySet<string>;
  readonly #scopes: readonly Scope[];
  readonly #claims: ScopeClaims;
  readonly #byVHost = new Map<string, VHostGrant | undefined>();

  /** `scopes` have their prefix removed already. */
  constructor(scopes: Iterable<string>, claims: ScopeClaims, expiresAtMs: number) {
    this.expiresAtMs = expiresAtMs;
    const tags = new Set<string>();
    const parsed: Scope[] = [];
    const texts = new Set(scopes);
    for (const text of texts) {
      if (text.startsWith(TAG_PREFIX)) tags.add(text.slice(TAG_PREFIX.length));
      const match = SCOPE.exec(text);
      if (match === null) continue;
      const [, kind, vhost = '', name = '', routingKey] = match;
      parsed.push({ kind: kind as PermissionKind, vhost, name, routingKey });
    }
    this.tags = tags;
    this.#scopes = parsed;
    // Most scopes name no claim: then the claims need not stay in memory.
    this.#claims = [...texts].some((text) => text.includes('{')) ? claims : {};
  }

  /** What `grantFromJson` makes the same grant of. */
  toJson(): Json {
    const scopes = this.#scopes.map(({ kind, vhost, name, routingKey }) => {
      const topic = routingKey === undefined ? '' : `/${routingKey}`;
      return `${kind}:${vhost}/${name}${topic}`;
    });
    const tags = [...this.tags].map((tag) => TAG_PREFIX + tag);
    const claims = Object.entries(this.#claims).filter(([, value]) => typeof value === 'string');
    return {
      scopes: [...scopes, ...tags],
      claims: Object.fromEntries(claims) as Record<string, string>,
      expiresAtMs: this.expiresAtMs,
    };
  }

  /** Undefined when no scope names the vhost: it cannot even be opened. */
  inVHost(vhost: string): VHostGrant | undefined {
    if (this.#byVHost.has(vhost)) return this.#byVHost.get(vhost);
    const grant = this.#compile(vhost);
    if (this.#byVHost.size >= VHOSTS_MAX) this.#byVHost.clear();
    this.#byVHost.set(vhost, grant);
    return grant;
  }

  #compile(vhost: string): VHostGrant | undefined {
    const valueOf = (variable: string): string | undefined => {
      const value = variable === 'vhost' ? vhost : ownValue(this.#claims, variable);
      return typeof value === 'string' ? value : undefined;
    };
    const levelOf = (variable: string): string | undefined => {
      const value = valueOf(variable);
      if (value === undefined || variable === 'vhost') return value;
      return MORE_THAN_A_LEVEL.test(value) ? undefined : topicToKey(value);
    };
    const compiled: CompiledScope[] = [];
    for (const scope of this.#scopes) {
      const vhostPattern = parseWildcard(scope.vhost, valueOf);
      const name = parseWildcard(scope.name, valueOf);
      const isTopic = scope.routingKey !== undefined;
      const routingKey = isTopic ? parseWildcard(scope.routingKey, valueOf) : undefined;
      const topicKey = isTopic ? parseWildcard(scope.routingKey, levelOf) : undefined;
      if (vhostPattern === undefined || !matches(vhostPattern, vhost)) continue;
      if (name === undefined || (isTopic && routingKey === undefined)) continue;
      compiled.push({ kind: scope.kind, name, routingKey, topicKey });
    }
    return compiled.length === 0 ? undefined : new VHostGrant(compiled);
  }
}

/** The reverse of `TokenGrant.toJson`; the JSON is our own. */
export function grantFromJson(json: Json): TokenGrant {
  const row = json as unknown as {
    readonly scopes: readonly string[];
    readonly claims: ScopeClaims;
    readonly expiresAtMs: number;
  };
  return new TokenGrant(row.scopes, row.claims, row.expiresAtMs);
}

function ownValue(claims: ScopeClaims, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : undefined;
}

/** Undefined for a broken escape, a stray brace, or a variable without a value. */
function parseWildcard(
  source: string,
  valueOf: (variable: string) => string | undefined,
): Wildcard | undefined {
  const parts: string[] = [];
  for (const piece of source.split('*')) {
    let part = '';
    // Of the split by variables every second item is the name of one.
    for (const [index, item] of piece.split(VARIABLE).entries()) {
      const text = index % 2 === 1 ? valueOf(item) : decode(item);
      if (text === undefined) return undefined;
      part += text;
    }
    parts.push(part);
  }
  return parts;
}

function decode(text: string): string | undefined {
  if (/[{}]/.test(text)) return undefined;
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}

/** Anchored at both ends; each wildcard takes as little as it can, which is always enough. */
function matches(pattern: Wildcard, text: string): boolean {
  const first = pattern[0]!;
  if (pattern.length === 1) return text === first;
  const last = pattern.at(-1)!;
  if (text.length < first.length + last.length) return false;
  if (!text.startsWith(first) || !text.endsWith(last)) return false;
  const end = text.length - last.length;
  let at = first.length;
  for (let index = 1; index < pattern.length - 1; index += 1) {
    const part = pattern[index]!;
    const found = text.indexOf(part, at);
    if (found < 0 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}
