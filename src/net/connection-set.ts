/** A connection as its acceptor drives it. */
export interface DrivenConnection {
  /** Alarms or overload changed. */
  onPressureChange(): void;
  /** Ends in order, with what the protocol can say. */
  shutdown(text: string): void;
}

/**
 * The connections of an acceptor. One interval serves the deadlines and heartbeats of them all; it
 * runs only while there are some, and keeps no process alive.
 */
export class ConnectionSet<C extends DrivenConnection> {
  readonly #connections: Set<C>;
  readonly #tick: () => void;
  readonly #tickMs: number;
  #timer: NodeJS.Timeout | undefined;
  #onEmpty: (() => void) | undefined;

  /** @param tick  called every `tickMs` while there are connections */
  constructor(tick: () => void, tickMs: number) {
    this.#connections = new Set();
    this.#tick = tick;
    this.#tickMs = tickMs;
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
    this.#timer ??= setInterval(this.#tick, this.#tickMs).unref();
  }

  remove(connection: C): void {
    this.#connections.delete(connection);
    if (this.#connections.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#onEmpty?.();
  }

  onPressureChange(): void {
    for (const connection of this.#connections) connection.onPressureChange();
  }

  /** Ends every connection; resolves when all are gone. */
  closeAll(text: string): Promise<void> {
    return new Promise((resolve) => {
      this.#onEmpty = resolve;
      for (const connection of this.#connections) connection.shutdown(text);
      if (this.#connections.size === 0) resolve();
    });
  }
}
