/**
 * What was tried, promised and seen, kept outside of the server, and the verdict over it.
 *
 * An attempt is one publish. Its channel is one incarnation of one publisher: a publisher that
 * reconnects is a new channel, since order is promised per channel and queue only. The body names
 * the attempt: `channel/sequence`, then padding after a space.
 *
 * What counts as a violation:
 * - lost: confirmed (or committed by tx.commit-ok), and one of its queues never delivered it;
 * - resurrected: delivered again after a tx.commit-ok that covered its ack;
 * - unmarked duplicate: a second delivery without the redelivered flag;
 * - reordered: a first delivery (flag clear) behind a later one of its channel in the same queue;
 *   in the last drain, any delivery behind a later one;
 * - torn: a transaction of which a part was there after a crash and another part never was;
 * - unexpected: a body or a queue nobody published to.
 */
const DELIVERED = 1;
const ACK_SENT = 2;
const ACK_PROMISED = 4;
/** Delivered after the crash that ended the attempt's own cycle: it was on disk. */
const SURVIVED = 8;
/** Violations kept in words. */
const EXAMPLES_MAX = 20;

/** Publishes that a tx.commit makes one: all or nothing. */
export interface Transaction {
  readonly id: string;
  readonly attempts: Attempt[];
}

export interface Attempt {
  /** In which it was published. */
  readonly cycle: number;
  readonly channel: string;
  readonly sequence: number;
  readonly queues: readonly string[];
  readonly transaction: Transaction | undefined;
  isConfirmed: boolean;
  /** The broker said nack: nothing is promised. */
  isRefused: boolean;
  /** Flags by index of `queues`. */
  readonly flags: Uint8Array;
}

export interface Verdict {
  readonly attempts: number;
  readonly confirmed: number;
  readonly delivered: number;
  readonly acked: number;
  readonly lost: number;
  readonly resurrected: number;
  readonly unmarkedDuplicates: number;
  readonly reordered: number;
  readonly torn: number;
  readonly unexpected: number;
  readonly examples: readonly string[];
}

export class Ledger {
  readonly #attempts = new Map<string, Attempt>();
  readonly #transactions: Transaction[] = [];
  /** Newest first delivery by queue, consumer and channel, this cycle. */
  #newestByConsumer = new Map<string, number>();
  /** Newest first delivery by queue and channel, cycles before this one. */
  readonly #floor = new Map<string, number>();
  /** Newest delivery by queue and channel in the last drain. */
  readonly #drained = new Map<string, number>();
  readonly #examples: string[] = [];
  /** Names of the outputs by the input they carry. */
  readonly #forwarded = new Map<string, string[]>();
  #cycle = 0;
  #isDraining = false;
  #delivered = 0;
  #acked = 0;
  #resurrected = 0;
  #unmarkedDuplicates = 0;
  #reordered = 0;
  #unexpected = 0;
  #neverForwarded = 0;

  get attemptCount(): number {
    return this.#attempts.size;
  }

  attempt(
    channel: string,
    sequence: number,
    queues: readonly string[],
    transaction?: Transaction,
  ): Attempt {
    const attempt: Attempt = {
      cycle: this.#cycle,
      channel,
      sequence,
      queues,
      transaction,
      isConfirmed: false,
      isRefused: false,
      flags: new Uint8Array(queues.length),
    };
    this.#attempts.set(nameOf(attempt), attempt);
    transaction?.attempts.push(attempt);
    return attempt;
  }

  transaction(id: string): Transaction {
    const transaction = { id, attempts: [] };
    this.#transactions.push(transaction);
    return transaction;
  }

