/**
 * Writes transactions, and tries again while there is no room: a full disk takes back nothing that
 * was confirmed, and further confirms wait until there is room. A transaction that deletes rows
 * whose pages cannot be freed is tried without the deletions. Any other error is the end.
 */
import type { Scheduler } from '../scheduler.ts';
import { keepRows } from './checkpoint.ts';
import { isDiskFull, isMalformed } from './driver.ts';
import type { TransactionContent, TransactionWriter } from './transaction.ts';

/** How often a commit for which there was no room is tried again. */
const FULL_RETRY_MS = 500;

export class PatientWriter {
  readonly #writer: TransactionWriter;
  readonly #scheduler: Scheduler;
  readonly #onFull: (isFull: boolean) => void;
  readonly #onDamage: () => void;
  #isFull: boolean;
  #isHurried: boolean;

  /** @param onDamage pages of the file are malformed */
  constructor(
    writer: TransactionWriter,
    scheduler: Scheduler,
    onFull: (isFull: boolean) => void,
    onDamage: () => void,
  ) {
    this.#writer = writer;
    this.#scheduler = scheduler;
    this.#onFull = onFull;
    this.#onDamage = onDamage;
    this.#isFull = false;
    this.#isHurried = false;
  }

  /** There was no room for the transaction under way. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** From now on no room is an error like any other: the process wants to end. */
  hurry(): void {
    this.#isHurried = true;
  }

  async write(content: TransactionContent): Promise<void> {
    let { text } = content;
    for (;;) {
      try {
        await this.#writer.write({ ...content, text });
        this.#setFull(false);
        return;
      } catch (error) {
        const kept = keepRows(text);
        if (isMalformed(error) && kept !== text) {
          this.#onDamage();
          text = kept;
          continue;
        }
        if (!isDiskFull(error) || this.#isHurried) throw error;
        this.#setFull(true);
        await new Promise<void>((resolve) => {
          this.#scheduler.after(FULL_RETRY_MS, resolve);
        });
      }
    }
  }

  #setFull(isFull: boolean): void {
    if (isFull === this.#isFull) return;
    this.#isFull = isFull;
    this.#onFull(isFull);
  }
}
