/**
 * Reads entries of a queue back from the journal.
 *
 * Reads are served one after the other; one that meets a row of the commit in flight steps aside
 * until that has ended, which on a full disk may take long.
 *
 * Between the await of a row and its use the index may have changed: so the place of the next entry
 * is looked up anew after each await, and a row that went because the cleaner moved its entries is
 * simply looked up where it is now.
 */
import { Ring } from '../../base/ring.ts';
import { Entry, STORE_WRITTEN, type Message } from '../../engine/message.ts';
import type { QueueId } from '../../engine/ports.ts';
import { type EntryStates, NO_STATE } from './entry-states.ts';
import type { JournalIndex } from './journal-index.ts';
import type { Run } from './journal-row.ts';
import { BODY_DAMAGED, loadBodyIfWhole, loadOrFault, prefetchIfWhole } from './row-fault.ts';
import type { LoadedRow, RowLoader } from './row-loader.ts';
import type { QueueIndex } from './queue-index.ts';

/** Most rows, and about most bytes, loaded ahead within one read. */
const PREFETCH_ROWS = 256;
const PREFETCH_BYTES = 1024 * 1024;

/**
 * A read ends early, with what it has, once it has loaded this much: a queue whose entries lie
 * scattered among others' must not keep all readers waiting for one answer.
 */
const LOAD_BYTES_MAX = 8 * 1024 * 1024;

/** Copies below this come from Node's slab, whose half this is. */
const SLAB_CHUNK_BYTES = 4 * 1024;

/** What the pager asks of the store. */
export interface PagerHost {
  /** Rows up to this id are committed. */
  readonly committedRowId: number;
  /** Resolves when the commit in flight has ended. */
  commitEnded(): Promise<void>;
  /** Entries [first, end) cannot be read; after this call the index has none of them live. */
  onDamage(queue: QueueIndex, run: Run, first: number, end: number, reason: string): void;
  /** The disk failed. */
  onError(error: Error): void;
}

/** One call of `Store.read`. */
interface ReadRequest {
  readonly queueId: QueueId;
  readonly fromSequence: number;
  readonly maxCount: number;
  readonly maxBytes: number;
  readonly done: (entries: Entry[], end: number) => void;
}

/** A request in line. */
interface Waiting {
  readonly request: ReadRequest;
  /** Row of a commit whose end it has waited for; 0 for none. */
  readonly awaitedRowId: number;
}

/** An entry picked for an answer: where its record is, before its bytes are copied. */
interface Pick {
  readonly sequence: number;
  readonly slot: number;
  readonly recordAt: number;
}

export class Pager {
  readonly #index: JournalIndex;
  readonly #loader: RowLoader;
  readonly #host: PagerHost;
  readonly #line: Ring<Waiting>;
  #isRunning: boolean;
  #isStopped: boolean;
  #ended: Promise<void>;

  constructor(index: JournalIndex, loader: RowLoader, host: PagerHost) {
    this.#index = index;
    this.#loader = loader;
    this.#host = host;
    this.#line = new Ring();
    this.#isRunning = false;
    this.#isStopped = false;
    this.#ended = Promise.resolve();
  }

  /** Answers no further reads; resolves when none is running. */
  stop(): Promise<void> {
    this.#isStopped = true;
    return this.#ended;
  }

  /** Queues a read; `done` is called from a later turn. */
  read(request: ReadRequest): void {
    this.#enter({ request, awaitedRowId: 0 });
  }

  #enter(waiting: Waiting): void {
    if (this.#isStopped) return;
    this.#line.push(waiting);
    if (!this.#isRunning) this.#ended = this.#serve();
  }

  async #serve(): Promise<void> {
    this.#isRunning = true;
    await Promise.resolve();
    for (;;) {
      const waiting = this.#line.shift();
      if (waiting === undefined || this.#isStopped) break;
      const { request } = waiting;
      const entries: Entry[] = [];
      let end = request.fromSequence;
      try {
        const stop = await this.#collect(request, entries);
        if (entries.length === 0 && stop.rowId > waiting.awaitedRowId) {
          this.#stepAside(request, stop.rowId);
          continue;
        }
        end = stop.next;
      } catch (error) {
        this.#host.onError(error instanceof Error ? error : new Error(String(error)));
      }
      setImmediate(() => request.done(entries, end));
    }
    this.#isRunning = false;
  }

  /** Back to the end of the line when the commit in flight, of row `rowId`, has ended. */
  #stepAside(request: ReadRequest, rowId: number): void {
    const back = (): void => this.#enter({ request, awaitedRowId: rowId });
    // It may have ended ill: then that row is still none to read, and the answer is empty.
    this.#host.commitEnded().then(back, back);
  }

