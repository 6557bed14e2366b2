/** Handlers of all actions on the messages of queues: CMQ's (reference 2.3) and the additions. */
import type { CmqDeps, CmqHandlers } from './dispatcher.ts';
import { inspectHandlers } from './inspect-actions.ts';
import { changeVisibility, deleteBatch, deleteOne } from './message-delete.ts';
import { receiveBatch, receiveOne } from './message-receive.ts';
import { sendBatch, sendOne } from './message-send.ts';
import { QueueRate } from './queue-rate.ts';
import { scheduleHandlers } from './schedule-actions.ts';

export function messageHandlers(deps: CmqDeps): CmqHandlers {
  const rate = new QueueRate(deps.clock, deps.settings.queueRequestsPerSecond);
  return new Map([
    ['SendMessage', (call) => sendOne(call, deps, rate)],
    ['BatchSendMessage', (call) => sendBatch(call, deps, rate)],
    ['ReceiveMessage', (call) => receiveOne(call, deps, rate)],
    ['BatchReceiveMessage', (call) => receiveBatch(call, deps, rate)],
    ['DeleteMessage', (call) => deleteOne(call, deps)],
    ['BatchDeleteMessage', (call) => deleteBatch(call, deps)],
    ['ChangeMessageVisibility', (call) => changeVisibility(call, deps)],
    ...inspectHandlers(deps),
    ...scheduleHandlers(deps),
  ]);
}
