/** Handlers of all actions on the messages of queues: CMQ's (reference 2.3) and the additions. */
import type { CmqDeps, CmqHandlers } from './dispatcher.ts';
import { inspectHandlers } from './inspect-actions.ts';
import { changeVisibility, deleteBatch, deleteOne } from './message-delete.ts';
import { LeaseHolders } from './message-holders.ts';
import { receiveBatch, receiveOne } from './message-receive.ts';
import { sendBatch, sendOne } from './message-send.ts';
import { scheduleHandlers } from './schedule-actions.ts';

export function messageHandlers(deps: CmqDeps): CmqHandlers {
  const holders = new LeaseHolders();
  return new Map([
    ['SendMessage', (call) => sendOne(call, deps)],
    ['BatchSendMessage', (call) => sendBatch(call, deps)],
    ['ReceiveMessage', (call) => receiveOne(call, deps, holders)],
    ['BatchReceiveMessage', (call) => receiveBatch(call, deps, holders)],
    ['DeleteMessage', (call) => deleteOne(call, deps)],
    ['BatchDeleteMessage', (call) => deleteBatch(call, deps)],
    ['ChangeMessageVisibility', (call) => changeVisibility(call, deps)],
    ...inspectHandlers(deps, holders),
    ...scheduleHandlers(deps),
  ]);
}
