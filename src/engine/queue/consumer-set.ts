/**
 * The consumers of one queue, and whose turn it is.
 *
 * Consumers of equal priority take turns (round robin, one delivery each); a higher priority is
 * served until it has no credit. With a single active consumer only the oldest is served; the next
 * one follows when it leaves.
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

  constructor(isSingleActive: boolean) {
    this.#isSingleActive = isSingleActive;
    this.#groups = [];
    this.#members = [];
  }

  get count(): number {
    return this.#members.length;
  }

  get members(): readonly Consumer[] {
    return this.#members;
  }

  /** The consumer that gets everything, when the queue has a single active one. */
  get active(): Consumer | undefined {
    return this.#isSingleActive ? this.#members[0] : undefined;
  }

  hasExclusive(): boolean {
    return this.#members.some((consumer) => consumer.exclusive);
  }

  has(consumer: Consumer): boolean {
    return this.#members.includes(consumer);
  }

  add(consumer: Consumer): void {
    this.#members.push(consumer);
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
    return true;
  }

  /** The next consumer with credit, or undefined. Advances the turn. */
  next(): Consumer | undefined {
    if (this.#isSingleActive) {
      const active = this.#members[0];
      return active?.hasCredit() ? active : undefined;
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
    if (this.#isSingleActive) return this.#members[0]?.hasCredit() ?? false;
    return this.#members.some((consumer) => consumer.hasCredit());
  }
}
