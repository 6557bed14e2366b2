/**
 * Lists the live messages of a data file that no broker has open: what the broker would deliver,
 * queue by queue, in order. Nothing is changed.
 */
import type { Message } from '../../engine/message.ts';
import type { Definition, QueueId } from '../../engine/ports.ts';
import { withDataFile } from './check.ts';
import { NO_STATE } from './entry-states.ts';
import type { JournalIndex } from './journal-index.ts';
import type { QueueIndex } from './queue-index.ts';
import { type LoadedRow, RowLoader } from './row-loader.ts';
import { readWholeDefinitions } from './recovery.ts';
import { loadBodyIfWhole, loadOrFault } from './row-fault.ts';

/** One live message of one queue. */
export interface DumpedMessage {
  readonly queueId: QueueId;
  readonly sequence: number;
  readonly message: Message;
  /** Wall ms; Infinity without a TTL. */
  readonly expiresAtMs: number;
}

export interface MessageDump {
  /** Chooses and orders the queues to list. */
  choose(definitions: readonly Definition[], stored: readonly QueueId[]): readonly QueueId[];
  /** Takes one message; false ends the dump. */
  visit(message: DumpedMessage): Promise<boolean>;
}

/**
 * Lists messages; returns what could not be read, one sentence each.
 *
 * @throws DataDirBusyError while a broker has the directory
 */
export function dumpMessages(directory: string, dump: MessageDump): Promise<readonly string[]> {
  return withDataFile(directory, async (connection, index, problems) => {
    const loader = await RowLoader.create(connection);
    try {
      const stored = [...index.queues.keys()].sort((a, b) => a - b);
      const { definitions, damaged } = await readWholeDefinitions(connection);
      for (const name of damaged) problems.push(`definition ${name}: checksum`);
      for (const id of dump.choose(definitions, stored)) {
        const queue = index.queues.get(id);
        if (queue === undefined) continue;
        if (!(await dumpQueue(queue, index, loader, dump, problems))) break;
      }
    } finally {
      await loader.close();
    }
    return problems;
  });
}

async function dumpQueue(
  queue: QueueIndex,
  index: JournalIndex,
  loader: RowLoader,
  dump: MessageDump,
  problems: string[],
): Promise<boolean> {
  for (const run of queue.runs) {
    if (run.liveCount === 0 || !index.rows.has(run.row.id)) continue;
    const loaded = await loadOrFault(loader, run.row.id);
    if (typeof loaded === 'string') {
      problems.push(`row ${run.row.id}: ${loaded}, ${run.liveCount} messages are lost`);
      continue;
    }
    for (let at = run.firstLive(run.first); at !== Infinity; at = run.firstLive(at + 1)) {
      const slot = run.slotBase + at - run.first;
      const message = await loadMessage(loaded, slot, loader);
      if (message === undefined) {
        problems.push(`row ${run.row.id}: the body of entry ${at} is missing or damaged`);
        continue;
      }
      const state = index.states.find(queue, at);
      const expiresAtMs =
        state === NO_STATE
          ? loaded.data.expiresAtMs(slot)
          : index.states.fieldsOf(state).expiresAtMs;
      const entry = { queueId: queue.id, sequence: at, message, expiresAtMs };
      if (!(await dump.visit(entry))) return false;
    }
  }
  return true;
}

async function loadMessage(
  { data }: LoadedRow,
  slot: number,
  loader: RowLoader,
): Promise<Message | undefined> {
  const recordAt = data.recordAt(slot);
  const payloadAt = data.payloadAt(recordAt);
  const bodyId = data.bodyId(recordAt);
  if (bodyId < 0) return data.message(recordAt, data.data, payloadAt);
  const body = await loadBodyIfWhole(
    loader,
    bodyId,
    data.bodyCrc(recordAt),
    data.bodyBytes(recordAt),
  );
  if (body === undefined) return undefined;
  const header = data.data.subarray(payloadAt, payloadAt + data.headerBytes(recordAt));
  return data.message(recordAt, Buffer.concat([header, body]), 0);
}
