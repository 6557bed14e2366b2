/**
 * Tags exchange (`x-tags`): a binding names tags it wants, a message carries tags, one in common is
 * enough.
 *
 *     binding's `x-tags`    message's `x-msg-tag`    match
 *     none                  any or none              yes
 *     some                  none                     no
 *     some                  some                     when they have one in common
 *
 * This is the filter of CMQ topics (reference 2.5); routing keys mean nothing here. Tags are kept
 * by tag, so that a message costs its own tags, not the number of bindings.
 *
 * Rejected: a headers exchange with `x-match: any` and one header per tag, as the vendor maps it:
 * without tags `any` matches nothing, and the order and names of the tags would be lost.
 */
import { BrokerError } from '../../base/errors.ts';
import type { FieldTable, FieldValue } from '../../base/field-value.ts';
import { typeName, valueText } from '../field-text.ts';
import { CountedList } from './counted-list.ts';
import { Exchange, type Binding, type Destination, type RoutedMessage } from './exchange.ts';
import { BINDING_TAGS_MAX, MESSAGE_TAGS_MAX } from './topology-limits.ts';

/** Binding argument with the tags it wants: an array of texts, or one text. */
export const BINDING_TAGS = 'x-tags';

/** Header with the tags of a message: an array of texts, or texts separated by commas. */
export const MESSAGE_TAGS = 'x-msg-tag';

/** Tags of a message, each once; at most MESSAGE_TAGS_MAX are looked at. */
export function tagsOf(headers: FieldTable | undefined): readonly string[] {
  const value = headers?.get(MESSAGE_TAGS);
  if (typeof value === 'string') return distinct(value.split(','));
  if (!Array.isArray(value)) return [];
  return distinct(value.filter((tag): tag is string => typeof tag === 'string'));
}

export class TagsExchange extends Exchange {
  /** Destinations that want everything. */
  readonly #unfiltered = new CountedList<Destination>();
  readonly #byTag = new Map<string, CountedList<Destination>>();

  override get needsMessage(): boolean {
    return true;
  }

  override get matchesEachKey(): boolean {
    return false;
  }

  override match(_key: string, message: RoutedMessage | undefined, out: Destination[]): void {
    const matched = new Set<Destination>(this.#unfiltered.items);
    if (this.#byTag.size > 0) {
      for (const tag of tagsOf(message?.headers())) {
        for (const destination of this.#byTag.get(tag)?.items ?? []) matched.add(destination);
      }
    }
    for (const destination of matched) out.push(destination);
  }

  protected override validateBinding(_to: Destination, _key: string, args: FieldTable): void {
    const wanted = args.get(BINDING_TAGS);
    if (wanted === undefined) return;
    const tags = typeof wanted === 'string' ? [wanted] : wanted;
    if (!Array.isArray(tags)) {
      refuse(`invalid type '${typeName(wanted)}' for arg '${BINDING_TAGS}', expected array`);
    }
    if (tags.length > BINDING_TAGS_MAX) {
      refuse(
        `${tags.length} tags in arg '${BINDING_TAGS}', at most ${BINDING_TAGS_MAX} are allowed`,
      );
    }
    for (const tag of tags as readonly FieldValue[]) {
      if (typeof tag === 'string' && tag !== '') continue;
      refuse(`invalid value ${valueText(tag)} in arg '${BINDING_TAGS}', expected texts`);
    }
  }

  protected override addBinding({ destination, arguments: args }: Binding): void {
    const wanted = wantedTags(args);
    if (wanted.length === 0) this.#unfiltered.add(destination);
    for (const tag of wanted) {
      let list = this.#byTag.get(tag);
      if (list === undefined) this.#byTag.set(tag, (list = new CountedList()));
      list.add(destination);
    }
  }

  protected override removeBinding({ destination, arguments: args }: Binding): void {
    const wanted = wantedTags(args);
    if (wanted.length === 0) this.#unfiltered.remove(destination);
    for (const tag of wanted) {
      const list = this.#byTag.get(tag);
      list?.remove(destination);
      if (list?.items.length === 0) this.#byTag.delete(tag);
    }
  }
}

function wantedTags(args: FieldTable): readonly string[] {
  const wanted = args.get(BINDING_TAGS);
  if (typeof wanted === 'string') return [wanted];
  return Array.isArray(wanted) ? [...new Set(wanted as readonly string[])] : [];
}

function distinct(tags: readonly string[]): readonly string[] {
  const named = tags.map((tag) => tag.trim()).filter((tag) => tag !== '');
  const found = named.length < 2 ? named : [...new Set(named)];
  return found.length > MESSAGE_TAGS_MAX ? found.slice(0, MESSAGE_TAGS_MAX) : found;
}

function refuse(text: string): never {
  throw new BrokerError('PRECONDITION_FAILED', text);
}
