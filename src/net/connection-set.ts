/** A connection as its acceptor drives it. */
export interface DrivenConnection {
  /** Alarms or overload changed. */
  onPressureChange(): void;
  /** Ends in order, with what the protocol can say. */
  shutdown(text: string): void;
}

/**
 * The connections of an acceptor. One interval serves the deadlines and heartbeats of them all; it
 * runs only while there are some, or other work of the acceptor, and keeps no process alive.
 */
export class ConnectionSet<C extends DrivenConnection> {
  readonly #connections: Set<C>;
  readonly #tick: () => void;
  readonly #tickMs: number;
  readonly #hasOtherWork: () => boolean;
  #timer: NodeJS.Timeout | undefined;
  #onEmpty: (() => void) | undefined;

  /**
   * @param tick          called every `tickMs` while there are connections
   * @param hasOtherWork  true: ticks go on without any, until all are closed
   */
  constructor(tick: () => void, tickMs: number, hasOtherWork: () => boolean = () => false) {
    this.#connections = new Set();
    this.#tick = tick;
    this.#tickMs = tickMs;
    this.#hasOtherWork = hasOtherWork;
    this.#timer = undefined;
    this.#onEmpty = undefined;
  }

  get size(): number {
    return this.#connections.size;
  }

  [Symbol.iterator](): Iterator<C> {
    return this.#connections.values();
  }

  add(connection: C): void {
    this.#connections.add(connection);
    this.wake();
  }

  remove(connection: C): void {
    this.#connections.delete(connection);
    this.#rest();
    if (this.#connections.size === 0) this.#onEmpty?.();
  }

  /** Ticks from now on, for as long as there is something to tick for. */
  wake(): void {
    this.#timer ??= setInterval(() => {
      this.#tick();
      this.#rest();
    }, this.#tickMs).unref();
  }

  onPressureChange(): void {
    for (const connection of this.#connections) connection.onPressureChange();
  }

  /** Ends every connection; resolves when all are gone. Other work is left. */
  closeAll(text: string): Promise<void> {
    return new Promise((resolve) => {
      this.#onEmpty = resolve;
      for (const connection of this.#connections) connection.shutdown(text);
      this.#rest();
      if (this.#connections.size === 0) resolve();
    });
  }

  #rest(): void {
    if (this.#connections.size > 0) return;
    if (this.#onEmpty === undefined && this.#hasOtherWork()) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
