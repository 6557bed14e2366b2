import type { Entry } from '../../src/engine/message.ts';

/** Who holds each lease given over CMQ; forgotten with the entry, and by a restart. */
export class LeaseHolders {
  readonly #byEntry: WeakMap<Entry, { readonly who: string; readonly generation: number }>;

  constructor() {
    this.#byEntry = new WeakMap();
  }

  /** Notes for whom an entry's present lease is. */
  note(entry: Entry, who: string): void {
    this.#byEntry.set(entry, { who, generation: entry.generation });
  }

  /** Who holds the entry's present lease, as far as is known. */
  of(entry: Entry): string | undefined {
    const holder = this.#byEntry.get(entry);
    return holder?.generation === entry.generation ? holder.who : undefined;
  }
}
