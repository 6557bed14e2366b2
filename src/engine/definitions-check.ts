/**
 * Whether a definitions document can be applied to a broker as it is now, without changing it:
 * what each entry refers to exists or is in the document, patterns and arguments are good, and
 * exchanges and queues that exist are equivalent. Finds every mistake, not the first.
 */
import { BrokerError } from '../base/errors.ts';
import { Permission, TopicPermission } from './access/permission.ts';
import type { Broker } from './broker.ts';
import { CmqDefinitionsCheck } from './definitions-cmq-check.ts';
import { bindingText, policyText } from './definitions-document.ts';
import type {
  BindingRecord,
  DefinitionsDocument,
  ExchangeRecord,
  QueueRecord,
} from './definitions-document.ts';
import { checkExchangeEquivalence, checkQueueEquivalence, resourceText } from './equivalence.ts';
import type { Destination, Exchange } from './exchange/exchange.ts';
import { createExchange } from './exchange/exchange-types.ts';
import { PolicySet } from './policy.ts';
import { parseQueueArguments } from './queue/arguments.ts';
import { Topology } from './topology.ts';

/** Names from here on are the broker's own: not made, but fine when they exist. */
export const RESERVED_PREFIX = 'amq.';

/** Adds what is wrong to `document.problems`, and what is left out to `document.warnings`. */
export function checkDefinitions(broker: Broker, document: DefinitionsDocument): void {
  new DefinitionsCheck(broker, document).run();
}

class DefinitionsCheck {
  readonly #broker: Broker;
  readonly #document: DefinitionsDocument;
  readonly #vhosts: Set<string>;
  readonly #users: Set<string>;
  /** Bindings are tried on these, by resource text: copies of what exists or will. */
  readonly #exchanges: Map<string, Exchange>;
  readonly #queues: Map<string, Destination>;
  /** What a vhost has from the start. */
  readonly #newTopology: Topology;

  constructor(broker: Broker, document: DefinitionsDocument) {
    this.#broker = broker;
    this.#document = document;
    this.#vhosts = new Set(document.vhosts);
    for (const { name } of broker.vhosts()) this.#vhosts.add(name);
    this.#users = new Set(document.users.map(({ name }) => name));
    for (const { name } of broker.access.users()) this.#users.add(name);
    this.#exchanges = new Map();
    this.#queues = new Map();
    this.#newTopology = new Topology('', broker.store, broker.random);
  }

