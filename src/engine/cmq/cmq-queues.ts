/**
 * The queues of one vhost as CMQ's owners manage them: attributes, names without regard to case,
 * quota, dead-letter bindings, and what of it is persisted.
 *
 * 1. A CMQ queue is a durable queue of the vhost and one definition `cmq_queue` with its attribute
 *    record; the record decides settings of the queue (`settingsFor`). Whoever deletes the queue,
 *    the record goes with it.
 * 2. A durable queue that another protocol declared can be used as it is; setting an attribute
 *    gives it a record.
 * 3. A dead-letter binding lives in the record of its source. One level only: a dead-letter queue
 *    has no binding itself, and at most SOURCES_MAX sources. CMQ cannot delete it while it has any;
 *    when another protocol does, its sources are unbound.
 * 4. Rights: creating, changing and deleting need configure, sending write, everything that reads
 *    or settles read; a binding needs read on its source and write on the dead-letter queue, too.
 */
import { isDeepStrictEqual } from 'node:util';
import { BrokerError } from '../../base/errors.ts';
import { EMPTY_TABLE } from '../../base/field-value.ts';
import type { PermissionKind } from '../access/permission.ts';
import type { Actor } from '../actor.ts';
import { definitionKey } from '../definitions.ts';
import type { Json } from '../definitions.ts';
import { resourceText } from '../equivalence.ts';
import type { Ticket } from '../ports.ts';
import { ClassicQueue } from '../queue/classic-queue.ts';
import type { Queue } from '../queue/queue.ts';
import type { VHost } from '../vhost.ts';
import type { VHostQueues } from '../vhost-queues.ts';
import { CmqQueueError } from './cmq-queue-error.ts';
import { PUSH_PREFIX } from './own-queues.ts';
import {
  changeAttributes,
  defaultAttributes,
  foreignAttributes,
  settingsFor,
  withDeadLetter,
} from './queue-attributes.ts';
import type {
  AttributeChanges,
  DeadLetterBinding,
  QueueAttributes,
  WantedAttributes,
} from './queue-attributes.ts';
import { QueueCounters } from './queue-counters.ts';
import { QueueNames } from './queue-names.ts';

/** What is wished for a queue. */
export interface QueueWishes {
  readonly changes?: AttributeChanges;
  readonly deadLetter?: DeadLetterRequest | undefined;
}

/** A new queue, and what an operator limits. */
export interface QueueCreation extends QueueWishes {
  /** Queues made over CMQ in one vhost. */
  readonly queuesMax?: number;
  /** Ms in which a deleted name cannot be made again. */
  readonly recreateAfterMs?: number;
}

/** A dead-letter binding as it is asked for; what is undefined stays as it was, or is usual. */
export interface DeadLetterRequest {
  /** Name or id of the dead-letter queue. */
  readonly queue: string | undefined;
  readonly policy?: number | undefined;
  readonly maxReceiveCount?: number | undefined;
  readonly maxTimeToLive?: number | undefined;
}

/** Of what CMQ names: queues, topics, subscriptions. */
export const CMQ_NAME_PATTERN = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;
/** Queues one dead-letter queue may serve. */
export const SOURCES_MAX = 6;
/** Queues of the gateway's own, which no CMQ client sees. */
const INTERNAL_PREFIXES = ['amq.', PUSH_PREFIX, 'mqtt-subscription-', 'mqtt-share-'];
/** Receives and seconds a binding asks for unless it says so itself. */
const MAX_RECEIVE_COUNT_DEFAULT = 10;
const MAX_TIME_TO_LIVE_DEFAULT = 43_200;
/** Deleted names remembered at most. */
const COOLING_NAMES_MAX = 10_000;

interface QueueAndTicket {
  readonly queue: ClassicQueue;
  readonly ticket: Ticket;
}

export class CmqQueues {
  readonly #vhost: VHost;
  readonly #queues: VHostQueues;
  readonly #names: QueueNames;
  readonly #records: Map<Queue, QueueAttributes>;
  /** By dead-letter queue. */
  readonly #sources: Map<Queue, Set<Queue>>;
  readonly #counters: WeakMap<Queue, QueueCounters>;
  /** When each name in lower case was deleted, oldest first. */
  readonly #cooling: Map<string, number>;
  /** Called after a record was made, changed or (undefined) has gone with its queue. */
  onRecord: (queue: Queue, attributes: QueueAttributes | undefined) => void;

