import type { Binding } from './exchange.ts';

/** Bindings of one exchange to one destination, by identity; mostly there is just one. */
export class BindingSet {
  #identity: string;
  #only: Binding | undefined;
  #all: Map<string, Binding> | undefined = undefined;

  constructor(identity: string, binding: Binding) {
    this.#identity = identity;
    this.#only = binding;
  }

  get isEmpty(): boolean {
    return this.#only === undefined && (this.#all?.size ?? 0) === 0;
  }

  has(identity: string): boolean {
    if (this.#all !== undefined) return this.#all.has(identity);
    return this.#only !== undefined && this.#identity === identity;
  }

  /** Adds a binding that is not there. */
  add(identity: string, binding: Binding): void {
    if (this.#all === undefined) {
      this.#all = new Map();
      if (this.#only !== undefined) this.#all.set(this.#identity, this.#only);
      this.#only = undefined;
    }
    this.#all.set(identity, binding);
  }

  /** Removes a binding and returns it; undefined when there is none. */
  take(identity: string): Binding | undefined {
    if (this.#all !== undefined) {
      const binding = this.#all.get(identity);
      this.#all.delete(identity);
      return binding;
    }
    if (this.#identity !== identity) return undefined;
    const binding = this.#only;
    this.#only = undefined;
    return binding;
  }

  values(): Iterable<Binding> {
    if (this.#all !== undefined) return this.#all.values();
    return this.#only === undefined ? [] : [this.#only];
  }
}
