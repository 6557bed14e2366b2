import { expect } from 'vitest';
import { FlushSet } from '../../src/net/flush-set.ts';
import type { EngineFixture } from './engine-fixture.ts';

/** Ms. A login takes some tens; on a machine with much else to do, seconds. */
const UNTIL_MS_MAX = 60_000;

/** A broker with the acceptor of a protocol, which a subclass makes: what all protocols need. */
export class AcceptorHarness {
  readonly fixture: EngineFixture;
  readonly flushSet: FlushSet;

  constructor(fixture: EngineFixture) {
    this.fixture = fixture;
    this.flushSet = new FlushSet(() => undefined);
  }

  /** Turns until the broker is at rest and every byte is with its client. */
  async settle(): Promise<void> {
    this.flushSet.flushAll();
    await this.fixture.settle();
    // A delivery may follow a commit and wait for its own.
    await this.fixture.settle();
    this.flushSet.flushAll();
  }

  /** Waits for something that takes a thread, a login. */
  async until(condition: () => boolean): Promise<void> {
    const endsAtMs = performance.now() + UNTIL_MS_MAX;
    while (!condition() && performance.now() < endsAtMs) {
      await new Promise((resolve) => setTimeout(resolve, 2));
      this.flushSet.flushAll();
      this.fixture.turn();
    }
    expect(condition()).toBe(true);
  }
}
