import type { EngineFixture } from '../../support/engine-fixture.ts';

/** Turns until what was done until now is on disk, however long that takes. */
export async function onDisk(e: EngineFixture): Promise<void> {
  const { ticket } = e.broker;
  while (e.store.committedTicket < ticket) {
    e.turn();
    await new Promise((resolve) => setImmediate(resolve));
  }
}
