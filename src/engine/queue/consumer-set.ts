/**
 * The consumers of one queue, and whose turn it is.
 *
 * Consumers of equal priority take turns (round robin, one delivery each); a higher priority is
 * served until it has no credit. With a single active consumer only the one that came first is
 * served; when it leaves, the one of the highest priority follows, the oldest of these. A quorum
 * queue also hands over to a higher priority that arrives, once the active one, which gets nothing
 * more, has settled what it holds (RabbitMQ).
 *
 * Those that leave are taken out of the lines together, when somebody's turn is asked for: a
 * connection may take twenty thousand with it, and to move all behind each of them takes seconds.
 */
import type { Consumer } from './consumer.ts';

interface PriorityGroup {
  readonly priority: number;
  members: Consumer[];
  /** Index of the member to ask first. */
  cursor: number;
}

export class ConsumerSet {
  readonly #isSingleActive: boolean;
  /** Highest priority first; almost always one group. */
  #groups: PriorityGroup[];
  /** In order of arrival. */
  readonly #members: Set<Consumer>;
  /** A higher priority takes over from the active one. */
  readonly #isPreemptive: boolean;
  #active: Consumer | undefined;
  /** Somebody in the groups, who may be the active one, has left. */
  #isStale: boolean;

  constructor(isSingleActive: boolean, isPreemptive = false) {
    this.#isSingleActive = isSingleActive;
    this.#isPreemptive = isPreemptive;
    this.#groups = [];
    this.#members = new Set();
    this.#active = undefined;
    this.#isStale = false;
  }

  get count(): number {
    return this.#members.size;
  }

  /** A copy, in order of arrival. */
  toArray(): Consumer[] {
    return [...this.#members];
  }

  /** The consumer that gets everything, when the queue has a single active one. */
  get active(): Consumer | undefined {
    this.forgetGone();
    return this.#isSingleActive ? this.#active : undefined;
  }

  /** A higher priority waits for the active one to settle what it holds. */
  get isHandingOver(): boolean {
    this.forgetGone();
    if (!this.#isPreemptive || this.#active === undefined) return false;
    return this.#groups[0]!.priority > this.#active.priority;
  }

  hasExclusive(): boolean {
    for (const consumer of this.#members) if (consumer.exclusive) return true;
    return false;
  }

  add(consumer: Consumer): void {
    this.forgetGone();
    this.#members.add(consumer);
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

  /** Returns false when it was not here. `forgetGone` is to follow, some time. */
  remove(consumer: Consumer): boolean {
    if (!this.#members.delete(consumer)) return false;
    this.#isStale = true;
    return true;
  }

  /** Takes those that have left out of the lines; the turns stay where they are. */
  forgetGone(): void {
    if (this.#isStale) this.#closeGaps();
  }

  /** The next consumer with credit, or undefined. Advances the turn. */
  next(): Consumer | undefined {
    this.forgetGone();
    if (this.#isSingleActive) {
      const active = this.#served();
      return active?.hasCredit() === true ? active : undefined;
    }
    for (const group of this.#groups) {
      const members = group.members;
      const count = members.length;
      let at = group.cursor;
      for (let step = 0; step < count; step += 1) {
        if (at >= count) at = 0;
        const consumer = members[at]!;
        at += 1;
        if (!consumer.hasCredit()) continue;
        group.cursor = at;
        return consumer;
      }
    }
    return undefined;
  }

  /** True when any consumer could take a delivery now. */
  hasCredit(): boolean {
    this.forgetGone();
    if (this.#isSingleActive) return this.#served()?.hasCredit() ?? false;
    for (const { members } of this.#groups) {
      for (const consumer of members) if (consumer.hasCredit()) return true;
    }
    return false;
  }

  /** The single active consumer; undefined while one that is to follow waits for what it holds. */
  #served(): Consumer | undefined {
    if (!this.isHandingOver) return this.#active;
    if (this.#active?.holdsDeliveries === true) return undefined;
    this.#active = this.#groups[0]?.members[0];
    return this.#active;
  }

  #closeGaps(): void {
    const all = this.#members;
    for (const group of this.#groups) {
      const { members, cursor } = group;
      group.members = members.filter((consumer) => all.has(consumer));
      if (group.members.length === members.length) continue;
      group.cursor = members.slice(0, cursor).filter((consumer) => all.has(consumer)).length;
    }
    this.#groups = this.#groups.filter(({ members }) => members.length > 0);
    if (this.#active !== undefined && !all.has(this.#active)) {
      this.#active = this.#groups[0]?.members[0];
    }
    this.#isStale = false;
  }
}
