/**
 * Headers exchange: the binding's arguments are conditions on the message's headers.
 *
 * `x-match` says how they combine: `all` (default) or `any`, which skip conditions on names that
 * start with `x-`, and `all-with-x` or `any-with-x`, which skip `x-match` only. A void condition
 * asks for presence. Kinds are not widened: 10, 10.0 and '10' are three values (integers agree
 * across widths, double with float, and text with its bytes). Without conditions `all` matches
 * everything, `any` nothing.
 *
 * Every condition has a text (name and value, or name alone for presence). A group is the set of
 * destinations with the same conditions; it is indexed under one text (`all`) or each (`any`), so
 * that a message looks its own headers up and the cost does not grow with the bindings. Headers
 * that no binding mentions are not looked at.
 */
import { isUtf8 } from 'node:buffer';
import { BrokerError } from '../../base/errors.ts';
import { isTagged, type FieldTable, type FieldValue } from '../../base/field-value.ts';
import { typeName, valueText } from '../field-text.ts';
import { canonicalValue } from './argument-identity.ts';
import { CountedList } from './counted-list.ts';
import { Exchange, type Binding, type Destination, type RoutedMessage } from './exchange.ts';

interface Group {
  readonly identity: string;
  readonly names: readonly string[];
  readonly conditions: readonly string[];
  /** One condition is enough. */
  readonly isAny: boolean;
  readonly destinations: CountedList<Destination>;
}

const MATCH_MODES: ReadonlySet<string> = new Set(['all', 'any', 'all-with-x', 'any-with-x']);

export class HeadersExchange extends Exchange {
  readonly #groups = new Map<string, Group>();
  readonly #byCondition = new Map<string, CountedList<Group>>();
  readonly #unconditional = new CountedList<Group>();
  /** Header names in use, with the number of groups that use each. */
  readonly #names = new Map<string, number>();

  override get needsMessage(): boolean {
    return true;
  }

  override get matchesEachKey(): boolean {
    return false;
  }

  override match(_key: string, message: RoutedMessage | undefined, out: Destination[]): void {
    const matched: Group[] = [...this.#unconditional.items];
    const headers = this.#names.size === 0 ? undefined : message?.headers();
    if (headers !== undefined) this.#matchHeaders(headers, matched);
    const first = matched[0];
    if (first === undefined) return;
    if (matched.length === 1) {
      for (const destination of first.destinations.items) out.push(destination);
      return;
    }
    const distinct = new Set<Destination>();
    for (const group of matched) {
      for (const destination of group.destinations.items) distinct.add(destination);
    }
    for (const destination of distinct) out.push(destination);
  }

  #matchHeaders(headers: FieldTable, matched: Group[]): void {
    const present = new Set<string>();
    for (const [name, value] of headers) {
      if (!this.#names.has(name)) continue;
      present.add(presenceText(name));
      present.add(equalityText(name, value));
    }
    for (const text of present) {
      const candidates = this.#byCondition.get(text);
      if (candidates === undefined) continue;
      for (const group of candidates.items) {
        if (group.isAny || group.conditions.every((condition) => present.has(condition))) {
          matched.push(group);
        }
      }
    }
  }

  protected override validateBinding(_to: Destination, _key: string, args: FieldTable): void {
    const mode = args.get('x-match');
    if (mode === undefined) return;
    const expected = 'expected all, any, all-with-x, or any-with-x';
    if (typeof mode !== 'string') {
      throw new BrokerError(
        'PRECONDITION_FAILED',
        `Invalid x-match field type ${typeName(mode)} (value ${valueText(mode)}); expected longstr`,
      );
    }
    if (!MATCH_MODES.has(mode)) {
      throw new BrokerError(
        'PRECONDITION_FAILED',
        `Invalid x-match field value ${valueText(mode)}; ${expected}`,
      );
    }
  }

  protected override addBinding(binding: Binding): void {
    const wanted = conditionsOf(binding.arguments);
    let group = this.#groups.get(wanted.identity);
    if (group === undefined) {
      group = { ...wanted, destinations: new CountedList() };
      this.#groups.set(group.identity, group);
      this.#index(group);
    }
    group.destinations.add(binding.destination);
  }

  protected override removeBinding(binding: Binding): void {
    const group = this.#groups.get(conditionsOf(binding.arguments).identity);
    if (group === undefined) return;
    group.destinations.remove(binding.destination);
    if (group.destinations.items.length > 0) return;
    this.#groups.delete(group.identity);
    this.#unindex(group);
  }

  #index(group: Group): void {
    for (const name of group.names) this.#names.set(name, (this.#names.get(name) ?? 0) + 1);
    if (group.conditions.length === 0) {
      if (!group.isAny) this.#unconditional.add(group);
      return;
    }
    for (const text of indexTexts(group)) {
      let list = this.#byCondition.get(text);
      if (list === undefined) this.#byCondition.set(text, (list = new CountedList()));
      list.add(group);
    }
  }

  #unindex(group: Group): void {
    for (const name of group.names) {
      const count = (this.#names.get(name) ?? 0) - 1;
      if (count > 0) this.#names.set(name, count);
      else this.#names.delete(name);
    }
    if (group.conditions.length === 0) {
      if (!group.isAny) this.#unconditional.remove(group);
      return;
    }
    for (const text of indexTexts(group)) {
      const list = this.#byCondition.get(text);
      list?.remove(group);
      if (list?.items.length === 0) this.#byCondition.delete(text);
    }
  }
}

/** Where a group is found: under each condition when one is enough, else under the first. */
function indexTexts(group: Group): readonly string[] {
  return group.isAny ? group.conditions : group.conditions.slice(0, 1);
}

function conditionsOf(args: FieldTable): Omit<Group, 'destinations'> {
  const mode = args.get('x-match');
  const withX = mode === 'all-with-x' || mode === 'any-with-x';
  const isAny = mode === 'any' || mode === 'any-with-x';
  const names: string[] = [];
  const conditions: string[] = [];
  for (const name of [...args.keys()].sort()) {
    if (name === 'x-match' || (!withX && name.startsWith('x-'))) continue;
    const value = args.get(name) ?? null;
    names.push(name);
    conditions.push(value === null ? presenceText(name) : equalityText(name, value));
  }
  return { identity: `${isAny ? 'any' : 'all'}${conditions.join('')}`, names, conditions, isAny };
}

function presenceText(name: string): string {
  return `?${name.length}:${name}`;
}

function equalityText(name: string, value: FieldValue): string {
  return `=${name.length}:${name}${comparable(value)}`;
}

/** Double and float are both IEEE numbers, text and bytes both strings of octets (RabbitMQ). */
function comparable(value: FieldValue): string {
  if (value instanceof Uint8Array && isUtf8(value)) {
    return canonicalValue(Buffer.from(value).toString());
  }
  if (typeof value === 'object' && value !== null && !(value instanceof Uint8Array)) {
    if (!Array.isArray(value) && isTagged(value) && value.kind === 'float') {
      return canonicalValue({ kind: 'double', value: value.value });
    }
  }
  return canonicalValue(value);
}