  run(): void {
    const document = this.#document;
    this.#unique(document.vhosts.map((name) => `vhost '${name}'`));
    this.#unique(document.users.map(({ name }) => `user '${name}'`));
    this.#checkPermissions();
    this.#checkAccessKeys();
    this.#checkPolicies();
    this.#unique(
      document.exchanges.map(({ name, vhost }) => resourceText('exchange', name, vhost)),
    );
    this.#unique(document.queues.map(({ name, vhost }) => resourceText('queue', name, vhost)));
    for (const exchange of document.exchanges) this.#checkExchange(exchange);
    for (const queue of document.queues) this.#checkQueue(queue);
    for (const binding of document.bindings) this.#checkBinding(binding);
    new CmqDefinitionsCheck(this.#broker, document, {
      knows: (text, vhost) => this.#knows(text, vhost),
      unique: (texts) => this.#unique(texts),
      try: (text, action) => this.#try(text, action),
      exchange: (vhost, name) => this.#exchange(vhost, name),
    }).run();
  }

  #checkPermissions(): void {
    const { permissions, topicPermissions } = this.#document;
    const texts: string[] = [];
    for (const { user, vhost, patterns } of permissions) {
      const text = `permission of user '${user}' in vhost '${vhost}'`;
      texts.push(text);
      this.#knows(text, vhost, user);
      this.#try(text, () => new Permission(patterns));
    }
    for (const { user, vhost, exchange, patterns } of topicPermissions) {
      const where = resourceText('exchange', exchange, vhost);
      const text = `topic permission of user '${user}' for ${where}`;
      texts.push(text);
      this.#knows(text, vhost, user);
      this.#try(text, () => new TopicPermission(patterns));
    }
    this.#unique(texts);
  }

  #checkAccessKeys(): void {
    const { accessKeys } = this.#document;
    for (const { id, user, vhost } of accessKeys) this.#knows(`access key '${id}'`, vhost, user);
    this.#unique(accessKeys.map(({ id }) => `access key '${id}'`));
  }

  #checkPolicies(): void {
    const scratch = new PolicySet();
    for (const policy of this.#document.policies) {
      const { kind, vhost, name, input } = policy;
      this.#knows(policyText(policy), vhost);
      this.#try(policyText(policy), () => scratch.put(kind, vhost, name, input));
    }
    this.#unique(this.#document.policies.map(policyText));
  }

  #checkExchange(record: ExchangeRecord): void {
    const { name, vhost } = record;
    const text = resourceText('exchange', name, vhost);
    const existing = this.#existingExchange(vhost, name);
    if (existing?.name.startsWith(RESERVED_PREFIX) === true || name === '') return;
    if (existing !== undefined) {
      this.#try('', () => checkExchangeEquivalence(vhost, existing, record));
      return;
    }
    this.#knows(text, vhost);
    if (name.startsWith(RESERVED_PREFIX)) {
      this.#document.warnings.push(`${text} is left out: the name is reserved`);
      return;
    }
    const alternate = record.arguments.get('alternate-exchange');
    if (alternate !== undefined && typeof alternate !== 'string') {
      this.#document.problems.push(`${text}: argument alternate-exchange must be a text`);
    }
    this.#try(text, () => this.#exchanges.set(text, this.#copyOf(record)));
  }

  #checkQueue(record: QueueRecord): void {
    const { name, vhost } = record;
    const text = resourceText('queue', name, vhost);
    const existing = this.#broker.vhost(vhost)?.topology.queues.get(name);
    if (existing !== undefined) {
      const { isDurable, isAutoDelete, isExclusive } = existing;
      const current = { ...existing, durable: isDurable, autoDelete: isAutoDelete };
      this.#try('', () => checkQueueEquivalence(vhost, name, current, record, isExclusive));
      return;
    }
    this.#knows(text, vhost);
    if (name.startsWith(RESERVED_PREFIX)) {
      this.#document.warnings.push(`${text} is left out: the name is reserved`);
      return;
    }
    this.#queues.set(text, { name, isExchange: false });
    const { durable, autoDelete } = record;
    const flags = { durable, autoDelete, exclusive: false, serverNamed: false };
    this.#try(text, () => parseQueueArguments(vhost, name, record.arguments, flags));
  }

  #checkBinding(record: BindingRecord): void {
    const { vhost, source, key } = record;
    if (!this.#vhosts.has(vhost)) {
      this.#knows(bindingText(record), vhost);
      return;
    }
    const text = bindingText(record);
    const { problems, warnings } = this.#document;
    if (source === '') {
      warnings.push(`${text} is left out: every queue has it`);
      return;
    }
    const from = this.#exchange(vhost, source);
    const to = this.#destination(record);
    if (from === undefined || to === undefined) {
      const missing = from === undefined ? source : record.destination;
      if (missing.startsWith(RESERVED_PREFIX)) {
        warnings.push(`${text} is left out: there is no '${missing}'`);
      } else problems.push(`${text}: there is no '${missing}'`);
    } else {
      this.#try(text, () => {
        from.bind(to, key, record.arguments);
        from.unbind(to, key, record.arguments);
      });
    }
  }

  /** A copy of an exchange of the document or the broker, for trying bindings on. */
  #exchange(vhost: string, name: string): Exchange | undefined {
    const text = resourceText('exchange', name, vhost);
    const known = this.#exchanges.get(text);
    const existing = known === undefined ? this.#existingExchange(vhost, name) : undefined;
    if (existing === undefined) return known;
    const copy = createExchange(existing.type, existing, { random: this.#broker.random });
    this.#exchanges.set(text, copy);
    return copy;
  }

  #existingExchange(vhost: string, name: string): Exchange | undefined {
    const topology = this.#broker.vhost(vhost)?.topology;
    const isNew = topology === undefined && this.#vhosts.has(vhost);
    return (isNew ? this.#newTopology : topology)?.exchanges.get(name);
  }

  #copyOf(record: ExchangeRecord): Exchange {
    const options = {
      name: record.name,
      isDurable: record.durable,
      isAutoDelete: record.autoDelete,
      isInternal: record.internal,
      arguments: record.arguments,
    };
    return createExchange(record.type, options, { random: this.#broker.random });
  }

  #destination({ vhost, destination, isToExchange }: BindingRecord): Destination | undefined {
    if (isToExchange) return this.#exchange(vhost, destination);
    const existing = this.#broker.vhost(vhost)?.topology.queues.get(destination);
    return existing ?? this.#queues.get(resourceText('queue', destination, vhost));
  }

  #knows(text: string, vhost: string, user?: string): void {
    const { problems } = this.#document;
    if (!this.#vhosts.has(vhost)) problems.push(`${text}: there is no such vhost`);
    if (user !== undefined && !this.#users.has(user)) {
      problems.push(`${text}: there is no such user`);
    }
  }

  #unique(texts: readonly string[]): void {
    const seen = new Set<string>();
    for (const text of texts) {
      if (seen.has(text)) this.#document.problems.push(`${text}: is there twice`);
      seen.add(text);
    }
  }

  /** @param text names the entry, unless the error does */
  #try(text: string, action: () => unknown): void {
    try {
      action();
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error;
      this.#document.problems.push(text === '' ? error.message : `${text}: ${error.message}`);
    }
  }
}
