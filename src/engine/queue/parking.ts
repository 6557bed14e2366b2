import type { Entry, Message } from '../message.ts';
import type { QueueId, RecoveredQueue, Store } from '../ports.ts';
import type { HeaderHost } from './entry-headers.ts';
import { asParked } from './entry-headers.ts';
import { REWIND_ID_OFFSET, RewindWindow } from './rewind-window.ts';

/** What a queue's parking needs from its host. */
export interface ParkingHost extends HeaderHost {
  readonly store: Store;
  nowMs(): number;
}

/** The rewind window of a queue: what it keeps carries its id and its receive count along. */
export class Parking {
  readonly window: RewindWindow;
  readonly #host: ParkingHost;

  /** @param wake asks for the window's `expire` at a wall ms */
  constructor(queueId: QueueId, host: ParkingHost, rewindMs: number, wake: (atMs: number) => void) {
    this.#host = host;
    const { store } = host;
    const windowHost = { store, nowMs: () => host.nowMs(), wake };
    this.window = new RewindWindow(queueId + REWIND_ID_OFFSET, windowHost, rewindMs);
  }

  get count(): number {
    return this.window.count;
  }

  /** Wall ms at which the window has something to do. */
  get nextMs(): number {
    return this.window.nextMs;
  }

  restore(recovered: RecoveredQueue): void {
    this.window.restore(recovered);
  }

  /** Keeps the message of an entry that is settled in this same run. */
  park(entry: Entry, id: string): void {
    this.window.park(asParked(this.#host, entry, id));
  }

  takeFrom(fromMs: number, onMessage: (m: Message) => void, done: (count: number) => void): void {
    this.window.takeFrom(fromMs, onMessage, done);
  }
}
