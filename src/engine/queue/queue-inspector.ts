/**
 * Looks into a queue without touching it: where a message is, what comes next, what is oldest.
 *
 * An id tells its place (message-id.ts), so most messages are found at once. One that left its
 * place carries its id in a header and is searched for: in memory first, then page by page on
 * disk, up to a limit. That is for people who look, not for delivery.
 */
import { FIND_SCAN_ENTRIES_MAX, PAGE_IN_BYTES, PAGE_IN_ENTRIES } from '../../base/limits.ts';
import type { Entry } from '../message.ts';
import type { QueueId, Store } from '../ports.ts';
import type { Backlog } from './backlog.ts';
import type { DelayQueue } from './delay-queue.ts';
import { carrierOf, type HeaderHost, idOf } from './entry-headers.ts';
import type { Leases } from './leases.ts';
import { DELAYED_KIND, placeId, placeOf, READY_KIND } from './message-id.ts';
import type { Parking } from './parking.ts';

const SEQUENCE_MODULUS = 2 ** 32;

/** A message that was found; its entry is a copy when it lies on disk. */
export interface FoundEntry {
  readonly entry: Entry;
  readonly state: 'ready' | 'leased' | 'delayed' | 'rewindable';
  /** Sequence among the delayed; only of a delayed one. */
  readonly delayedSequence?: number;
  /** Wall ms; only of a delayed one. */
  readonly dueAtMs?: number;
}

/** The parts of a queue. */
export interface InspectedQueue {
  readonly id: QueueId;
  readonly host: HeaderHost & { readonly store: Store };
  readonly backlogs: readonly Backlog[];
  readonly delayed: DelayQueue | undefined;
  readonly parking: Parking | undefined;
  readonly leases: Leases | undefined;
}

type Done = (found: FoundEntry | undefined) => void;

/** The id of an entry: the one it carries, else that of its place. */
export function entryId(host: HeaderHost, queueId: QueueId, level: number, entry: Entry): string {
  const carried = idOf(host, entry.message);
  return carried ?? placeId(queueId, READY_KIND, level, entry.sequence);
}

export class QueueInspector {
  readonly #queue: InspectedQueue;

  constructor(queue: InspectedQueue) {
    this.#queue = queue;
  }

