import { Exchange, type Binding, type Destination, type RoutedMessage } from './exchange.ts';
import { CountedList } from './counted-list.ts';
import { hashText } from './key-hash.ts';

/**
 * x-modulus-hash: hash of the routing key modulo the number of destinations, in name order, so that
 * the same destinations give the same answer after a restart.
 */
export class ModulusHashExchange extends Exchange {
  readonly #all = new CountedList<Destination>();
  #sorted: Destination[] | undefined;

  override get matchesEachKey(): boolean {
    return false;
  }

  override match(
    routingKey: string,
    _message: RoutedMessage | undefined,
    out: Destination[],
  ): void {
    const sorted = (this.#sorted ??= [...this.#all.items].sort(byKindAndName));
    const chosen = sorted[hashText(routingKey) % sorted.length];
    if (chosen !== undefined) out.push(chosen);
  }

  protected override addBinding(binding: Binding): void {
    this.#all.add(binding.destination);
    this.#sorted = undefined;
  }

  protected override removeBinding(binding: Binding): void {
    this.#all.remove(binding.destination);
    this.#sorted = undefined;
  }
}

function byKindAndName(a: Destination, b: Destination): number {
  if (a.isExchange !== b.isExchange) return a.isExchange ? -1 : 1;
  return a.name < b.name ? -1 : Number(a.name > b.name);
}
