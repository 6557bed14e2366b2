/**
 * Exchanges: what publishers address, and the bindings that lead from there to destinations.
 *
 * `Exchange` owns its bindings and their identity; a subclass owns the index that answers `match`.
 *
 * 1. A binding is identified by (destination, key, arguments). Arguments are equal when they hold
 *    the same names with the same values of the same kinds, in any order (`argument-identity.ts`).
 * 2. `bind` and `unbind` are O(1) in the number of bindings, whatever the type.
 * 3. `match` appends each destination at most once per call, in an unspecified but stable order.
 * 4. `match` never changes what a later `match` answers; random types are the stated exception.
 */
import { assert } from '../../base/assert.ts';
import type { FieldTable } from '../../base/field-value.ts';
import type { CommonProperties } from '../ports.ts';
import { identityOf } from './argument-identity.ts';
import { BindingSet } from './binding-set.ts';

/** Where a binding leads: a queue or an exchange. */
export interface Destination {
  readonly name: string;
  readonly isExchange: boolean;
  /** The broker's own: bindings that lead there are neither listed nor persisted. */
  readonly isHidden?: boolean;
}

/** One binding. Durable when both ends are. */
export interface Binding {
  readonly source: Exchange;
  readonly destination: Destination;
  readonly key: string;
  readonly arguments: FieldTable;
  readonly isDurable: boolean;
}

/** What routing may ask of a message; decoded on first use only. */
export interface RoutedMessage {
  headers(): FieldTable | undefined;
  properties(): CommonProperties;
}

/** What makes an exchange, whatever its type. */
export interface ExchangeOptions {
  readonly name: string;
  readonly isDurable: boolean;
  readonly isAutoDelete: boolean;
  readonly isInternal: boolean;
  /** Validated (`exchange-types.ts`); kept as declared. */
  readonly arguments: FieldTable;
}

/** A queue tells whether it is durable; an exchange always does. */
interface MaybeDurable extends Destination {
  readonly isDurable?: boolean;
}

export abstract class Exchange implements Destination {
  readonly isExchange = true as const;
  readonly name: string;
  /** As declared: 'direct', 'x-consistent-hash', 'x-delayed-message' ... */
  readonly type: string;
  readonly isDurable: boolean;
  readonly isAutoDelete: boolean;
  readonly isInternal: boolean;
  readonly arguments: FieldTable;
  /**
   * Name of the alternate exchange now in force, from the argument or else from a policy.
   * Set by the vhost; read by the router.
   */
  alternateExchange: string | undefined;
  readonly #byDestination = new Map<Destination, BindingSet>();
  #bindingCount = 0;
  #exchangeBindingCount = 0;

  constructor(type: string, options: ExchangeOptions) {
    this.type = type;
    this.name = options.name;
    this.isDurable = options.isDurable;
    this.isAutoDelete = options.isAutoDelete;
    this.isInternal = options.isInternal;
    this.arguments = options.arguments;
    const alternate = options.arguments.get('alternate-exchange');
    this.alternateExchange = typeof alternate === 'string' ? alternate : undefined;
  }

  /** True when `match` depends on the message or on chance: do not cache its result by key. */
  get needsMessage(): boolean {
    return false;
  }

  /** False when only the first of several routing keys (CC, BCC) counts, or none does. */
  get matchesEachKey(): boolean {
    return true;
  }

  /** True when messages with an `x-delay` header wait before they are routed. */
  get isDelayed(): boolean {
    return this.type === 'x-delayed-message';
  }

  get bindingCount(): number {
    return this.#bindingCount;
  }

  /** Bindings that lead to exchanges; zero lets the router skip the graph walk. */
  get exchangeBindingCount(): number {
    return this.#exchangeBindingCount;
  }

  /**
   * Adds a binding. Returns undefined when it existed already.
   * @throws BrokerError PRECONDITION_FAILED when the type refuses the key or the arguments
   */
  bind(destination: Destination, key: string, args: FieldTable): Binding | undefined {
    const identity = identityOf(key, args);
    const existing = this.#byDestination.get(destination);
    if (existing?.has(identity) === true) return undefined;
    this.validateBinding(destination, key, args);
    const isDurable = this.isDurable && (destination as MaybeDurable).isDurable === true;
    const binding: Binding = { source: this, destination, key, arguments: args, isDurable };
    this.addBinding(binding);
    if (existing === undefined) {
      this.#byDestination.set(destination, new BindingSet(identity, binding));
    } else {
      existing.add(identity, binding);
    }
    this.#bindingCount++;
    if (destination.isExchange) this.#exchangeBindingCount++;
    return binding;
  }

  /** Removes a binding and returns it; undefined when there was none. */
  unbind(destination: Destination, key: string, args: FieldTable): Binding | undefined {
    const existing = this.#byDestination.get(destination);
    if (existing === undefined) return undefined;
    const binding = existing.take(identityOf(key, args));
    if (binding === undefined) return undefined;
    if (existing.isEmpty) this.#byDestination.delete(destination);
    this.#forget(binding);
    return binding;
  }

  /** Removes every binding that leads to `destination`. Touches no other binding. */
  unbindDestination(destination: Destination): Binding[] {
    const existing = this.#byDestination.get(destination);
    if (existing === undefined) return [];
    this.#byDestination.delete(destination);
    const removed = [...existing.values()];
    for (const binding of removed) this.#forget(binding);
    return removed;
  }

  /** Every binding, in no particular order. */
  *bindings(): Generator<Binding> {
    for (const bindings of this.#byDestination.values()) yield* bindings.values();
  }

  /** The bindings that lead to `destination`. */
  bindingsTo(destination: Destination): Iterable<Binding> {
    return this.#byDestination.get(destination)?.values() ?? [];
  }

  /**
   * Appends the destinations for a routing key, each once.
   * @param message needed when `needsMessage`; undefined then means no headers and no properties
   */
  abstract match(routingKey: string, message: RoutedMessage | undefined, out: Destination[]): void;

  /** Refuses what the type cannot bind; nothing has changed yet when it throws. */
  protected validateBinding(_destination: Destination, _key: string, _args: FieldTable): void {}

  /** Adds a binding to the type's index. */
  protected abstract addBinding(binding: Binding): void;

  /** Takes a binding out of the type's index; it is there. */
  protected abstract removeBinding(binding: Binding): void;

  #forget(binding: Binding): void {
    this.removeBinding(binding);
    this.#bindingCount--;
    assert(this.#bindingCount >= 0, 'binding count below zero');
    if (binding.destination.isExchange) this.#exchangeBindingCount--;
  }
}
