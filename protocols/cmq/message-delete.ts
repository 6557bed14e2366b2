/**
 * Settling by receipt handle: DeleteMessage, BatchDeleteMessage (reference 2.3), and the addition
 * ChangeMessageVisibility. Answered once it is on disk: what was deleted stays deleted.
 */
import { parseHandle } from '../../src/engine/cmq/receipt-handle.ts';
import type { Entry } from '../../src/engine/message.ts';
import type { ClassicQueue } from '../../src/engine/queue/classic-queue.ts';
import type { CmqCall, CmqDeps } from './dispatcher.ts';
import { toSeconds, whoCalls } from './queue-description.ts';
import { CMQ_ERRORS, type CmqErrorName, errorText } from './spec/errors.ts';

type HandleError = Extract<CmqErrorName, 'HANDLE_FORMAT' | 'HANDLE_INVALID'>;

export function deleteOne(call: CmqCall, { broker }: CmqDeps): void {
  const queue = queueOf(call);
  call.vhost.cmq.queues.countersOf(queue).deleteRequests += 1;
  withHandle(queue, call.parameters.text('receiptHandle'), (entry, error) => {
    if (entry === undefined) {
      call.fail(error);
      return;
    }
    settle(call, queue, entry, whoCalls(call));
    broker.hold(broker.ticket, () => call.reply({}));
  });
}

/** Deletes what can be; `errorList` says what could not. */
export function deleteBatch(call: CmqCall, { broker }: CmqDeps): void {
  const queue = queueOf(call);
  call.vhost.cmq.queues.countersOf(queue).deleteRequests += 1;
  const handles = call.parameters.list('receiptHandle');
  const errors: (HandleError | undefined)[] = handles.map(() => undefined);
  const who = whoCalls(call);
  let waitingCount = handles.length;
  for (let at = 0; at < handles.length; at += 1) {
    withHandle(queue, handles[at]!, (entry, error) => {
      if (entry === undefined) errors[at] = error;
      else settle(call, queue, entry, who);
      waitingCount -= 1;
      if (waitingCount > 0) return;
      broker.hold(broker.ticket, () => answerBatch(call, handles, errors));
    });
  }
}

/** A new deadline, from now; 0 gives the message back at once. The handle is valid until then. */
export function changeVisibility(call: CmqCall, { broker, clock }: CmqDeps): void {
  const queue = queueOf(call);
  const { traces } = call.vhost.cmq;
  const seconds = call.parameters.integer('visibilityTimeout');
  withHandle(queue, call.parameters.text('receiptHandle'), (entry, error) => {
    if (entry === undefined) {
      call.fail(error);
      return;
    }
    const msgId = queue.messageIdOf(entry);
    const untilMs = clock.wallMs() + seconds * 1_000;
    traces.as(whoCalls(call), () => {
      if (seconds > 0) traces.write(queue, 'extended', { msgId, untilMs });
      queue.lease(entry, untilMs);
    });
    const nextVisibleTime = toSeconds(untilMs);
    broker.hold(broker.ticket, () => call.reply({ msgId, nextVisibleTime }));
  });
}

function queueOf(call: CmqCall): ClassicQueue {
  return call.vhost.cmq.queues.find(call.actor, call.parameters.text('queueName'), 'read');
}

/** The entry whose present lease the handle names, possibly after a read; else why not. */
function withHandle(
  queue: ClassicQueue,
  text: string,
  done: (entry: Entry | undefined, error: HandleError) => void,
): void {
  const handle = parseHandle(queue.id, text);
  if (handle === undefined) done(undefined, 'HANDLE_FORMAT');
  else if (handle === 'foreign') done(undefined, 'HANDLE_INVALID');
  else queue.withLease(handle, (entry) => done(entry, 'HANDLE_INVALID'));
}

function settle(call: CmqCall, queue: ClassicQueue, entry: Entry, who: string): void {
  const { queues, traces } = call.vhost.cmq;
  queues.countersOf(queue).deletedMessages += 1;
  traces.as(who, () => queue.acknowledge(entry));
}

function answerBatch(
  call: CmqCall,
  handles: readonly string[],
  errors: readonly (HandleError | undefined)[],
): void {
  if (errors.every((error) => error === undefined)) {
    call.reply({});
    return;
  }
  const errorList = handles.flatMap((receiptHandle, index) => {
    const error = errors[index];
    if (error === undefined) return [];
    const { code, module } = CMQ_ERRORS[error];
    return [{ code, message: `(${module})${errorText(error)}`, receiptHandle }];
  });
  if (errorList.length < handles.length) {
    call.fail('BATCH_DELETE_PARTIAL', undefined, { errorList });
  } else call.fail('BATCH_DELETE_FAILED', undefined, { errorList });
}
