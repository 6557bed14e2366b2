/**
 * The consumers of one queue, and whose turn it is.
 *
 * Consumers of equal priority take turns (round robin, one delivery each); a higher priority is
 * served until it has no credit. With a single active consumer only the one that came first is
 * served; when it leaves, the one of the highest priority follows, the oldest of these. A quorum
 * queue also hands over to a higher priority that arrives, once the active one, which gets nothing
 * more, has settled what it holds (RabbitMQ).
 */
import type { Consumer } from './consumer.ts';
import { ConsumerRoster } from './consumer-roster.ts';

interface PriorityGroup {
  readonly priority: number;
  readonly members: ConsumerRoster;
}

export class ConsumerSet {
  readonly #isSingleActive: boolean;
  /** Highest priority first; almost always one group. */
  readonly #groups: PriorityGroup[];
  readonly #members: ConsumerRoster;
  /** A higher priority takes over from the active one. */
  readonly #isPreemptive: boolean;
  #active: Consumer | undefined;

  constructor(isSingleActive: boolean, isPreemptive = false) {
    this.#isSingleActive = isSingleActive;
    this.#isPreemptive = isPreemptive;
    this.#groups = [];
    this.#members = new ConsumerRoster();
    this.#active = undefined;
  }

  get count(): number {
    return this.#members.count;
  }

  /** A copy, in order of arrival. */
  toArray(): Consumer[] {
    return this.#members.toArray();
  }

  /** The consumer that gets everything, when the queue has a single active one. */
  get active(): Consumer | undefined {
    return this.#isSingleActive ? this.#active : undefined;
  }

  /** A higher priority waits for the active one to settle what it holds. */
  get isHandingOver(): boolean {
    if (!this.#isPreemptive || this.#active === undefined) return false;
    return this.#groups[0]!.priority > this.#active.priority;
  }

  hasExclusive(): boolean {
    return this.#members.hasExclusive();
  }

  add(consumer: Consumer): void {
    this.#members.add(consumer);
    this.#active ??= consumer;
    const index = this.#groups.findIndex((group) => group.priority <= consumer.priority);
    const group = index < 0 ? undefined : this.#groups[index];
    if (group !== undefined && group.priority === consumer.priority) {
      group.members.add(consumer);
      return;
    }
    const fresh = { priority: consumer.priority, members: new ConsumerRoster() };
    fresh.members.add(consumer);
    this.#groups.splice(index < 0 ? this.#groups.length : index, 0, fresh);
  }

  /** Returns false when it was not here. */
  remove(consumer: Consumer): boolean {
    if (!this.#members.remove(consumer)) return false;
    const groupIndex = this.#groups.findIndex((group) => group.priority === consumer.priority);
    const group = this.#groups[groupIndex]!;
    group.members.remove(consumer);
    if (group.members.count === 0) this.#groups.splice(groupIndex, 1);
    if (this.#active === consumer) this.#active = this.#groups[0]?.members.first;
    return true;
  }

  /** The next consumer with credit, or undefined. Advances the turn. */
  next(): Consumer | undefined {
    if (this.#isSingleActive) {
      const active = this.#served();
      return active?.hasCredit() === true ? active : undefined;
    }
    for (const group of this.#groups) {
      const consumer = group.members.next();
      if (consumer !== undefined) return consumer;
    }
    return undefined;
  }

  /** True when any consumer could take a delivery now. */
  hasCredit(): boolean {
    if (this.#isSingleActive) return this.#served()?.hasCredit() ?? false;
    return this.#members.hasCredit();
  }

  /** The single active consumer; undefined while one that is to follow waits for what it holds. */
  #served(): Consumer | undefined {
    if (!this.isHandingOver) return this.#active;
    if (this.#active?.holdsDeliveries === true) return undefined;
    this.#active = this.#groups[0]?.members.first;
    return this.#active;
  }
}
