import type { Entry } from '../../src/engine/message.ts';
import { STORE_WRITTEN } from '../../src/engine/message.ts';
import type { QueueId, Recovery, Store } from '../../src/engine/ports.ts';

/** A store where everything is written at once, to nowhere. */
export class NullStore implements Store {
  readonly ticket = 0;
  readonly committedTicket = 0;
  readonly isDirty = false;
  readonly backlogBytes = 0;
  onCommitted: Store['onCommitted'] = () => {};
  onFailure: Store['onFailure'] = () => {};

  recover(): Promise<Recovery> {
    return Promise.resolve({ epoch: 1, wasClean: true, definitions: [], queues: new Map() });
  }

  put(_queueId: QueueId, entry: Entry): void {
    entry.storeState = STORE_WRITTEN;
  }

  settle(): void {}

  settleRange(): void {}

  update(): void {}

  mark(): void {}

  dropQueue(): void {}

  define(): void {}

  undefine(): void {}

  commit(): void {}

  read(): void {}

  firstLive(): number {
    return Infinity;
  }

  sequenceAt(): number {
    return 1;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
