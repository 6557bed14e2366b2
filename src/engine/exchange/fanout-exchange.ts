import { CountedList } from './counted-list.ts';
import { Exchange, type Binding, type Destination, type RoutedMessage } from './exchange.ts';

/** Every bound destination, whatever the key. */
export class FanoutExchange extends Exchange {
  readonly #all = new CountedList<Destination>();

  override get matchesEachKey(): boolean {
    return false;
  }

  override match(_key: string, _message: RoutedMessage | undefined, out: Destination[]): void {
    const { items } = this.#all;
    for (let i = 0; i < items.length; i++) out.push(items[i] as Destination);
  }

  protected override addBinding(binding: Binding): void {
    this.#all.add(binding.destination);
  }

  protected override removeBinding(binding: Binding): void {
    this.#all.remove(binding.destination);
  }
}
