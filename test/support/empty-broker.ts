import type { Broker } from '../../src/engine/broker.ts';
import { recoverBroker } from '../../src/engine/recover.ts';
import { createMessageFormats } from '../../src/server/message-formats.ts';
import { MemoryDisk } from '../../src/store/memory-disk.ts';
import { MemoryStore } from '../../src/store/memory-store.ts';
import { FakeClock } from './fake-clock.ts';
import { SeededRandom } from './seeded-random.ts';

/** A broker without the vhost and user of a first start. */
export async function openEmptyBroker(disk = new MemoryDisk()): Promise<Broker> {
  const clock = new FakeClock();
  const deps = {
    clock,
    random: new SeededRandom(3),
    store: new MemoryStore({ clock, disk }),
    formats: createMessageFormats(),
    requestTurn: () => {},
    settings: {},
  };
  const { broker } = await recoverBroker(deps, 'empty');
  return broker;
}