  /** Appends entries; tells where it ended, and the row not committed yet that made it end. */
  async #collect(request: ReadRequest, entries: Entry[]): Promise<{ next: number; rowId: number }> {
    const { queueId, maxCount, maxBytes } = request;
    let next = request.fromSequence;
    let byteCount = 0;
    let loadedBytes = 0;
    while (entries.length < maxCount && byteCount < maxBytes && loadedBytes < LOAD_BYTES_MAX) {
      const queue = this.#index.queues.get(queueId);
      const run = queue?.firstLiveRun(next);
      if (queue === undefined) break;
      if (run === undefined) {
        // Nothing lives from here on: the caller need not ask again for what is gone.
        next = Math.max(next, queue.nextSequence);
        break;
      }
      if (run.row.id > this.#host.committedRowId) return { next, rowId: run.row.id };
      if (!this.#loader.has(run.row.id)) {
        loadedBytes += run.row.totalBytes;
        await this.#prefetch(queue, next, maxCount - entries.length, maxBytes - byteCount);
      }
      const loaded = await loadOrFault(this.#loader, run.row.id);
      if (queue.isDropped || queue.firstLiveRun(next) !== run) continue;
      if (typeof loaded === 'string') {
        // Its last entries may just have gone, and the row with them.
        if (this.#index.rows.has(run.row.id)) {
          this.#host.onDamage(queue, run, run.first, run.first + run.count, loaded);
        }
        continue;
      }
      const picks = pickEntries(run, loaded, next, maxCount - entries.length, maxBytes - byteCount);
      byteCount += await this.#copyOut(queue, run, loaded, picks, entries);
      next = picks[picks.length - 1]!.sequence + 1;
    }
    return { next, rowId: 0 };
  }

  /** Loads the rows this read will need next in one statement, when they are small. */
  async #prefetch(
    queue: QueueIndex,
    from: number,
    maxCount: number,
    maxBytes: number,
  ): Promise<void> {
    const ids: number[] = [];
    let count = 0;
    let byteCount = 0;
    for (let i = queue.indexFrom(from); i < queue.runs.length; i += 1) {
      const { row, liveCount } = queue.runs[i]!;
      if (liveCount === 0 || this.#loader.has(row.id)) continue;
      byteCount += row.totalBytes;
      if (ids.length > 0 && byteCount > PREFETCH_BYTES) break;
      if (row.id > this.#host.committedRowId || count >= maxCount) break;
      if (ids[ids.length - 1] !== row.id) ids.push(row.id);
      count += liveCount;
      if (ids.length >= PREFETCH_ROWS || byteCount >= maxBytes) break;
    }
    if (ids.length > 1) await prefetchIfWhole(this.#loader, ids);
  }

  /** Appends the picked entries, with their bytes in one fresh piece of memory. */
  async #copyOut(
    queue: QueueIndex,
    run: Run,
    loaded: LoadedRow,
    picks: readonly Pick[],
    entries: Entry[],
  ): Promise<number> {
    const { data } = loaded;
    let chunkBytes = 0;
    let lastAt = -1;
    for (const { recordAt } of picks) {
      if (recordAt !== lastAt && data.bodyId(recordAt) < 0) {
        chunkBytes += data.headerBytes(recordAt) + data.bodyBytes(recordAt);
      }
      lastAt = recordAt;
    }
    // A small chunk may share a small slab: whoever keeps it pins 8 KiB at most.
    const chunk =
      chunkBytes < SLAB_CHUNK_BYTES
        ? Buffer.allocUnsafe(chunkBytes)
        : Buffer.allocUnsafeSlow(chunkBytes);
    let chunkAt = 0;
    let byteCount = 0;
    let message: Message | undefined;
    lastAt = -1;
    for (const { sequence, slot, recordAt } of picks) {
      if (recordAt !== lastAt || message === undefined) {
        const payloadBytes = data.headerBytes(recordAt) + data.bodyBytes(recordAt);
        byteCount += payloadBytes;
        if (data.bodyId(recordAt) < 0) {
          const from = data.payloadAt(recordAt);
          data.data.copy(chunk, chunkAt, from, from + payloadBytes);
          message = data.message(recordAt, chunk, chunkAt);
          chunkAt += payloadBytes;
        } else {
          message = await this.#messageApart(queue, run, loaded, sequence, recordAt);
          if (message === undefined) continue;
        }
        lastAt = recordAt;
      }
      entries.push(makeEntry(this.#index.states, queue, message, sequence, data.expiresAtMs(slot)));
    }
    return byteCount;
  }

  /** A message whose body lies in its own table; undefined when it is gone or damaged. */
  async #messageApart(
    queue: QueueIndex,
    run: Run,
    loaded: LoadedRow,
    sequence: number,
    recordAt: number,
  ): Promise<Message | undefined> {
    const { data } = loaded;
    const bodyBytes = data.bodyBytes(recordAt);
    const bodyId = data.bodyId(recordAt);
    const body = await loadBodyIfWhole(this.#loader, bodyId, data.bodyCrc(recordAt), bodyBytes);
    if (body === undefined) {
      if (queue.firstLive(sequence) === sequence) {
        this.#index.damagedBodies.add(bodyId);
        this.#host.onDamage(queue, run, sequence, sequence + 1, BODY_DAMAGED);
      }
      return undefined;
    }
    const headerBytes = data.headerBytes(recordAt);
    const bytes = Buffer.allocUnsafeSlow(headerBytes + bodyBytes);
    const from = data.payloadAt(recordAt);
    data.data.copy(bytes, 0, from, from + headerBytes);
    body.copy(bytes, headerBytes);
    return data.message(recordAt, bytes, 0);
  }
}

/** Live entries of a run from `next`, within the limits; at least one. */
function pickEntries(
  run: Run,
  loaded: LoadedRow,
  next: number,
  maxCount: number,
  maxBytes: number,
): Pick[] {
  const picks: Pick[] = [];
  let byteCount = 0;
  let sequence = run.firstLive(next);
  while (sequence !== Infinity && picks.length < maxCount && byteCount < maxBytes) {
    const slot = run.slotBase + (sequence - run.first);
    const recordAt = loaded.data.recordAt(slot);
    picks.push({ sequence, slot, recordAt });
    byteCount += loaded.data.headerBytes(recordAt) + loaded.data.bodyBytes(recordAt);
    sequence = run.firstLive(sequence + 1);
  }
  return picks;
}

function makeEntry(
  states: EntryStates,
  queue: QueueIndex,
  message: Message,
  sequence: number,
  expiresAtMs: number,
): Entry {
  const entry = new Entry(message, sequence, expiresAtMs);
  entry.storeState = STORE_WRITTEN;
  const slot = states.find(queue, sequence);
  if (slot === NO_STATE) return entry;
  return Object.assign(entry, states.fieldsOf(slot));
}
