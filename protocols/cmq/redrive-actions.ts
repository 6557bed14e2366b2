/** Emptying a dead-letter queue to where its messages came from: an addition to CMQ. */
import type { Redrive } from '../../src/engine/cmq/redrive.ts';
import type { CmqCall, CmqDeps, CmqHandler } from './dispatcher.ts';
import { CmqFailure } from './error-mapper.ts';
import { toSeconds } from './queue-description.ts';
import { queueFailuresOf } from './queue-failures.ts';

export function redriveHandlers(deps: CmqDeps): [string, CmqHandler][] {
  return queueFailuresOf({
    StartRedrive: (call) => start(call, deps),
    DescribeRedrive: describe,
    CancelRedrive: (call) => cancel(call, deps),
  });
}

function start(call: CmqCall, { broker }: CmqDeps): void {
  const { parameters } = call;
  const { redrive, ticket } = call.vhost.cmq.redrives.start(
    call.actor,
    parameters.text('queueName'),
    {
      destination: parameters.optionalText('targetQueueName'),
      rate: parameters.optionalInteger('messagesPerSecond'),
    },
  );
  broker.hold(ticket, () => call.reply(fieldsOf(redrive)));
}

function describe(call: CmqCall): void {
  const redrive = call.vhost.cmq.redrives.find(call.actor, call.parameters.text('queueName'));
  if (redrive === undefined) throw new CmqFailure('REDRIVE_NOT_FOUND');
  call.reply(fieldsOf(redrive));
}

function cancel(call: CmqCall, { broker }: CmqDeps): void {
  const name = call.parameters.text('queueName');
  const redrive = call.vhost.cmq.redrives.cancel(call.actor, name);
  if (redrive === undefined) throw new CmqFailure('REDRIVE_NOT_FOUND');
  broker.hold(broker.ticket, () => call.reply(fieldsOf(redrive)));
}

function fieldsOf({ queue, state }: Redrive): Record<string, unknown> {
  return {
    redriveId: state.id,
    status: state.status,
    queueName: queue.name,
    ...(state.destination !== undefined && { targetQueueName: state.destination }),
    messagesPerSecond: state.rate,
    totalMsgNum: state.total,
    movedMsgNum: state.moved,
    failedMsgNum: state.failed,
    startTime: toSeconds(state.startedAtMs),
    endTime: toSeconds(state.endedAtMs),
    lastError: state.lastError,
  };
}
