/**
 * The registry of one vhost: exchanges, queues, bindings, what is persisted, and a revision.
 *
 * Knows nothing of who asks; `vhost.ts` checks rights and texts. Every change bumps `revision`, by
 * which cached routes find out that they are old.
 *
 * Persisted: durable exchanges, durable queues that are not exclusive, and bindings between
 * durable ends. Cascades follow RabbitMQ: a queue takes its bindings along, an auto-delete exchange
 * goes with the last binding of which it was the source.
 */
import type { FieldTable } from '../base/field-value.ts';
import type { RandomSource } from '../base/random.ts';
import { definitionKey, tableFromJson, tableToJson } from './definitions.ts';
import type { Json } from './definitions.ts';
import { BindingIndex } from './exchange/binding-index.ts';
import type { Binding, Destination, Exchange } from './exchange/exchange.ts';
import { DefaultExchange } from './exchange/default-exchange.ts';
import { createExchange } from './exchange/exchange-types.ts';
import { tablesEqual } from './exchange/argument-identity.ts';
import type { Store } from './ports.ts';
import type { Queue } from './queue/queue.ts';

/** What makes an exchange. */
export interface ExchangeDeclaration {
  readonly type: string;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly internal: boolean;
  readonly arguments: FieldTable;
}

/** Exchanges every vhost has from the start (RabbitMQ's names). */
const PREDECLARED: readonly (readonly [name: string, type: string, internal: boolean])[] = [
  ['amq.direct', 'direct', false],
  ['amq.fanout', 'fanout', false],
  ['amq.topic', 'topic', false],
  ['amq.headers', 'headers', false],
  ['amq.match', 'headers', false],
  ['amq.rabbitmq.trace', 'topic', true],
];

export class Topology {
  readonly vhostName: string;
  readonly exchanges: Map<string, Exchange>;
  readonly queues: Map<string, Queue>;
  /** Reaches every queue by its name; not declared, bound or listed. */
  readonly defaultExchange: Exchange;
  readonly bindings: BindingIndex;
  /** Called when an exchange is there, declared or restored. */
  onExchangeAdded: (exchange: Exchange) => void;
  /** Called when an exchange is gone, by request or by cascade. */
  onExchangeRemoved: (exchange: Exchange) => void;
  readonly #store: Store;
  readonly #random: RandomSource;
  #revision: number;