  /** Publishing time of the oldest ready or `leased` message; `strayMs`: that of those apart. */
  oldest(
    leased: Iterable<Entry>,
    strayMs: number,
    done: (publishedAtMs: number | undefined) => void,
  ): void {
    let oldestMs = strayMs;
    for (const entry of leased) oldestMs = Math.min(oldestMs, entry.message.publishedAtMs);
    // Backlogs are made, not removed, while one is looked at.
    const backlogs = [...this.#queue.backlogs];
    const next = () => {
      const backlog = backlogs.pop();
      if (backlog === undefined) {
        done(oldestMs === Infinity ? undefined : oldestMs);
        return;
      }
      backlog.look(1, (entries) => {
        for (const entry of entries) oldestMs = Math.min(oldestMs, entry.message.publishedAtMs);
        next();
      });
    };
    next();
  }

  /** The oldest ready entries, those of higher levels first. */
  peek(maxCount: number, done: (entries: readonly Entry[]) => void): void {
    const found: Entry[] = [];
    const next = (index: number) => {
      const backlog = this.#queue.backlogs[index];
      if (backlog === undefined || found.length >= maxCount) {
        done(found);
        return;
      }
      backlog.look(maxCount - found.length, (entries) => {
        found.push(...entries);
        next(index + 1);
      });
    };
    next(0);
  }

  /** Where the message of that id is; undefined when it is nowhere, or too deep to be found. */
  find(id: string, done: Done): void {
    const place = placeOf(this.#queue.id, id);
    const search = (found: FoundEntry | undefined) => {
      if (found !== undefined && this.#carries(found.entry, id)) done(found);
      else this.#search(id, done);
    };
    if (place?.kind === READY_KIND) this.#atReadyPlace(place.level, place.sequence, search);
    else if (place?.kind === DELAYED_KIND) this.#atDelayedPlace(place.sequence, search);
    else search(undefined);
  }

  /** False for an entry that came to the place of another. */
  #carries(entry: Entry, id: string): boolean {
    const carried = idOf(this.#queue.host, entry.message);
    return carried === undefined || carried === id;
  }

  #atReadyPlace(level: number, low: number, done: Done): void {
    const { backlogs, id, leases } = this.#queue;
    const backlog = backlogs.find((one) => one.id === id + level);
    if (backlog === undefined) {
      done(undefined);
      return;
    }
    const sequence = nearest(low, backlog.nextSequence);
    const leased = leases?.heldAt(level, sequence);
    if (leased !== undefined) {
      done({ entry: leased, state: 'leased' });
      return;
    }
    const ready = backlog.find(sequence);
    if (ready !== undefined) done({ entry: ready, state: 'ready' });
    else if (!backlog.has(sequence)) done(undefined);
    else backlog.readOne(sequence, (entry) => done(entry && { entry, state: 'ready' }));
  }

  #atDelayedPlace(low: number, done: Done): void {
    const { delayed } = this.#queue;
    if (delayed === undefined) {
      done(undefined);
      return;
    }
    const sequence = nearest(low, delayed.nextSequence);
    delayed.read(sequence, (entry) => done(entry && delayedEntry(entry)));
  }

  #search(id: string, done: Done): void {
    const inMemory = this.#searchMemory(id);
    if (inMemory !== undefined) {
      done(inMemory);
      return;
    }
    const { backlogs, delayed, parking } = this.#queue;
    const places: Place[] = backlogs.map((backlog) => ({
      id: backlog.id,
      found: (entry) => (backlog.has(entry.sequence) ? { entry, state: 'ready' } : undefined),
    }));
    if (delayed !== undefined) {
      const found = (entry: Entry) =>
        delayed.has(entry.sequence) ? delayedEntry(entry) : undefined;
      places.push({ id: delayed.id, found });
    }
    if (parking !== undefined) {
      const found = (entry: Entry): FoundEntry => ({ entry, state: 'rewindable' });
      places.push({ id: parking.window.id, found });
    }
    this.#searchDisk(id, places, 0, 0, FIND_SCAN_ENTRIES_MAX, done);
  }

  #searchMemory(id: string): FoundEntry | undefined {
    const { backlogs, host, leases } = this.#queue;
    const carries = carrierOf(host, id);
    for (const entry of leases?.held() ?? []) {
      if (carries(entry.message)) return { entry, state: 'leased' };
    }
    let found: Entry | undefined;
    for (const backlog of backlogs) {
      backlog.forEachResident((entry) => {
        if (found === undefined && carries(entry.message)) found = entry;
      });
    }
    return found && { entry: found, state: 'ready' };
  }

  #searchDisk(
    id: string,
    places: readonly Place[],
    index: number,
    from: number,
    budget: number,
    done: Done,
  ): void {
    const place = places[index];
    if (place === undefined || budget <= 0) {
      done(undefined);
      return;
    }
    const { host } = this.#queue;
    const carries = carrierOf(host, id);
    host.store.read(place.id, from, PAGE_IN_ENTRIES, PAGE_IN_BYTES, (entries, end) => {
      for (const entry of entries) {
        if (!carries(entry.message)) continue;
        const found = place.found(entry);
        if (found === undefined) continue;
        done(found);
        return;
      }
      const isOver = entries.length === 0;
      const left = budget - entries.length;
      this.#searchDisk(id, places, isOver ? index + 1 : index, isOver ? 0 : end, left, done);
    });
  }
}

/** A part of the queue that is searched on disk. */
interface Place {
  readonly id: QueueId;
  /** What an entry read there is; undefined when it is not there any more. */
  readonly found: (entry: Entry) => FoundEntry | undefined;
}

function delayedEntry(entry: Entry): FoundEntry {
  const { sequence, notBeforeMs } = entry;
  return { entry, state: 'delayed', delayedSequence: sequence, dueAtMs: notBeforeMs };
}

/** The highest sequence below `next` that is `low` modulo 2^32. */
function nearest(low: number, next: number): number {
  const high = Math.floor((next - 1 - low) / SEQUENCE_MODULUS);
  return Math.max(high, 0) * SEQUENCE_MODULUS + low;
}
