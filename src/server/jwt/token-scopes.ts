/** Where the scopes of a token are, as RabbitMQ's OAuth 2 plugin finds them. */
import type { JWTPayload } from 'jose';

export interface ScopeSettings {
  readonly audience: string;
  readonly scopeClaims: readonly string[];
  readonly scopePrefix: string;
}

/**
 * The scopes meant for us, without the prefix. A claim holds them as a text with spaces, as a list,
 * or as an object with those of several services by their audience; the latter have no prefix.
 */
export function scopesOf(payload: JWTPayload, settings: ScopeSettings): string[] {
  const found: string[] = [];
  for (const path of settings.scopeClaims) {
    collectAt(payload, path.split('.'), settings.audience, found);
  }
  const { scopePrefix: prefix } = settings;
  return found
    .filter((scope) => scope.startsWith(prefix))
    .map((scope) => scope.slice(prefix.length));
}

function collectAt(
  value: unknown,
  path: readonly string[],
  audience: string,
  found: string[],
): void {
  const [name, ...rest] = path;
  if (name === undefined) {
    collect(value, audience, found);
  } else if (Array.isArray(value)) {
    for (const item of value) collectAt(item, path, audience, found);
  } else if (isObject(value) && Object.hasOwn(value, name)) {
    collectAt(value[name], rest, audience, found);
  }
}

function collect(value: unknown, audience: string, found: string[]): void {
  if (isObject(value) && !Array.isArray(value)) {
    if (!Object.hasOwn(value, audience)) return;
    for (const scope of textsOf(value[audience])) found.push(`${audience}.${scope}`);
  } else {
    for (const scope of textsOf(value)) found.push(scope);
  }
}

function textsOf(value: unknown): string[] {
  if (typeof value === 'string') return value.split(' ').filter((text) => text !== '');
  if (!Array.isArray(value)) return [];
  return value.filter((item) => typeof item === 'string');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
