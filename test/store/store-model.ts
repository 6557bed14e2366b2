/**
 * The model a random run compares a store with: plain maps, copied at each commit.
 *
 * `current` is what the process sees; `durable` is what the last commit made safe.
 */
import type { Entry } from '../../src/engine/message.ts';
import type { QueueId } from '../../src/engine/ports.ts';
import { describeMessage } from './support.ts';

/** What must be true of one stored entry. */
export interface ModelEntry {
  readonly sequence: number;
  readonly survives: boolean;
  readonly bodyBytes: number;
  readonly text: string;
  state: string;
  notBeforeMs: number;
  leaseUntilMs: number;
}

export interface ModelQueue {
  readonly entries: Map<number, ModelEntry>;
  nextSequence: number;
  deliveredBelow: number;
}

export interface ModelState {
  readonly queues: Map<QueueId, ModelQueue>;
  readonly definitions: Map<string, string>;
}

/** The state fields of an entry, as one string. */
export function stateText(entry: Entry): string {
  return [
    entry.expiresAtMs,
    entry.notBeforeMs,
    entry.receiveCount,
    entry.leaseUntilMs,
    entry.firstReceivedAtMs,
    entry.isRedelivered,
  ].join(' ');
}

export function modelEntry(entry: Entry, survives: boolean): ModelEntry {
  return {
    sequence: entry.sequence,
    survives,
    bodyBytes: entry.message.bodyBytes,
    text: JSON.stringify(describeMessage(entry.message)),
    state: stateText(entry),
    notBeforeMs: entry.notBeforeMs,
    leaseUntilMs: entry.leaseUntilMs,
  };
}

export class StoreModel {
  current: ModelState;
  durable: ModelState;

  constructor() {
    this.current = { queues: new Map(), definitions: new Map() };
    this.durable = { queues: new Map(), definitions: new Map() };
  }

  queue(queueId: QueueId): ModelQueue {
    let queue = this.current.queues.get(queueId);
    if (queue === undefined) {
      queue = { entries: new Map(), nextSequence: 1, deliveredBelow: 0 };
      this.current.queues.set(queueId, queue);
    }
    return queue;
  }

  /** A copy of the present, to become durable when its commit ends. */
  snapshot(): ModelState {
    return cloneState(this.current);
  }

  /** The process has died: back to what is durable, without transient entries. */
  crash(): void {
    for (const queue of this.durable.queues.values()) {
      for (const entry of [...queue.entries.values()]) {
        if (!entry.survives) queue.entries.delete(entry.sequence);
      }
    }
    this.current = cloneState(this.durable);
  }
}

function cloneState(state: ModelState): ModelState {
  const queues = new Map<QueueId, ModelQueue>();
  for (const [queueId, queue] of state.queues) {
    const entries = new Map<number, ModelEntry>();
    for (const [sequence, entry] of queue.entries) entries.set(sequence, { ...entry });
    const { nextSequence, deliveredBelow } = queue;
    queues.set(queueId, { entries, nextSequence, deliveredBelow });
  }
  return { queues, definitions: new Map(state.definitions) };
}
