import { CountedList } from './counted-list.ts';
import { Exchange, type Binding, type Destination, type RoutedMessage } from './exchange.ts';

/** Routing key equal to binding key. */
export class DirectExchange extends Exchange {
  readonly #byKey = new Map<string, CountedList<Destination>>();

  override match(
    routingKey: string,
    _message: RoutedMessage | undefined,
    out: Destination[],
  ): void {
    const list = this.#byKey.get(routingKey);
    if (list === undefined) return;
    const { items } = list;
    for (let i = 0; i < items.length; i++) out.push(items[i] as Destination);
  }

  protected override addBinding(binding: Binding): void {
    let list = this.#byKey.get(binding.key);
    if (list === undefined) this.#byKey.set(binding.key, (list = new CountedList()));
    list.add(binding.destination);
  }

  protected override removeBinding(binding: Binding): void {
    const list = this.#byKey.get(binding.key);
    if (list === undefined) return;
    list.remove(binding.destination);
    if (list.items.length === 0) this.#byKey.delete(binding.key);
  }
}
