/**
 * The ready entries of a queue by priority: one backlog per level, store id `id + level`.
 *
 * Almost every queue has one level. A classic queue with `x-max-priority` has 0 to that, absent
 * means 0; a quorum queue has 0 to 31 whatever the arguments say, absent means 4. Levels are made
 * when a message of that priority first comes.
 */
import type { Message } from '../message.ts';
import type { QueueId } from '../ports.ts';
import { Backlog } from './backlog.ts';
import type { BacklogHost } from './backlog.ts';
import type { QueueSettings } from './settings.ts';

const QUORUM_PRIORITY_MAX = 31;
const QUORUM_PRIORITY_DEFAULT = 4;

export class PriorityLevels {
  readonly #id: QueueId;
  readonly #host: BacklogHost;
  readonly #onPagedIn: () => void;
  readonly #maxLevel: number;
  readonly #absentLevel: number;
  /** By level; undefined where no message came yet. */
  readonly #byLevel: (Backlog | undefined)[];
  /** Those that exist, highest level first. */
  readonly #backlogs: Backlog[];

  constructor(id: QueueId, settings: QueueSettings, host: BacklogHost, onPagedIn: () => void) {
    const isQuorum = settings.queueType === 'quorum';
    this.#id = id;
    this.#host = host;
    this.#onPagedIn = onPagedIn;
    this.#maxLevel = isQuorum ? QUORUM_PRIORITY_MAX : (settings.maxPriority ?? 0);
    this.#absentLevel = isQuorum ? QUORUM_PRIORITY_DEFAULT : 0;
    const first = this.#make(this.#absentLevel);
    // Literals take the room of one; what grows has room for many, in each queue.
    this.#byLevel = this.#absentLevel === 0 ? [first] : [];
    this.#byLevel[this.#absentLevel] = first;
    this.#backlogs = [first];
  }

  /** Every backlog, highest level first. */
  get backlogs(): readonly Backlog[] {
    return this.#backlogs;
  }

  get count(): number {
    let count = 0;
    for (const backlog of this.#backlogs) count += backlog.count;
    return count;
  }

  get bodyBytes(): number {
    let bytes = 0;
    for (const backlog of this.#backlogs) bytes += backlog.bodyBytes;
    return bytes;
  }

  /** Where a message belongs. */
  of(message: Message): Backlog {
    if (this.#maxLevel === 0) return this.#backlogs[0]!;
    const priority = message.priority < 0 ? this.#absentLevel : message.priority;
    return this.at(Math.min(priority, this.#maxLevel));
  }

  /** The number of the level a message belongs to. */
  levelOf(message: Message): number {
    return this.of(message).id - this.#id;
  }

  /** The highest level that holds anything. */
  top(): Backlog | undefined {
    for (const backlog of this.#backlogs) if (backlog.count > 0) return backlog;
    return undefined;
  }

  /** The backlog of a level, made when it is not there. */
  at(level: number): Backlog {
    const existing = this.#byLevel[level];
    if (existing !== undefined) return existing;
    const backlog = this.#make(level);
    while (this.#byLevel.length < level) this.#byLevel.push(undefined);
    this.#byLevel[level] = backlog;
    const lower = this.#backlogs.findIndex((other) => other.id < backlog.id);
    this.#backlogs.splice(lower < 0 ? this.#backlogs.length : lower, 0, backlog);
    return backlog;
  }

  #make(level: number): Backlog {
    return new Backlog(this.#id + level, this.#host, this.#onPagedIn);
  }
}