  constructor(vhostName: string, store: Store, random: RandomSource) {
    this.vhostName = vhostName;
    this.exchanges = new Map();
    this.queues = new Map();
    this.defaultExchange = new DefaultExchange((name) => this.queues.get(name));
    this.bindings = new BindingIndex();
    this.onExchangeAdded = () => {};
    this.onExchangeRemoved = () => {};
    this.#store = store;
    this.#random = random;
    this.#revision = 1;
    for (const [name, type, internal] of PREDECLARED) {
      const arguments_ = new Map();
      this.#createExchange(name, {
        type,
        durable: true,
        autoDelete: false,
        internal,
        arguments: arguments_,
      });
    }
  }

  /** Grows with every change; never equal for two different topologies of one process. */
  get revision(): number {
    return this.#revision;
  }

  /** An exchange by name; the empty name is the default one. */
  exchange(name: string): Exchange | undefined {
    return name === '' ? this.defaultExchange : this.exchanges.get(name);
  }

  /** Something routing depends on has changed elsewhere (a policy, say). */
  touch(): void {
    this.#revision += 1;
  }

  /** Adds an exchange that is not there. @throws BrokerError for bad types or arguments */
  addExchange(name: string, declaration: ExchangeDeclaration): Exchange {
    const exchange = this.#createExchange(name, declaration);
    if (exchange.isDurable) {
      const { type, autoDelete, internal } = declaration;
      const value = { type, autoDelete, internal, arguments: tableToJson(declaration.arguments) };
      this.#define('exchange', [name], value);
    }
    return exchange;
  }

  /** Puts a persisted exchange back. */
  restoreExchange(name: string, value: Json): void {
    const row = value as { type: string; autoDelete: boolean; internal: boolean; arguments: Json };
    this.#createExchange(name, {
      type: row.type,
      durable: true,
      autoDelete: row.autoDelete,
      internal: row.internal,
      arguments: tableFromJson(row.arguments),
    });
  }

  /** Removes an exchange with all its bindings, and what goes with these. */
  removeExchange(exchange: Exchange): void {
    this.#revision += 1;
    this.exchanges.delete(exchange.name);
    if (exchange.isDurable) {
      this.#store.undefine('exchange', definitionKey(this.vhostName, exchange.name));
    }
    for (const binding of this.bindings.unbindSource(exchange)) this.#forget(binding);
    this.#cascade(this.bindings.unbindDestination(exchange));
    this.onExchangeRemoved(exchange);
  }

  /** Registers a queue; `isPersisted` queues are written with `value`. */
  addQueue(queue: Queue, value: Json | undefined): void {
    this.#revision += 1;
    this.queues.set(queue.name, queue);
    if (value !== undefined) this.#define('queue', [queue.name], value);
  }

  /** Removes a queue with its bindings, and what goes with these. The caller ends the queue. */
  removeQueue(queue: Queue): void {
    this.#revision += 1;
    this.queues.delete(queue.name);
    if (queue.isDurable) {
      this.#store.undefine('queue', definitionKey(this.vhostName, queue.name));
    }
    this.#cascade(this.bindings.unbindDestination(queue));
  }

  /** Adds a binding unless it is there. @throws BrokerError when the exchange type refuses it */
  bind(source: Exchange, destination: Destination, key: string, args: FieldTable): void {
    const binding = this.bindings.bind(source, destination, key, args);
    if (binding === undefined) return;
    this.#revision += 1;
    if (this.#isPersisted(binding)) {
      this.#define('binding', bindingNames(binding), tableToJson(binding.arguments));
    }
  }

  /** Puts a persisted binding back; silently nothing when an end is missing. */
  restoreBinding(names: readonly string[], value: Json): void {
    const [source, kind, destination, key] = names as [string, string, string, string];
    const from = this.exchanges.get(source);
    const to = kind === 'queue' ? this.queues.get(destination) : this.exchanges.get(destination);
    if (from === undefined || to === undefined) return;
    this.bindings.bind(from, to, key, tableFromJson(value));
  }

  /** Removes a binding; missing is fine. */
  unbind(source: Exchange, destination: Destination, key: string, args: FieldTable): void {
    const binding = this.bindings.unbind(source, destination, key, args);
    if (binding !== undefined) this.#cascade([binding]);
  }

  /** The bindings between two ends that carry the same key and arguments as given. */
  hasBinding(source: Exchange, destination: Destination, key: string, args: FieldTable): boolean {
    for (const binding of source.bindingsTo(destination)) {
      if (binding.key === key && tablesEqual(binding.arguments, args)) return true;
    }
    return false;
  }

  #createExchange(name: string, declaration: ExchangeDeclaration): Exchange {
    const options = {
      name,
      isDurable: declaration.durable,
      isAutoDelete: declaration.autoDelete,
      isInternal: declaration.internal,
      arguments: declaration.arguments,
    };
    const exchange = createExchange(declaration.type, options, { random: this.#random });
    this.exchanges.set(name, exchange);
    this.#revision += 1;
    this.onExchangeAdded(exchange);
    return exchange;
  }

  /** Bindings are gone: forget them on disk, and delete auto-delete exchanges left without any. */
  #cascade(removed: readonly Binding[]): void {
    if (removed.length > 0) this.#revision += 1;
    for (const binding of removed) this.#forget(binding);
    for (const { source } of removed) {
      if (!source.isAutoDelete || source.bindingCount > 0) continue;
      if (this.exchanges.get(source.name) === source) this.removeExchange(source);
    }
  }

  #forget(binding: Binding): void {
    if (!this.#isPersisted(binding)) return;
    this.#store.undefine('binding', definitionKey(this.vhostName, ...bindingNames(binding)));
  }

  /** An exclusive queue is never persisted, even when it was declared durable. */
  #isPersisted(binding: Binding): boolean {
    if (!binding.isDurable) return false;
    return binding.destination.isExchange || !(binding.destination as Queue).isExclusive;
  }

  #define(kind: string, names: readonly string[], value: Json): void {
    this.#store.define(kind, definitionKey(this.vhostName, ...names), JSON.stringify(value));
  }
}

/** Source, kind of destination, destination, key, and what tells equal keys apart. */
function bindingNames(binding: Binding): string[] {
  const { source, destination, key } = binding;
  const kind = destination.isExchange ? 'exchange' : 'queue';
  const names = [source.name, kind, destination.name, key];
  if (binding.arguments.size > 0) names.push(JSON.stringify(tableToJson(binding.arguments)));
  return names;
}