  constructor(vhost: VHost, queues: VHostQueues) {
    this.#vhost = vhost;
    this.#queues = queues;
    this.#names = new QueueNames(vhost.topology);
    this.#records = new Map();
    this.#sources = new Map();
    this.#counters = new WeakMap();
    this.#cooling = new Map();
    this.onRecord = () => {};
  }

  /** Queues that have a record. */
  get count(): number {
    return this.#records.size;
  }

  /** Makes a queue. @throws BrokerError 403; CmqQueueError */
  create(actor: Actor, name: string, creation: QueueCreation = {}): QueueAndTicket {
    this.#authorize(actor, 'configure', name);
    if (!CMQ_NAME_PATTERN.test(name) || isInternal(name))
      throw new CmqQueueError('name', `'${name}' is no queue name`);
    if (this.#names.isTaken(name)) throw new CmqQueueError('exists', `queue '${name}' exists`);
    if (this.count >= (creation.queuesMax ?? Infinity)) {
      throw new CmqQueueError('quota', `there are ${this.count} queues already`);
    }
    this.#refuseCooling(name, creation.recreateAfterMs ?? 0);
    if (creation.deadLetter !== undefined) this.#authorize(actor, 'read', name);
    const attributes = this.#wished(actor, undefined, creation);
    const queue = this.#names.adding(() => this.#declare(actor, name)) as ClassicQueue;
    this.#put(queue, attributes);
    return { queue, ticket: this.#queues.ticket };
  }

  /** Changes attributes and binding. @throws BrokerError 403, 404; CmqQueueError */
  set(actor: Actor, name: string, wishes: QueueWishes): QueueAndTicket {
    const queue = this.find(actor, name, 'configure');
    // As `x-dead-letter-exchange`: it leads messages to where somebody else may read them.
    if (wishes.deadLetter !== undefined) this.#authorize(actor, 'read', queue.name);
    this.#put(queue, this.#wished(actor, queue, wishes));
    return { queue, ticket: this.#queues.ticket };
  }

  /** Ends a binding; none is fine. @throws BrokerError 403, 404 */
  unbindDeadLetter(actor: Actor, name: string): Ticket {
    const queue = this.find(actor, name, 'configure');
    this.#unbind(queue);
    return this.#queues.ticket;
  }

  /** Deletes a queue with everything in it. @throws BrokerError 403, 404; CmqQueueError 'bound' */
  delete(actor: Actor, name: string): Ticket {
    const queue = this.find(actor, name, 'configure');
    const sources = this.sourcesOf(queue);
    if (sources.length > 0) {
      const names = sources.map((source) => source.name).join(', ');
      throw new CmqQueueError('bound', `queue '${queue.name}' takes the dead letters of ${names}`);
    }
    this.#queues.remove(queue);
    this.#noteDeleted(queue.name.toLowerCase());
    return this.#queues.ticket;
  }

  /**
   * A queue that CMQ may use, by its name in whatever case.
   * @throws BrokerError ACCESS_REFUSED, NOT_FOUND
   */
  find(actor: Actor, name: string, right: PermissionKind | 'any'): ClassicQueue {
    const queue = this.#names.find(name);
    const { access } = this.#queues;
    const exactName = queue?.name ?? name;
    if (right !== 'any') this.#authorize(actor, right, exactName);
    else access.authorizeAny(actor.user, this.#vhost.name, 'queue', exactName);
    if (queue !== undefined && isUsable(queue)) return queue;
    throw new BrokerError('NOT_FOUND', `no ${resourceText('queue', name, this.#vhost.name)}`);
  }

  /** True for who may change the queue. */
  isOwner(actor: Actor, queue: Queue): boolean {
    const { access } = this.#queues;
    return access.isAuthorized(actor.user, this.#vhost.name, 'configure', 'queue', queue.name);
  }

  /** Every queue CMQ may use that `actor` has some right on, by name. */
  list(actor: Actor): ClassicQueue[] {
    const { access } = this.#queues;
    const isVisible = ({ name }: Queue): boolean =>
      (['configure', 'write', 'read'] as const).some((right) =>
        access.isAuthorized(actor.user, this.#vhost.name, right, 'queue', name),
      );
    return [...this.#vhost.topology.queues.values()]
      .filter((queue): queue is ClassicQueue => isUsable(queue) && isVisible(queue))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** The queue's record, or how one without looks. */
  attributesOf(queue: Queue): QueueAttributes {
    return this.#records.get(queue) ?? foreignAttributes(0);
  }

  countersOf(queue: Queue): QueueCounters {
    let counters = this.#counters.get(queue);
    if (counters === undefined) this.#counters.set(queue, (counters = new QueueCounters()));
    return counters;
  }

  /** The queues whose dead letters go to `queue`. */
  sourcesOf(queue: Queue): readonly Queue[] {
    return [...(this.#sources.get(queue) ?? [])];
  }

  /** Every record, in the order they were made. */
  records(): Iterable<readonly [Queue, QueueAttributes]> {
    return this.#records;
  }

  /**
   * Gives a queue that is there a record, checked, as definitions have it: nobody's rights are
   * asked. False when it has it already.
   */
  define(name: string, wanted: WantedAttributes): boolean {
    const queue = this.#vhost.topology.queues.get(name)!;
    const before = this.#records.get(queue);
    const nowMs = this.#queues.nowMs();
    const attributes = {
      ...wanted,
      deadLetter: wanted.deadLetter && {
        ...wanted.deadLetter,
        boundAtMs: boundAtMs(before?.deadLetter, wanted.deadLetter, nowMs),
      },
      createdAtMs: before?.createdAtMs ?? nowMs,
      modifiedAtMs: before?.modifiedAtMs ?? nowMs,
    };
    if (isDeepStrictEqual(attributes, before)) return false;
    this.#put(queue, { ...attributes, modifiedAtMs: nowMs });
    return true;
  }

  /** Puts a persisted record back; its queue exists. */
  restore(name: string, value: Json): void {
    const queue = this.#vhost.topology.queues.get(name);
    if (queue === undefined) return;
    const row = value as unknown as Partial<QueueAttributes>;
    this.#apply(queue, { ...foreignAttributes(0), ...row });
  }

  /** A queue was deleted, by whomever. */
  queueRemoved(queue: Queue): void {
    for (const source of this.sourcesOf(queue)) this.#unbind(source);
    const attributes = this.#records.get(queue);
    if (attributes === undefined) return;
    this.#forgetSource(queue, attributes.deadLetter);
    this.#records.delete(queue);
    this.#queues.store.undefine('cmq_queue', definitionKey(this.#vhost.name, queue.name));
    this.onRecord(queue, undefined);
  }

  #declare(actor: Actor, name: string): Queue {
    this.#vhost.declareQueue(actor, name, {
      passive: false,
      durable: true,
      exclusive: false,
      autoDelete: false,
      arguments: EMPTY_TABLE,
    });
    return this.#vhost.topology.queues.get(name)!;
  }

  /** The record a queue is to have. @param queue undefined while it is being made */
  #wished(
    actor: Actor,
    queue: ClassicQueue | undefined,
    { changes = {}, deadLetter }: QueueWishes,
  ): QueueAttributes {
    const nowMs = this.#queues.nowMs();
    const before = queue === undefined ? defaultAttributes(nowMs) : this.attributesOf(queue);
    const binding =
      deadLetter === undefined ? before.deadLetter : this.#binding(actor, queue, deadLetter);
    return changeAttributes({ ...before, deadLetter: binding }, changes, nowMs);
  }

  /** @param source undefined while it is being made */
  #binding(
    actor: Actor,
    source: ClassicQueue | undefined,
    request: DeadLetterRequest,
  ): DeadLetterBinding {
    const before = source && this.attributesOf(source).deadLetter;
    const wanted = request.queue ?? before?.queueName;
    if (wanted === undefined) refuseBinding('no dead-letter queue is named');
    const queue = this.#byNameOrId(wanted);
    this.#authorize(actor, 'write', queue?.name ?? wanted);
    if (queue === undefined) {
      throw new BrokerError('NOT_FOUND', `no ${resourceText('queue', wanted, this.#vhost.name)}`);
    }
    if (queue === source) refuseBinding('a queue cannot take its own dead letters');
    if (queue.settings.deadLetterExchange !== undefined) {
      refuseBinding(`queue '${queue.name}' has a dead-letter queue itself`);
    }
    if (source !== undefined && this.sourcesOf(source).length > 0) {
      refuseBinding(`queue '${source.name}' takes dead letters itself`);
    }
    const others = this.sourcesOf(queue).filter((other) => other !== source);
    if (others.length >= SOURCES_MAX) {
      refuseBinding(
        `queue '${queue.name}' takes the dead letters of ${SOURCES_MAX} queues already`,
      );
    }
    const policy = (request.policy ?? before?.policy ?? 0) === 0 ? 0 : 1;
    const wishes = { queueName: queue.name, policy } as const;
    return {
      ...wishes,
      maxReceiveCount:
        request.maxReceiveCount ?? before?.maxReceiveCount ?? MAX_RECEIVE_COUNT_DEFAULT,
      maxTimeToLive: request.maxTimeToLive ?? before?.maxTimeToLive ?? MAX_TIME_TO_LIVE_DEFAULT,
      boundAtMs: boundAtMs(before, wishes, this.#queues.nowMs()),
    };
  }

  #byNameOrId(text: string): ClassicQueue | undefined {
    const queue = this.#names.find(text) ?? this.#byId(text);
    return queue !== undefined && isUsable(queue) ? queue : undefined;
  }

  #byId(id: string): Queue | undefined {
    for (const queue of this.#vhost.topology.queues.values()) {
      if (queueIdOf(queue) === id) return queue;
    }
    return undefined;
  }

  #unbind(source: Queue): void {
    const attributes = this.#records.get(source);
    if (attributes?.deadLetter === undefined) return;
    this.#put(source, withDeadLetter(attributes, undefined, this.#queues.nowMs()));
  }

  #put(queue: Queue, attributes: QueueAttributes): void {
    this.#apply(queue, attributes);
    this.#queues.store.define(
      'cmq_queue',
      definitionKey(this.#vhost.name, queue.name),
      JSON.stringify(attributes),
    );
  }

  #apply(queue: Queue, attributes: QueueAttributes): void {
    this.#forgetSource(queue, this.#records.get(queue)?.deadLetter);
    this.#records.set(queue, attributes);
    const { deadLetter } = attributes;
    const target = deadLetter && this.#vhost.topology.queues.get(deadLetter.queueName);
    if (target !== undefined) {
      const sources = this.#sources.get(target);
      if (sources === undefined) this.#sources.set(target, new Set([queue]));
      else sources.add(queue);
    }
    this.#queues.override(queue, settingsFor(attributes));
    this.onRecord(queue, attributes);
  }

  #forgetSource(queue: Queue, deadLetter: DeadLetterBinding | undefined): void {
    if (deadLetter === undefined) return;
    for (const [target, sources] of this.#sources) {
      if (sources.delete(queue) && sources.size === 0) this.#sources.delete(target);
    }
  }

