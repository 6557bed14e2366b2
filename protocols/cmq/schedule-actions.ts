/**
 * Messages that are not due yet, seen and changed by id: an addition to CMQ. Who may change a
 * queue may change its schedule.
 */
import type { PermissionKind } from '../../src/engine/access/permission.ts';
import type { Entry } from '../../src/engine/message.ts';
import type { ClassicQueue } from '../../src/engine/queue/classic-queue.ts';
import type { DelayQueue } from '../../src/engine/queue/delay-queue.ts';
import { carriedId, DELAYED_KIND, placeId } from '../../src/engine/queue/message-id.ts';
import type { CmqCall, CmqDeps, CmqHandler } from './dispatcher.ts';
import { CmqFailure } from './error-mapper.ts';
import { messageFields } from './message-fields.ts';
import { toSeconds, whoCalls } from './queue-description.ts';

const LIMIT_DEFAULT = 20;

export function scheduleHandlers(deps: CmqDeps): [string, CmqHandler][] {
  return [
    ['ListScheduledMessages', list],
    ['RescheduleMessage', (call) => reschedule(call, deps)],
    ['CancelScheduledMessage', (call) => cancel(call, deps)],
  ];
}

/** In the order of due times. */
function list(call: CmqCall): void {
  const queue = queueOf(call, 'read');
  const { delayed } = queue;
  const totalCount = queue.delayedCount;
  const offset = call.parameters.optionalInteger('offset') ?? 0;
  const limit = call.parameters.optionalInteger('limit') ?? LIMIT_DEFAULT;
  const items = delayed?.list(offset, limit) ?? [];
  const msgInfoList: Record<string, unknown>[] = [];
  const next = (index: number): void => {
    const item = items[index];
    if (item === undefined || delayed === undefined) {
      call.reply({ totalCount, msgInfoList });
      return;
    }
    delayed.read(item.sequence, (entry) => {
      // It may have become due meanwhile.
      if (entry !== undefined) {
        const fields = messageFields(queue, entry, idOf(call, queue, entry));
        msgInfoList.push({ ...fields, nextVisibleTime: toSeconds(item.dueAtMs) });
      }
      next(index + 1);
    });
  };
  next(0);
}

function reschedule(call: CmqCall, { broker, clock, settings }: CmqDeps): void {
  const queue = queueOf(call, 'configure');
  const delaySeconds = call.parameters.integer('delaySeconds');
  if (delaySeconds > settings.delaySecondsMax) throw new CmqFailure('DELAY_RANGE');
  const untilMs = clock.wallMs() + delaySeconds * 1_000;
  const { traces } = call.vhost.cmq;
  withDelayed(call, queue, (delayed, sequence, msgId) => {
    delayed.retime(sequence, untilMs);
    traces.as(whoCalls(call), () => traces.write(queue, 'rescheduled', { msgId, untilMs }));
    const nextVisibleTime = toSeconds(untilMs);
    broker.hold(broker.ticket, () => call.reply({ msgId, nextVisibleTime }));
  });
}

/** The message is gone for good. */
function cancel(call: CmqCall, { broker }: CmqDeps): void {
  const queue = queueOf(call, 'configure');
  const { traces } = call.vhost.cmq;
  withDelayed(call, queue, (delayed, sequence, msgId) => {
    delayed.cancel(sequence, (message) => {
      if (message === undefined) {
        call.fail('MESSAGE_NOT_FOUND');
        return;
      }
      traces.as(whoCalls(call), () => traces.write(queue, 'cancelled', { msgId }));
      broker.hold(broker.ticket, () => call.reply({ msgId }));
    });
  });
}

/** Runs `use` with the place of the delayed message that the call names, or fails the call. */
function withDelayed(
  call: CmqCall,
  queue: ClassicQueue,
  use: (delayed: DelayQueue, sequence: number, msgId: string) => void,
): void {
  const msgId = call.parameters.text('msgId');
  queue.find(msgId, (found) => {
    const { delayed } = queue;
    const sequence = found?.delayedSequence;
    if (delayed !== undefined && sequence !== undefined && delayed.has(sequence)) {
      use(delayed, sequence, msgId);
    } else {
      call.fail('MESSAGE_NOT_FOUND', found && 'the message is not scheduled any more');
    }
  });
}

/** The id it carries, else that of its place among the delayed. */
function idOf({ vhost }: CmqCall, queue: ClassicQueue, { message, sequence }: Entry): string {
  const headers = vhost.publisher.host.formats[message.format]!.headers(message);
  const carried = message.isNamed ? carriedId(headers) : undefined;
  return carried ?? placeId(queue.id, DELAYED_KIND, 0, sequence);
}

function queueOf(call: CmqCall, right: PermissionKind): ClassicQueue {
  return call.vhost.cmq.queues.find(call.actor, call.parameters.text('queueName'), right);
}
