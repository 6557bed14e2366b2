/**
 * The redrives of one vhost: at most one per dead-letter queue under way, the last one remembered.
 * Each is one definition `cmq_redrive`, written with every batch it moves, so that it goes on after
 * a restart where it was.
 */
import type { Actor } from '../actor.ts';
import { definitionKey } from '../definitions.ts';
import type { Json } from '../definitions.ts';
import type { Entry, Message } from '../message.ts';
import type { Ticket } from '../ports.ts';
import { ClassicQueue } from '../queue/classic-queue.ts';
import type { Queue } from '../queue/queue.ts';
import type { VHost } from '../vhost.ts';
import type { VHostQueues } from '../vhost-queues.ts';
import { REDRIVE_RATE_DEFAULT } from './cmq-limits.ts';
import { CmqQueueError } from './cmq-queue-error.ts';
import type { CmqQueues } from './cmq-queues.ts';
import { Redrive } from './redrive.ts';
import type { RedriveHost, RedriveState } from './redrive.ts';
import { originOf, revive } from './redrive-message.ts';

export interface RedriveRequest {
  /** Name of the queue that takes everything; undefined: each message goes home. */
  readonly destination?: string | undefined;
  /** Messages per second. */
  readonly rate?: number | undefined;
}

export class Redrives {
  readonly #vhost: VHost;
  readonly #queues: VHostQueues;
  readonly #cmqQueues: CmqQueues;
  readonly #byQueue: Map<Queue, Redrive>;
  readonly #host: RedriveHost;
  /** Called for each message moved. */
  onMoved: (from: Queue, entry: Entry, to: Queue) => void;

  constructor(vhost: VHost, queues: VHostQueues, cmqQueues: CmqQueues) {
    this.#vhost = vhost;
    this.#queues = queues;
    this.#cmqQueues = cmqQueues;
    this.#byQueue = new Map();
    this.onMoved = () => {};
    this.#host = {
      nowMs: () => queues.nowMs(),
      wakeAt: queues.wakeAt,
      targetOf: (state, message) => this.#targetOf(state, message),
      revive: (message, target) => this.#revive(message, target),
      moved: (from, entry, to) => this.onMoved(from, entry, to),
      changed: (redrive) => this.#persist(redrive),
    };
  }

  /**
   * Starts to empty a dead-letter queue.
   * @throws BrokerError 403, 404; CmqQueueError 'busy'
   */
  start(
    actor: Actor,
    name: string,
    request: RedriveRequest = {},
  ): { readonly redrive: Redrive; readonly ticket: Ticket } {
    const queue = this.#cmqQueues.find(actor, name, 'configure');
    const current = this.#byQueue.get(queue);
    if (current !== undefined && !current.isDeleted) {
      throw new CmqQueueError('busy', `a redrive of queue '${queue.name}' is under way`);
    }
    const { destination, rate = REDRIVE_RATE_DEFAULT } = request;
    const target =
      destination === undefined ? undefined : this.#cmqQueues.find(actor, destination, 'write');
    // Who chooses where they go may read them there.
    if (target !== undefined) this.#cmqQueues.find(actor, name, 'read');
    if (target === queue) {
      throw new CmqQueueError('dead-letter', 'a redrive leads to another queue');
    }
    const nowMs = this.#queues.nowMs();
    const redrive = new Redrive(
      queue,
      {
        id: `redrive-${queue.id.toString(36)}-${nowMs.toString(36)}`,
        status: 'running',
        destination: target?.name,
        rate,
        userName: actor.user.name,
        total: queue.readyCount,
        moved: 0,
        failed: 0,
        startedAtMs: nowMs,
        endedAtMs: 0,
        lastError: '',
      },
      this.#host,
    );
    this.#byQueue.set(queue, redrive);
    this.#persist(redrive);
    redrive.start();
    return { redrive, ticket: this.#queues.ticket };
  }

  /** The last redrive of a queue. @throws BrokerError 403, 404 */
  find(actor: Actor, name: string): Redrive | undefined {
    return this.#byQueue.get(this.#cmqQueues.find(actor, name, 'any'));
  }

  /** Stops one that runs; anything else is fine. @throws BrokerError 403, 404 */
  cancel(actor: Actor, name: string): Redrive | undefined {
    const redrive = this.#byQueue.get(this.#cmqQueues.find(actor, name, 'configure'));
    redrive?.cancel();
    return redrive;
  }

  /** Puts a persisted redrive back; its queue exists. One that ran goes on. */
  restore(name: string, value: Json): void {
    const queue = this.#vhost.topology.queues.get(name);
    if (!(queue instanceof ClassicQueue)) return;
    const redrive = new Redrive(queue, value as unknown as RedriveState, this.#host);
    this.#byQueue.set(queue, redrive);
    redrive.resume();
  }

  /** A queue was deleted, by whomever. */
  queueRemoved(queue: Queue): void {
    const redrive = this.#byQueue.get(queue);
    if (redrive === undefined) return;
    redrive.cancel();
    this.#byQueue.delete(queue);
    this.#queues.store.undefine('cmq_redrive', this.#key(queue));
  }

  #targetOf(state: RedriveState, message: Message): Queue | string {
    const { formats } = this.#vhost.publisher.host;
    const name = state.destination ?? originOf(message, formats[message.format]!);
    if (name === undefined) return 'a message does not say where it came from';
    const target = this.#vhost.topology.queues.get(name);
    if (target === undefined) return `queue '${name}' does not exist`;
    const { access } = this.#queues;
    const user = access.user(state.userName);
    const mayWrite =
      user !== undefined && access.isAuthorized(user, this.#vhost.name, 'write', 'queue', name);
    return mayWrite ? target : `user '${state.userName}' may not write to queue '${name}'`;
  }

  #revive(message: Message, target: Queue): Message {
    const format = this.#vhost.publisher.host.formats[message.format]!;
    return revive(message, format, target.name, this.#queues.nowMs());
  }

  #persist(redrive: Redrive): void {
    const { queue, state } = redrive;
    if (this.#vhost.topology.queues.get(queue.name) !== queue) return;
    this.#queues.store.define('cmq_redrive', this.#key(queue), JSON.stringify(state));
  }

  #key(queue: Queue): string {
    return definitionKey(this.#vhost.name, queue.name);
  }
}
