/**
 * ReceiveMessage and BatchReceiveMessage (reference 2.3): leases what is there, or waits in the
 * queue's line for the first message until the time is over. Nobody's time is kept here: the engine
 * answers every wait.
 *
 * A client that has gone takes nothing: its wait is taken out of line, and what was leased for it
 * while nobody noticed goes back at once.
 */
import { REPLY_BODIES_BYTES_ENOUGH } from '../../src/base/limits.ts';
import type { Entry } from '../../src/engine/message.ts';
import type { ClassicQueue } from '../../src/engine/queue/classic-queue.ts';
import { Receive } from '../../src/engine/queue/receive.ts';
import type { CmqCall, CmqDeps } from './dispatcher.ts';
import { CmqFailure } from './error-mapper.ts';
import { receivedFields, receivedListFields } from './message-fields.ts';
import { whoCalls } from './queue-description.ts';
import type { QueueRate } from './queue-rate.ts';
import type { ReplyFields } from './reply-json.ts';

export function receiveOne(call: CmqCall, deps: CmqDeps, rate: QueueRate): void {
  receive(call, deps, rate, 1, (queue, [entry]) => receivedFields(queue, entry!));
}

export function receiveBatch(call: CmqCall, deps: CmqDeps, rate: QueueRate): void {
  const maxCount = call.parameters.integer('numOfMsg');
  receive(call, deps, rate, maxCount, receivedListFields);
}

function receive(
  call: CmqCall,
  { clock, settings }: CmqDeps,
  rate: QueueRate,
  maxCount: number,
  fieldsOf: (queue: ClassicQueue, entries: readonly Entry[]) => ReplyFields,
): void {
  const { parameters } = call;
  const { queues, traces } = call.vhost.cmq;
  const queue = queues.find(call.actor, parameters.text('queueName'), 'read');
  if (!rate.admitsReceive(queue)) throw new CmqFailure('QUEUE_RATE');
  if (queue.unackedCount >= settings.inactiveMax) throw new CmqFailure('UNACKED_TOO_MANY');
  queues.countersOf(queue).receiveRequests += 1;
  const who = whoCalls(call);
  const receipt = new Receive({
    maxCount,
    enoughBytes: REPLY_BODIES_BYTES_ENOUGH,
    visibilityMs: leaseMs(call),
    untilMs: clock.wallMs() + waitMs(call, queues.attributesOf(queue).pollingWaitSeconds),
    isByHandle: true,
    holder: who,
    done: (entries) => {
      if (entries.length === 0) {
        answerEmpty(call, queue);
        return;
      }
      traces.as(who, () => traces.received(queue, entries));
      queues.countersOf(queue).receivedMessages += entries.length;
      const generations = entries.map(({ generation }) => generation);
      call.onGone = () => giveBack(queue, entries, generations);
      call.reply(fieldsOf(queue, entries));
    },
  });
  call.onGone = () => queue.cancelReceive(receipt);
  queue.receive(receipt);
}

/** Undefined: as long as the queue says. */
function leaseMs({ parameters }: CmqCall): number | undefined {
  const seconds = parameters.optionalInteger('visibilityTimeout');
  return seconds === undefined ? undefined : seconds * 1_000;
}

function waitMs({ parameters }: CmqCall, queueSeconds: number): number {
  return (parameters.optionalInteger('pollingWaitSeconds') ?? queueSeconds) * 1_000;
}

function answerEmpty(call: CmqCall, queue: ClassicQueue): void {
  if (queue.isDeleted) {
    call.fail('QUEUE_NOT_FOUND');
    return;
  }
  const counters = call.vhost.cmq.queues.countersOf(queue);
  if (call.action === 'ReceiveMessage') counters.emptyReceives += 1;
  else counters.emptyBatchReceives += 1;
  call.fail('NO_MESSAGE');
}

/** What is leased in the same way still: a lease may have ended before its client was missed. */
function giveBack(
  queue: ClassicQueue,
  entries: readonly Entry[],
  generations: readonly number[],
): void {
  for (const [at, entry] of entries.entries()) {
    if (entry.generation === generations[at]) queue.requeue(entry, false);
  }
}
