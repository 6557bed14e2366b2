import { EMPTY_TABLE } from '../../base/field-value.ts';
import { Exchange, type Destination, type RoutedMessage } from './exchange.ts';

/**
 * The default exchange as a target of routing: every queue under its own name. It is not declared,
 * bound or listed; it exists so that `alternate-exchange: ""` works.
 */
export class DefaultExchange extends Exchange {
  readonly #findQueue: (name: string) => Destination | undefined;

  constructor(findQueue: (name: string) => Destination | undefined) {
    super('direct', {
      name: '',
      isDurable: true,
      isAutoDelete: false,
      isInternal: false,
      arguments: EMPTY_TABLE,
    });
    this.#findQueue = findQueue;
  }

  override match(
    routingKey: string,
    _message: RoutedMessage | undefined,
    out: Destination[],
  ): void {
    const queue = this.#findQueue(routingKey);
    if (queue !== undefined) out.push(queue);
  }

  protected override addBinding(): void {}

  protected override removeBinding(): void {}
}
