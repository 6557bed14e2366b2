/**
 * What MQTT clients published and received in the kill test, kept outside of the server, and the
 * verdict over it. A message is a publisher's name and its sequence; senders keep their state over
 * a crash and finish every exchange, so at the end every message must be at every subscriber.
 *
 * What counts as a violation, for each persistent session and each publisher it hears:
 * - lost: acknowledged (PUBACK, or PUBREC) and never delivered;
 * - duplicate: QoS 2 on both legs and delivered as a new message twice;
 * - reordered: a first delivery behind a later one of the same publisher (it has one topic and one
 *   QoS, MQTT 5 section 4.6);
 * - unexpected: a message nobody sent, or sent to somebody else;
 * - session lost: a session that had been confirmed was not there after a restart;
 * - retained wrong: a retained message older than the last confirmed one, or not one of those sent.
 */

/** Counts by sequence; grows. */
class Counts {
  #bytes = new Uint8Array(1024);

  get(sequence: number): number {
    return this.#bytes[sequence] ?? 0;
  }

  add(sequence: number): number {
    if (sequence >= this.#bytes.length) {
      const larger = new Uint8Array(Math.max(sequence + 1, this.#bytes.length * 2));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    const count = Math.min(255, this.#bytes[sequence]! + 1);
    this.#bytes[sequence] = count;
    return count;
  }
}

interface PublisherRecord {
  readonly name: string;
  readonly qos: number;
  attempted: number;
  confirmedCount: number;
  readonly confirmed: Counts;
}

interface AudienceRecord {
  readonly name: string;
  readonly qos: number;
  readonly isOrdered: boolean;
  readonly publishers: ReadonlySet<string>;
  readonly seen: Map<string, { readonly counts: Counts; newest: number }>;
}

export interface MqttVerdict {
  attempted: number;
  confirmed: number;
  delivered: number;
  redelivered: number;
  lostQos1: number;
  lostQos2: number;
  duplicatesQos2: number;
  reordered: number;
  unexpected: number;
  sessionsLost: number;
  retainedWrong: number;
  retainedChecked: number;
  /** The first violations in words. */
  readonly examples: string[];
}

const EXAMPLES_MAX = 20;

export class MqttLedger {
  readonly #publishers = new Map<string, PublisherRecord>();
  readonly #audiences = new Map<string, AudienceRecord>();
  readonly #verdict: MqttVerdict = {
    attempted: 0,
    confirmed: 0,
    delivered: 0,
    redelivered: 0,
    lostQos1: 0,
    lostQos2: 0,
    duplicatesQos2: 0,
    reordered: 0,
    unexpected: 0,
    sessionsLost: 0,
    retainedWrong: 0,
    retainedChecked: 0,
    examples: [],
  };
  /** What is going on, for the examples. */
  cycle = 0;

  addPublisher(name: string, qos: number): void {
    const confirmed = new Counts();
    this.#publishers.set(name, { name, qos, attempted: 0, confirmedCount: 0, confirmed });
  }

  /** A session, or a shared group of them (whose deliveries have no order). */
  addAudience(name: string, qos: number, publishers: readonly string[], isOrdered: boolean): void {
    this.#audiences.set(name, {
      name,
      qos,
      isOrdered,
      publishers: new Set(publishers),
      seen: new Map(),
    });
  }

  get attemptCount(): number {
    return this.#verdict.attempted;
  }

  attempt(publisher: string): number {
    const record = this.#publisher(publisher);
    record.attempted += 1;
    this.#verdict.attempted += 1;
    return record.attempted;
  }

  confirm(publisher: string, sequence: number): void {
    const record = this.#publisher(publisher);
    if (record.confirmed.add(sequence) > 1) return;
    record.confirmedCount += 1;
    this.#verdict.confirmed += 1;
  }

