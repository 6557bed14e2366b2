/**
 * SendMessage and BatchSendMessage (reference 2.3): answered once the messages are on disk. A batch
 * is checked as a whole before any of it is sent.
 */
import { REFUSED } from '../../src/engine/queue/queue.ts';
import type { ClassicQueue } from '../../src/engine/queue/classic-queue.ts';
import type { CmqCall, CmqDeps } from './dispatcher.ts';
import { CmqFailure } from './error-mapper.ts';
import { bodiesFrom, checkSizes, messagesTo } from './message-body.ts';
import { whoCalls } from './queue-description.ts';
import type { QueueRate } from './queue-rate.ts';
import { JsonMembers } from './reply-json.ts';

export function sendOne(call: CmqCall, deps: CmqDeps, rate: QueueRate): void {
  const [msgId] = send(call, deps, rate, [call.parameters.text('msgBody')]);
  deps.broker.hold(deps.broker.ticket, () => call.reply({ msgId }));
}

export function sendBatch(call: CmqCall, deps: CmqDeps, rate: QueueRate): void {
  const ids = send(call, deps, rate, call.parameters.list('msgBody'));
  const msgList = ids.map((msgId) => `{"msgId":"${msgId}"}`).join(',');
  const fields = new JsonMembers(`"msgList":[${msgList}]`);
  deps.broker.hold(deps.broker.ticket, () => call.reply(fields));
}

/** Publishes; returns the ids in order. @throws CmqFailure, BrokerError */
function send(call: CmqCall, deps: CmqDeps, rate: QueueRate, texts: readonly string[]): string[] {
  const { parameters, vhost } = call;
  const { queues, traces } = vhost.cmq;
  const queue = queues.find(call.actor, parameters.text('queueName'), 'write');
  if (!rate.admitsSend(queue)) throw new CmqFailure('QUEUE_RATE');
  const encoding = parameters.optionalText('bodyEncoding');
  const bodies = bodiesFrom(texts, encoding, parameters.isAscii);
  checkSizes(bodies, queues.attributesOf(queue).maxMsgSize);
  const delaySeconds = parameters.optionalInteger('delaySeconds') ?? 0;
  checkRoom(queue, bodies.length, delaySeconds, deps);
  const counters = queues.countersOf(queue);
  counters.sendRequests += 1;
  const nowMs = deps.clock.wallMs();
  const messages = messagesTo(queue.name, bodies, nowMs);
  parameters.release();
  return traces.as(whoCalls(call), () =>
    messages.map((message) => {
      const accepted =
        delaySeconds === 0
          ? queue.publish(message)
          : queue.publishDelayed(message, nowMs + delaySeconds * 1_000);
      if (accepted === REFUSED) throw new CmqFailure('QUEUE_FULL');
      counters.sentMessages += 1;
      return queue.lastMessageId;
    }),
  );
}

function checkRoom(
  queue: ClassicQueue,
  count: number,
  delaySeconds: number,
  { broker, settings }: CmqDeps,
): void {
  if (broker.alarms.size > 0) {
    throw new CmqFailure('SEND_FAILED', 'the server is short of memory or disk space');
  }
  if (delaySeconds > settings.delaySecondsMax) throw new CmqFailure('DELAY_RANGE');
  if (delaySeconds > 0 && queue.delayedCount + count > settings.delayedMax) {
    throw new CmqFailure('UNACKED_TOO_MANY');
  }
  const { heapMax } = queue.settings;
  const heap = queue.readyCount + queue.unackedCount + queue.delayedCount;
  if (heapMax !== undefined && heap + count > heapMax) throw new CmqFailure('QUEUE_FULL');
}
