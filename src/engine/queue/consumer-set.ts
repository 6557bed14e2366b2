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

interface PriorityGroup {
  readonly priority: number;
  readonly members: Consumer[];
  /** Index of the member to ask first. */
  cursor: number;
}

export class ConsumerSet {
  readonly #isSingleActive: boolean;
  /** Highest priority first; almost always one group. */
  readonly #groups: PriorityGroup[];
  /** In order of arrival. */
  readonly #members: Consumer[];
  /** A higher priority takes over from the active one. */
  readonly #isPreemptive: boolean;
  #active: Consumer | undefined;

  constructor(isSingleActive: boolean, isPreemptive = false) {
    this.#isSingleActive = isSingleActive;
    this.#isPreemptive = isPreemptive;
    this.#groups = [];
    this.#members = [];
    this.#active = undefined;
  }

  get count(): number {
    return this.#members.length;
  }

  get members(): readonly Consumer[] {
    return this.#members;
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
    return this.#members.some((consumer) => consumer.exclusive);
  }

  has(consumer: Consumer): boolean {
    return this.#members.includes(consumer);
  }

  add(consumer: Consumer): void {
    this.#members.push(consumer);
    this.#active ??= consumer;
    const index = this.#groups.findIndex((group) => group.priority <= consumer.priority);
    const group = index < 0 ? undefined : this.#groups[index];
    if (group !== undefined && group.priority === consumer.priority) {
      group.members.push(consumer);
      return;
    }
    const fresh = { priority: consumer.priority, members: [consumer], cursor: 0 };
    this.#groups.splice(index < 0 ? this.#groups.length : index, 0, fresh);
  }

  /** Returns false when it was not here. */
  remove(consumer: Consumer): boolean {
    const at = this.#members.indexOf(consumer);
    if (at < 0) return false;
    this.#members.splice(at, 1);
    const groupIndex = this.#groups.findIndex((group) => group.priority === consumer.priority);
    const group = this.#groups[groupIndex]!;
    const memberIndex = group.members.indexOf(consumer);
    group.members.splice(memberIndex, 1);
    if (memberIndex < group.cursor) group.cursor -= 1;
    if (group.members.length === 0) this.#groups.splice(groupIndex, 1);
    if (this.#active === consumer) this.#active = this.#groups[0]?.members[0];
    return true;
  }

  /** The next consumer with credit, or undefined. Advances the turn. */
  next(): Consumer | undefined {
    if (this.#isSingleActive) {
      const active = this.#served();
      return active?.hasCredit() === true ? active : undefined;
    }
    for (const group of this.#groups) {
      const members = group.members;
      const count = members.length;
      for (let step = 0; step < count; step += 1) {
        if (group.cursor >= count) group.cursor = 0;
        const consumer = members[group.cursor]!;
        group.cursor += 1;
        if (consumer.hasCredit()) return consumer;
      }
    }
    return undefined;
  }

  /** True when any consumer could take a delivery now. */
  hasCredit(): boolean {
    if (this.#isSingleActive) return this.#served()?.hasCredit() ?? false;
    return this.#members.some((consumer) => consumer.hasCredit());
  }

  /** The single active consumer; undefined while one that is to follow waits for what it holds. */
  #served(): Consumer | undefined {
    if (!this.isHandingOver) return this.#active;
    if (this.#active?.holdsDeliveries === true) return undefined;
    this.#active = this.#groups[0]?.members[0];
    return this.#active;
  }
}
