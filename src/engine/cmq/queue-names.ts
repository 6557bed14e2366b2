/**
 * Queue names as CMQ sees them: without regard to case, which the engine keeps (docs/CMQ.md,
 * "Names"). The exact name always wins, so that two queues whose names differ in case only, made
 * over AMQP, both stay reachable.
 *
 * The index is built when a name is met that is nobody's exactly, and again after the topology has
 * changed, unless all that changed is what was noted here: making 10,000 queues in a row looks at
 * each once.
 */
import type { Queue } from '../queue/queue.ts';
import type { Topology } from '../topology.ts';

export class QueueNames {
  readonly #topology: Topology;
  /** Number of queues and the first of them, by name in lower case. */
  readonly #byLower: Map<string, Queue[]>;
  #revision: number;

  constructor(topology: Topology) {
    this.#topology = topology;
    this.#byLower = new Map();
    this.#revision = -1;
  }

  /** The queue of that name; else the only one whose name differs from it in case. */
  find(name: string): Queue | undefined {
    const exact = this.#topology.queues.get(name);
    if (exact !== undefined) return exact;
    const alike = this.#alike(name);
    return alike?.length === 1 ? alike[0] : undefined;
  }

  /** True when a queue has that name in whatever case. */
  isTaken(name: string): boolean {
    return this.#topology.queues.has(name) || this.#alike(name) !== undefined;
  }

  /** Runs `make`, whose only change to the topology is the queue it returns. */
  adding(make: () => Queue): Queue {
    const isCurrent = this.#revision === this.#topology.revision;
    const queue = make();
    if (isCurrent) {
      this.#add(queue);
      this.#revision = this.#topology.revision;
    }
    return queue;
  }

  #alike(name: string): readonly Queue[] | undefined {
    if (this.#revision !== this.#topology.revision) this.#build();
    return this.#byLower.get(name.toLowerCase());
  }

  #build(): void {
    this.#byLower.clear();
    for (const queue of this.#topology.queues.values()) this.#add(queue);
    this.#revision = this.#topology.revision;
  }

  #add(queue: Queue): void {
    const lower = queue.name.toLowerCase();
    const alike = this.#byLower.get(lower);
    if (alike === undefined) this.#byLower.set(lower, [queue]);
    else alike.push(queue);
  }
}
