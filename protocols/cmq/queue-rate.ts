import type { Clock } from '../../src/base/clock.ts';
import type { Queue } from '../../src/engine/queue/queue.ts';

/** More may be received than sent, so that a backlog can be worked off (reference 2.9). */
const RECEIVE_FACTOR = 1.1;

interface Second {
  second: number;
  sends: number;
  receives: number;
}

/** The queue's own frequency limit: sends and receives of each queue within each second. */
export class QueueRate {
  readonly #clock: Clock;
  /** Sends per second; 0: no limit. */
  readonly #max: number;
  readonly #seconds: WeakMap<Queue, Second>;

  constructor(clock: Clock, max: number) {
    this.#clock = clock;
    this.#max = max;
    this.#seconds = new WeakMap();
  }

  /** Counts a send; false when it is one too many. */
  admitsSend(queue: Queue): boolean {
    if (this.#max === 0) return true;
    const present = this.#present(queue);
    present.sends += 1;
    return present.sends <= this.#max;
  }

  /** Counts a receive; false when it is one too many. */
  admitsReceive(queue: Queue): boolean {
    if (this.#max === 0) return true;
    const present = this.#present(queue);
    present.receives += 1;
    return present.receives <= Math.floor(this.#max * RECEIVE_FACTOR);
  }

  #present(queue: Queue): Second {
    const second = Math.floor(this.#clock.monotonicMs() / 1_000);
    const present = this.#seconds.get(queue);
    if (present?.second === second) return present;
    const fresh = { second, sends: 0, receives: 0 };
    this.#seconds.set(queue, fresh);
    return fresh;
  }
}