  /** Takes a delivery; returns its attempt, or undefined when nobody published it. */
  deliver(queue: string, consumer: string, body: string, isRedelivered: boolean) {
    this.#delivered += 1;
    const end = body.indexOf(' ');
    const attempt = this.#attempts.get(end < 0 ? body : body.slice(0, end));
    const index = attempt?.queues.indexOf(queue) ?? -1;
    if (attempt === undefined || index < 0) {
      this.#unexpected += 1;
      this.#say(`unexpected in ${queue}: ${body.slice(0, 60)}`);
      return undefined;
    }
    const flags = attempt.flags[index]!;
    const what = `${nameOf(attempt)} in ${queue} to ${consumer}`;
    if ((flags & DELIVERED) !== 0 && !isRedelivered) {
      this.#unmarkedDuplicates += 1;
      this.#say(`unmarked duplicate: ${what}`);
    }
    if ((flags & ACK_PROMISED) !== 0) {
      this.#resurrected += 1;
      this.#say(`resurrected: ${what}`);
    }
    this.#checkOrder(queue, consumer, attempt, isRedelivered);
    attempt.flags[index] = flags | DELIVERED | (attempt.cycle < this.#cycle ? SURVIVED : 0);
    return attempt;
  }

  #checkOrder(queue: string, consumer: string, attempt: Attempt, isRedelivered: boolean): void {
    const lane = `${queue}|${attempt.channel}`;
    const what = `${nameOf(attempt)} in ${queue} to ${consumer}`;
    if (this.#isDraining) {
      const newest = this.#drained.get(lane) ?? 0;
      if (attempt.sequence <= newest) {
        this.#reordered += 1;
        this.#say(`reordered in the drain: ${what} after ${newest}`);
      }
      this.#drained.set(lane, Math.max(newest, attempt.sequence));
    }
    if (isRedelivered) return;
    const key = `${queue}|${consumer}|${attempt.channel}`;
    const newest = Math.max(this.#newestByConsumer.get(key) ?? 0, this.#floor.get(lane) ?? 0);
    if (attempt.sequence <= newest && !this.#isDraining) {
      this.#reordered += 1;
      this.#say(`reordered: ${what} after ${newest}`);
    }
    this.#newestByConsumer.set(key, Math.max(newest, attempt.sequence));
  }

  acked(attempt: Attempt, queue: string): void {
    this.#acked += 1;
    attempt.flags[attempt.queues.indexOf(queue)]! |= ACK_SENT;
  }

  /** A tx.commit-ok covered the ack: it must never come back. */
  ackPromised(attempt: Attempt, queue: string): void {
    attempt.flags[attempt.queues.indexOf(queue)]! |= ACK_PROMISED;
  }

  wasDelivered(attempt: Attempt): boolean {
    return attempt.flags.every((flags) => (flags & DELIVERED) !== 0);
  }

  /** The server was killed: consumers of the next cycle start where all of this one's were. */
  endCycle(): void {
    for (const [key, newest] of this.#newestByConsumer) {
      const [queue, , channel] = key.split('|');
      const lane = `${queue}|${channel}`;
      this.#floor.set(lane, Math.max(this.#floor.get(lane) ?? 0, newest));
    }
    this.#newestByConsumer = new Map();
    this.#cycle += 1;
  }

  /** From here on each queue has one consumer and nothing is requeued. */
  beginDrain(): void {
    this.endCycle();
    this.#isDraining = true;
  }

  /** A drained output of a forwarder carries the name of the input it came from. */
  noteForwarded(output: Attempt, input: string): void {
    const outputs = this.#forwarded.get(input);
    if (outputs === undefined) this.#forwarded.set(input, [nameOf(output)]);
    else outputs.push(nameOf(output));
  }

  /** Each confirmed message of the forwarder's input queue left exactly one output. */
  checkForwarded(inputSuffix: string): void {
    for (const [input, outputs] of this.#forwarded) {
      if (outputs.length === 1) continue;
      this.#resurrected += 1;
      this.#say(`${input} was forwarded ${outputs.length} times: ${outputs.join(', ')}`);
    }
    for (const attempt of this.#attempts.values()) {
      if (!attempt.isConfirmed || attempt.queues[0]?.endsWith(inputSuffix) !== true) continue;
      if (this.#forwarded.has(nameOf(attempt))) continue;
      this.#neverForwarded += 1;
      this.#say(`never forwarded: ${nameOf(attempt)}`);
    }
  }

  verdict(): Verdict {
    let confirmed = 0;
    let lost = this.#neverForwarded;
    for (const attempt of this.#attempts.values()) {
      if (!attempt.isConfirmed) continue;
      confirmed += 1;
      for (const [index, queue] of attempt.queues.entries()) {
        if ((attempt.flags[index]! & DELIVERED) !== 0) continue;
        lost += 1;
        this.#say(`lost: ${nameOf(attempt)} in ${queue}`);
      }
    }
    const torn = this.#countTorn();
    return {
      attempts: this.#attempts.size,
      confirmed,
      delivered: this.#delivered,
      acked: this.#acked,
      lost,
      resurrected: this.#resurrected,
      unmarkedDuplicates: this.#unmarkedDuplicates,
      reordered: this.#reordered,
      torn,
      unexpected: this.#unexpected,
      examples: this.#examples,
    };
  }

  /**
   * Deliveries may leave before the commit, so a part seen before the crash proves nothing; a part
   * seen after it proves that the transaction was on disk, and then all of it must be.
   */
  #countTorn(): number {
    let torn = 0;
    for (const { id, attempts } of this.#transactions) {
      const survived = attempts.some(({ flags }) => flags.some((flag) => (flag & SURVIVED) !== 0));
      const missing = attempts.filter((attempt) => !this.wasDelivered(attempt)).length;
      if (!survived || missing === 0) continue;
      torn += 1;
      this.#say(`torn: ${id} misses ${missing} of ${attempts.length}`);
    }
    return torn;
  }

  #say(text: string): void {
    if (this.#examples.length < EXAMPLES_MAX) this.#examples.push(text);
  }
}

export function nameOf(attempt: Attempt): string {
  return `${attempt.channel}/${attempt.sequence}`;
}

export function violationCount(verdict: Verdict): number {
  return (
    verdict.lost +
    verdict.resurrected +
    verdict.unmarkedDuplicates +
    verdict.reordered +
    verdict.torn +
    verdict.unexpected
  );
}

/** The verdict in one line. */
export function verdictLine(verdict: Verdict): string {
  return (
    `attempts ${verdict.attempts}, confirmed ${verdict.confirmed}, ` +
    `delivered ${verdict.delivered}, acked ${verdict.acked}, lost ${verdict.lost}, ` +
    `resurrected ${verdict.resurrected}, unmarked duplicates ${verdict.unmarkedDuplicates}, ` +
    `reordered ${verdict.reordered}, torn ${verdict.torn}, unexpected ${verdict.unexpected}`
  );
}
