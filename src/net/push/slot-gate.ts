/**
 * Lets a bounded number of things run at a time: per endpoint, per tenant, in all. A thing takes
 * one slot after the other, in the order of its levels, and waits in the line of the first that is
 * full with those it already has. So a slow endpoint fills its own slots, then its own line, and
 * never the line of the total:
 *
 *     enter --> endpoint --> (large) --> (suspects) --> tenant --> all --> run --> leave
 *                | line       | line      | line         | line     | line
 *
 * All take slots in the same order, hence nobody waits for somebody who waits for him. Every step
 * is O(1) in the number of those that wait.
 */
import { assert } from '../../base/assert.ts';

/** A kind of slot: its instances by name, and how many things may share one. */
export interface SlotLevel {
  readonly name: string;
  readonly max: number;
}

interface Waiter {
  readonly levels: readonly SlotLevel[];
  readonly run: () => void;
  /** Slots it has: the first `held` of its levels. */
  held: number;
}

interface Semaphore {
  taken: number;
  /** In order of arrival. */
  readonly line: Set<Waiter>;
}

/** A place in the gate or in one of its lines. */
export interface Place {
  /** Gives it up. Further calls change nothing. */
  leave(): void;
}

export class SlotGate {
  readonly #semaphores: Map<string, Semaphore>;

  constructor() {
    this.#semaphores = new Map();
  }

  /** Slots of one name that are taken. */
  takenOf(name: string): number {
    return this.#semaphores.get(name)?.taken ?? 0;
  }

  /** Names with a slot taken; for tests of what is left behind. */
  get nameCount(): number {
    return this.#semaphores.size;
  }

  /**
   * Runs `run` when every level has a slot: at once, or when others leave.
   *
   * @param levels in the same order of kinds for all; names are unique over the kinds
   */
  enter(levels: readonly SlotLevel[], run: () => void): Place {
    const waiter: Waiter = { levels, run, held: 0 };
    this.#advance(waiter);
    let isHere = true;
    return {
      leave: () => {
        if (isHere) this.#leave(waiter);
        isHere = false;
      },
    };
  }

  #advance(waiter: Waiter): void {
    while (waiter.held < waiter.levels.length) {
      const { name, max } = waiter.levels[waiter.held]!;
      const semaphore = this.#semaphoreOf(name);
      if (semaphore.taken >= max) {
        semaphore.line.add(waiter);
        return;
      }
      semaphore.taken += 1;
      waiter.held += 1;
    }
    waiter.run();
  }

  #leave(waiter: Waiter): void {
    const { levels, held } = waiter;
    if (held < levels.length) this.#semaphores.get(levels[held]!.name)?.line.delete(waiter);
    for (const { name } of levels.slice(0, held)) this.#giveBack(name);
  }

  /** The slot goes to the first in line, if there is one. */
  #giveBack(name: string): void {
    const semaphore = this.#semaphores.get(name);
    assert(semaphore !== undefined && semaphore.taken > 0, 'a slot was taken');
    const [next] = semaphore.line;
    if (next !== undefined) {
      semaphore.line.delete(next);
      next.held += 1;
      this.#advance(next);
      return;
    }
    semaphore.taken -= 1;
    if (semaphore.taken === 0) this.#semaphores.delete(name);
  }

  #semaphoreOf(name: string): Semaphore {
    let semaphore = this.#semaphores.get(name);
    if (semaphore === undefined) {
      semaphore = { taken: 0, line: new Set() };
      this.#semaphores.set(name, semaphore);
    }
    return semaphore;
  }
}