  /** A message the client's rules say is to be processed: a QoS 2 id it does not hold. */
  deliver(audience: string, publisher: string, sequence: number, isDup: boolean): void {
    const record = this.#audiences.get(audience)!;
    const source = this.#publishers.get(publisher);
    if (
      source === undefined ||
      !record.publishers.has(publisher) ||
      !(sequence >= 1 && sequence <= source.attempted)
    ) {
      this.#verdict.unexpected += 1;
      this.#note(`${audience}: unexpected ${publisher}/${sequence}`);
      return;
    }
    let seen = record.seen.get(publisher);
    if (seen === undefined) {
      seen = { counts: new Counts(), newest: 0 };
      record.seen.set(publisher, seen);
    }
    const count = seen.counts.add(sequence);
    if (count > 1) {
      this.#verdict.redelivered += 1;
      if (Math.min(record.qos, source.qos) < 2) return;
      this.#verdict.duplicatesQos2 += 1;
      this.#note(`${audience}: ${publisher}/${sequence} ${count} times, dup ${isDup}`);
      return;
    }
    this.#verdict.delivered += 1;
    if (sequence > seen.newest) {
      seen.newest = sequence;
    } else if (record.isOrdered) {
      this.#verdict.reordered += 1;
      this.#note(`${audience}: ${publisher}/${sequence} behind ${seen.newest}, dup ${isDup}`);
    }
  }

  sessionLost(clientId: string): void {
    this.#verdict.sessionsLost += 1;
    this.#note(`session of ${clientId} is gone`);
  }

  retained(problem: string | undefined): void {
    this.#verdict.retainedChecked += 1;
    if (problem === undefined) return;
    this.#verdict.retainedWrong += 1;
    this.#note(`retained ${problem}`);
  }

  /** Confirmed messages that have not arrived; 0 ends the drain. */
  missing(): number {
    let missing = 0;
    for (const audience of this.#audiences.values()) {
      for (const name of audience.publishers) {
        missing += this.#unseen(audience, this.#publisher(name)).length;
      }
    }
    return missing;
  }

  verdict(): MqttVerdict {
    const verdict = { ...this.#verdict, examples: [...this.#verdict.examples] };
    for (const audience of this.#audiences.values()) {
      for (const name of audience.publishers) {
        const publisher = this.#publisher(name);
        const unseen = this.#unseen(audience, publisher);
        if (Math.min(audience.qos, publisher.qos) === 2) verdict.lostQos2 += unseen.length;
        else verdict.lostQos1 += unseen.length;
        if (unseen.length === 0) continue;
        const some = unseen.slice(0, 5).join(', ');
        verdict.examples.push(`${audience.name}: lost ${unseen.length} of ${name}: ${some}`);
      }
    }
    return verdict;
  }

  #unseen(audience: AudienceRecord, publisher: PublisherRecord): number[] {
    const counts = audience.seen.get(publisher.name)?.counts;
    const unseen: number[] = [];
    for (let sequence = 1; sequence <= publisher.attempted; sequence += 1) {
      if (publisher.confirmed.get(sequence) === 0) continue;
      if ((counts?.get(sequence) ?? 0) === 0) unseen.push(sequence);
    }
    return unseen;
  }

  #publisher(name: string): PublisherRecord {
    const record = this.#publishers.get(name);
    if (record === undefined) throw new Error(`no publisher ${name}`);
    return record;
  }

  #note(what: string): void {
    if (this.#verdict.examples.length >= EXAMPLES_MAX) return;
    this.#verdict.examples.push(`cycle ${this.cycle}: ${what}`);
  }
}

export function mqttVerdictLine(verdict: MqttVerdict): string {
  return (
    `published ${verdict.attempted}, confirmed ${verdict.confirmed}, ` +
    `delivered ${verdict.delivered} (+${verdict.redelivered} again); ` +
    `QoS 1 lost ${verdict.lostQos1}, QoS 2 lost ${verdict.lostQos2}, ` +
    `QoS 2 duplicates ${verdict.duplicatesQos2}, reordered ${verdict.reordered}, ` +
    `unexpected ${verdict.unexpected}, sessions lost ${verdict.sessionsLost}, ` +
    `retained wrong ${verdict.retainedWrong} of ${verdict.retainedChecked}`
  );
}

export function mqttViolationCount(verdict: MqttVerdict): number {
  return (
    verdict.lostQos1 +
    verdict.lostQos2 +
    verdict.duplicatesQos2 +
    verdict.reordered +
    verdict.unexpected +
    verdict.sessionsLost +
    verdict.retainedWrong
  );
}
