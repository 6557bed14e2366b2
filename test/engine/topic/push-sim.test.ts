/**
 * Random publishes, outcomes, waits, restarts and crashes, from a seed: whatever happens, each
 * subscription gets every message whose publish was committed, in order, one at a time.
 */
import { expect, it } from 'vitest';
import { SeededRandom } from '../../support/seeded-random.ts';
import { type Made, TopicFixture } from './topic-fixture.ts';

const SEEDS = 60;
const STEPS = 40;
const SUBSCRIPTIONS = ['A', 'B'] as const;

interface Sent {
  readonly body: string;
  readonly ticket: number;
}

class PushSim {
  readonly #random: SeededRandom;
  #fixture: TopicFixture;
  /** Of this process: promised once their ticket is committed. */
  #sent: Sent[];
  readonly #promised: Set<string>;
  readonly #arrived: Map<string, Set<string>>;
  /** Number of the newest message each subscription was seen with, and its attempts. */
  readonly #seen: Map<string, { number: number; attempt: number }>;
  #sentCount: number;
  #okShare: number;
  #hasCrashed: boolean;

  constructor(seed: number, fixture: TopicFixture) {
    this.#random = new SeededRandom(seed);
    this.#fixture = fixture;
    this.#sent = [];
    this.#promised = new Set();
    this.#arrived = new Map(SUBSCRIPTIONS.map((name) => [name, new Set()]));
    this.#seen = new Map();
    this.#sentCount = 0;
    this.#okShare = 0.5;
    this.#hasCrashed = false;
    fixture.transport.answer = (made) => this.#answer(made);
    const topic = fixture.topic('T');
    for (const name of SUBSCRIPTIONS) fixture.push(topic, name);
  }

  async run(): Promise<void> {
    this.#fixture = await this.#fixture.restart();
    for (let step = 0; step < STEPS; step += 1) await this.#step();
    this.#keepPromises();
    this.#okShare = 1;
    await this.#fixture.runUntil(this.#fixture.engine.clock.wallMs() + 3_600_000);
    for (const name of SUBSCRIPTIONS) {
      const arrived = this.#arrived.get(name)!;
      const lost = [...this.#promised].filter((body) => !arrived.has(body));
      expect(lost, `lost by ${name}`).toEqual([]);
      expect(this.#fixture.topics.find('T')!.subscription(name)!.pendingCount).toBe(0);
    }
  }

  async #step(): Promise<void> {
    const { engine } = this.#fixture;
    const choice = this.#random.below(20);
    if (choice < 8) {
      this.#publish();
    } else if (choice < 12) {
      await this.#fixture.settle();
    } else if (choice < 16) {
      await this.#fixture.runUntil(engine.clock.wallMs() + this.#random.below(60_000));
    } else if (choice < 18) {
      this.#okShare = this.#random.next();
    } else if (choice === 18) {
      this.#keepPromises();
      for (const { body } of this.#sent.splice(0)) this.#promised.add(body);
      this.#fixture = await this.#fixture.restart();
    } else {
      // Attempts may be under way: this turn makes them, nobody answers.
      engine.broker.turn();
      this.#keepPromises();
      this.#sent = [];
      this.#hasCrashed = true;
      this.#seen.clear();
      this.#fixture = await this.#fixture.crash();
    }
  }

  #publish(): void {
    const body = `${this.#sentCount}`;
    this.#sentCount += 1;
    this.#fixture.publish('T', '', body);
    this.#sent.push({ body, ticket: this.#fixture.engine.store.ticket });
  }

  #keepPromises(): void {
    const committed = this.#fixture.engine.store.committedTicket;
    for (const { body, ticket } of this.#sent) if (ticket <= committed) this.#promised.add(body);
  }

  #answer({ attempt, body }: Made): 'ok' | 'failed' {
    const { subscriptionName: name, attempt: count } = attempt.message;
    const number = Number(body);
    const seen = this.#seen.get(name);
    if (seen !== undefined) {
      expect(number, `${name} goes back`).toBeGreaterThanOrEqual(seen.number);
      if (number === seen.number) expect(count).toBe(seen.attempt + 1);
      else expect(this.#arrived.get(name)!.has(`${seen.number}`), 'overtaken').toBe(true);
    }
    const arrived = this.#arrived.get(name)!;
    if (!this.#hasCrashed) expect(arrived.has(body), 'delivered twice').toBe(false);
    this.#seen.set(name, { number, attempt: count });
    if (this.#random.next() >= this.#okShare) return 'failed';
    arrived.add(body);
    return 'ok';
  }
}

it(`push schedules keep order and promises, ${SEEDS} seeds`, { timeout: 300_000 }, async () => {
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    try {
      await new PushSim(seed, await TopicFixture.open()).run();
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
});
