/** What must be equal between a queue and its model after every step. */
import type { Entry } from '../../src/engine/message.ts';
import type { FoundEntry } from '../../src/engine/queue/queue-inspector.ts';
import { bodyOf } from '../support/engine-fixture.ts';
import type { CmqModel, ModelMessage } from './cmq-model.ts';
import { type CmqProcess, FORMAT } from './cmq-process.ts';

/** Told of each fact: what it is about, what the engine says, what the model says. */
export type Expect = (what: string, actual: unknown, expected: unknown) => void;

const ALL = 1_000;

/**
 * Compares order, every message, the dead letters, due times and the oldest message.
 *
 * @param id of a message that was here once, and is or is not any more
 */
export async function compare(
  process: CmqProcess,
  model: CmqModel,
  id: string,
  expect: Expect,
): Promise<void> {
  const { queue } = process;
  let answers = 0;
  const ready = model.in('ready');
  queue.peek(ALL, (entries) => {
    answers += 1;
    const ids = entries.map((entry) => queue.messageIdOf(entry));
    expect('ready messages', ids.join(), ready.map((message) => message.id).join());
  });
  for (const message of model.messages) {
    queue.find(message.id, (found) => {
      answers += 1;
      compareMessage(message, found, expect);
    });
  }
  process.deadQueue.peek(ALL, (entries) => {
    answers += 1;
    compareDead(model, entries, expect);
  });
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
  await process.reads();
  expect('answers to questions', answers, model.messages.length + 4);
}

/** The counters alone: those are known without a read. */
export function compareCounters(process: CmqProcess, model: CmqModel, expect: Expect): void {
  const { queue, deadQueue } = process;
  const actual = [
    `ready ${queue.readyCount}`,
    `leased ${queue.unackedCount}`,
    `delayed ${queue.delayedCount}`,
    `rewindable ${queue.rewindableCount}`,
    `dead ${deadQueue.readyCount}`,
  ];
  const expected = [
    ...(['ready', 'leased', 'delayed', 'rewindable'] as const).map(
      (state) => `${state} ${model.in(state).length}`,
    ),
    `dead ${model.dead.length}`,
  ];
  expect('counters', actual.join(), expected.join());
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
  expect(`body of ${what}`, bodyOf(entry.message), message.body);
  expect(`enqueue time of ${what}`, entry.message.publishedAtMs, message.publishedAtMs);
  if (state === 'delayed') expect(`due time of ${what}`, found.dueAtMs, message.dueAtMs);
  if (state === 'leased') expect(`lease of ${what}`, entry.leaseUntilMs, message.leaseUntilMs);
  if (state === 'rewindable') return;
  expect(`receive count of ${what}`, entry.receiveCount, message.receiveCount);
  expect(`first receive of ${what}`, entry.firstReceivedAtMs, message.firstReceivedAtMs);
}

function compareDead(model: CmqModel, entries: readonly Entry[], expect: Expect): void {
  const actual = entries.map(({ message }) => {
    const headers = FORMAT.headers(message);
    return [
      headers?.get('x-origin-msg-id'),
      bodyOf(message),
      Number(headers?.get('x-origin-enqueue-time')),
      Number(headers?.get('x-origin-receive-count')),
      headers?.get('x-last-death-reason'),
      headers?.get('x-origin-queue'),
    ].join(' ');
  });
  const expected = model.dead.map((dead) => {
    const { originId, body, publishedAtMs, receiveCount, reason } = dead;
    return [originId, body, publishedAtMs, receiveCount, reason, 'q'].join(' ');
  });
  expect('dead letters', actual.sort().join('\n'), expected.sort().join('\n'));
}
