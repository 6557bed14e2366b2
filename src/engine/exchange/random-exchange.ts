import { BrokerError } from '../../base/errors.ts';
import {
  Exchange,
  type Binding,
  type Destination,
  type ExchangeOptions,
  type RoutedMessage,
} from './exchange.ts';
import { CountedList } from './counted-list.ts';
import { mixHash } from './key-hash.ts';

/**
 * x-random: one destination by chance. x-local-random: the same among queues of this node, bound
 * with an empty key; on one node all queues are local.
 */
export class RandomExchange extends Exchange {
  readonly #all = new CountedList<Destination>();
  #state: number;

  /** @param seed any 32-bit number; decides the whole sequence of choices */
  constructor(type: string, options: ExchangeOptions, seed: number) {
    super(type, options);
    this.#state = seed | 0;
  }

  override get needsMessage(): boolean {
    return true;
  }

  override get matchesEachKey(): boolean {
    return false;
  }

  override match(_key: string, _message: RoutedMessage | undefined, out: Destination[]): void {
    const { items } = this.#all;
    if (items.length === 0) return;
    this.#state = (this.#state + 0x9e3779b9) | 0;
    const chosen = items[mixHash(this.#state) % items.length];
    if (chosen !== undefined) out.push(chosen);
  }

  protected override validateBinding(destination: Destination, key: string): void {
    if (this.type !== 'x-local-random') return;
    if (key !== '') {
      throw new BrokerError('PRECONDITION_FAILED', `Non empty binding '${key}' key not permitted`);
    }
    if (destination.isExchange) {
      throw new BrokerError('PRECONDITION_FAILED', 'Destination not found');
    }
  }

  protected override addBinding(binding: Binding): void {
    this.#all.add(binding.destination);
  }

  protected override removeBinding(binding: Binding): void {
    this.#all.remove(binding.destination);
  }
}
