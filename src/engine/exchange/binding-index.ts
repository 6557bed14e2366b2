/**
 * Bindings of one vhost seen from their destinations: which exchanges lead to a queue or exchange.
 * All binding and unbinding of a vhost goes through here, so that deleting a queue touches only the
 * exchanges it is bound to.
 */
import type { FieldTable } from '../../base/field-value.ts';
import type { Binding, Destination, Exchange } from './exchange.ts';

export class BindingIndex {
  /** Per destination, its sources with the number of bindings from each. */
  readonly #sources = new Map<Destination, Map<Exchange, number>>();

  /** As `Exchange.bind`. */
  bind(
    source: Exchange,
    destination: Destination,
    key: string,
    args: FieldTable,
  ): Binding | undefined {
    const binding = source.bind(destination, key, args);
    if (binding === undefined) return undefined;
    let sources = this.#sources.get(destination);
    if (sources === undefined) this.#sources.set(destination, (sources = new Map()));
    sources.set(source, (sources.get(source) ?? 0) + 1);
    return binding;
  }

  /** As `Exchange.unbind`. */
  unbind(
    source: Exchange,
    destination: Destination,
    key: string,
    args: FieldTable,
  ): Binding | undefined {
    const binding = source.unbind(destination, key, args);
    if (binding !== undefined) this.#forget(binding);
    return binding;
  }

  /** Removes every binding that leads to `destination`, whatever its source. */
  unbindDestination(destination: Destination): Binding[] {
    const sources = this.#sources.get(destination);
    if (sources === undefined) return [];
    this.#sources.delete(destination);
    const removed: Binding[] = [];
    for (const source of sources.keys()) {
      for (const binding of source.unbindDestination(destination)) removed.push(binding);
    }
    return removed;
  }

  /** Removes every binding that starts at `source`: it is being deleted. */
  unbindSource(source: Exchange): Binding[] {
    const removed: Binding[] = [];
    for (const binding of [...source.bindings()]) {
      source.unbind(binding.destination, binding.key, binding.arguments);
      this.#forget(binding);
      removed.push(binding);
    }
    return removed;
  }

  /** Every binding that leads to `destination`. */
  *bindingsTo(destination: Destination): Generator<Binding> {
    const sources = this.#sources.get(destination);
    if (sources === undefined) return;
    for (const source of sources.keys()) yield* source.bindingsTo(destination);
  }

  /** Exchanges with a binding to `destination`. */
  sourcesOf(destination: Destination): Iterable<Exchange> {
    return this.#sources.get(destination)?.keys() ?? [];
  }

  #forget(binding: Binding): void {
    const sources = this.#sources.get(binding.destination);
    if (sources === undefined) return;
    const left = (sources.get(binding.source) ?? 0) - 1;
    if (left > 0) sources.set(binding.source, left);
    else sources.delete(binding.source);
    if (sources.size === 0) this.#sources.delete(binding.destination);
  }
}