  #noteDeleted(lower: string): void {
    this.#cooling.delete(lower);
    this.#cooling.set(lower, this.#queues.nowMs());
    if (this.#cooling.size <= COOLING_NAMES_MAX) return;
    for (const [oldest] of this.#cooling) {
      this.#cooling.delete(oldest);
      return;
    }
  }

  #refuseCooling(name: string, recreateAfterMs: number): void {
    const deletedAtMs = this.#cooling.get(name.toLowerCase());
    if (deletedAtMs === undefined) return;
    if (deletedAtMs + recreateAfterMs > this.#queues.nowMs()) {
      throw new CmqQueueError('cooling', `queue '${name}' was deleted a moment ago`);
    }
    this.#cooling.delete(name.toLowerCase());
  }

  #authorize(actor: Actor, right: PermissionKind, name: string): void {
    this.#queues.access.authorize(actor.user, this.#vhost.name, right, 'queue', name);
  }
}

/** The id CMQ shows for a queue; never reused. */
export function queueIdOf(queue: Queue): string {
  return `queue-${queue.id.toString(36)}`;
}

/** A binding to the same queue by the same policy goes on; another begins now. */
function boundAtMs(
  before: DeadLetterBinding | undefined,
  { queueName, policy }: Pick<DeadLetterBinding, 'queueName' | 'policy'>,
  nowMs: number,
): number {
  const isSame = before?.queueName === queueName && before.policy === policy;
  return isSame ? before.boundAtMs : nowMs;
}

/** A queue that CMQ may use. */
export function isUsable(queue: Queue): queue is ClassicQueue {
  if (!(queue instanceof ClassicQueue) || !queue.isDurable || queue.isExclusive) return false;
  return !isInternal(queue.name);
}

/** A queue of the gateway's own has such a name. */
export function isInternal(name: string): boolean {
  return INTERNAL_PREFIXES.some((prefix) => name.startsWith(prefix));
}

function refuseBinding(text: string): never {
  throw new CmqQueueError('dead-letter', text);
}
