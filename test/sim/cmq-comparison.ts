/** What must be equal between a queue and its model after every step. */
import type { Entry } from '../../src/engine/message.ts';
import type { FoundEntry } from '../../src/engine/queue/queue-inspector.ts';
import type { CmqClients } from './cmq-clients.ts';
import { FORMAT, textOf } from './cmq-message.ts';
import type { ModelMessage } from './cmq-model.ts';
import type { CmqNotes } from './cmq-notes.ts';

/** Told of each fact: what it is about, what the engine says, what the model says. */
type Expect = CmqNotes['expect'];

const ALL = 1_000;

/** The counters alone: those are known without a read. */
export function compareCounters({ queue, model }: CmqClients, expect: Expect): void {
  const actual = [
    `ready ${queue.readyCount}`,
    `leased ${queue.unackedCount}`,
    `delayed ${queue.delayedCount}`,
    `rewindable ${queue.rewindableCount}`,
  ];
  const states = ['ready', 'leased', 'delayed', 'rewindable'] as const;
  const expected = states.map((state) => `${state} ${model.count(state)}`);
  expect(`counters of ${queue.name}`, actual.join(), expected.join());
}

/**
 * Compares order, every message, due times and the oldest message.
 *
 * @param reads waits for all reads under way
 */
export async function compare(
  clients: CmqClients,
  reads: () => Promise<void>,
  expect: Expect,
): Promise<void> {
  const { model, queue } = clients;
  let answers = 0;
  const ready = model.in('ready');
  queue.peek(ALL, (entries) => {
    answers += 1;
    comparePeeked(entries, clients, expect);
  });
  for (const message of model.messages) {
    queue.find(message.id, (found) => {
      answers += 1;
      compareMessage(message, found, expect);
    });
  }
  const id = clients.anId();
  const isHere = model.messages.some((message) => message.id === id);
  queue.find(id, (found) => {
    answers += 1;
    expect(`message ${id} is found`, found !== undefined, isHere);
  });
  const times = [...ready, ...model.in('leased')].map(({ publishedAtMs }) => publishedAtMs);
  queue.oldest((publishedAtMs) => {
    answers += 1;
    expect('oldest', publishedAtMs, times.length === 0 ? undefined : Math.min(...times));
  });
  const listed = queue.delayed?.list(0, ALL).map(({ dueAtMs }) => dueAtMs) ?? [];
  const due = model.in('delayed').map(({ dueAtMs }) => dueAtMs);
  expect('due times', listed.join(), due.sort((a, b) => a - b).join());
  await reads();
  expect('answers to questions', answers, model.messages.length + 3);
}

/** In order, but for what shares a place. */
function comparePeeked(
  entries: readonly Entry[],
  { model, queue }: CmqClients,
  expect: Expect,
): void {
  const ids = entries.map((entry) => queue.messageIdOf(entry));
  const ready = model.in('ready').map(({ id }) => id);
  expect('ready messages', ids.toSorted().join(), ready.toSorted().join());
  const isInOrder = model.isInOrder(ids);
  if (!isInOrder) expect('order of ready messages', ids.join(), ready.join());
}

function compareMessage(
  message: ModelMessage,
  found: FoundEntry | undefined,
  expect: Expect,
): void {
  const { state } = message;
  const what = `message ${message.id}`;
  expect(`state of ${what}`, found?.state, state);
  if (found === undefined) return;
  const { entry } = found;
  expect(`body of ${what}`, textOf(entry.message), message.body);
  expect(`priority of ${what}`, entry.message.priority, message.priority);
  compareOrigin(entry, message, expect);
  expect(`enqueue time of ${what}`, entry.message.publishedAtMs, message.publishedAtMs);
  if (state === 'delayed') expect(`due time of ${what}`, found.dueAtMs, message.dueAtMs);
  if (state === 'leased') expect(`lease of ${what}`, entry.leaseUntilMs, message.leaseUntilMs);
  if (state === 'rewindable') return;
  expect(`receive count of ${what}`, entry.receiveCount, message.receiveCount);
  expect(`first receive of ${what}`, entry.firstReceivedAtMs, message.firstReceivedAtMs);
}

/** What a dead-letter queue must say of where a message was before. */
function compareOrigin({ message }: Entry, { origin }: ModelMessage, expect: Expect): void {
  if (origin === undefined) return;
  const headers = FORMAT.headers(message);
  const { originId, publishedAtMs, receiveCount, reason } = origin;
  const actual = [
    headers?.get('x-origin-msg-id'),
    Number(headers?.get('x-origin-enqueue-time')),
    Number(headers?.get('x-origin-receive-count')),
    headers?.get('x-last-death-reason'),
    headers?.get('x-origin-queue'),
  ];
  const expected = [originId, publishedAtMs, receiveCount, reason, 'q'];
  expect(`origin of ${originId}`, actual.join(' '), expected.join(' '));
}
