/**
 * A queue as GetQueueAttributes shows it (reference 2.2), with the counters of reference 2.8 that
 * CMQ keeps in its monitoring. Times in seconds; a value of 0 where there is none.
 */
import type { CmqQueues } from '../../src/engine/cmq/cmq-queues.ts';
import { queueIdOf } from '../../src/engine/cmq/cmq-queues.ts';
import type { DeadLetterBinding } from '../../src/engine/cmq/queue-attributes.ts';
import { VISIBILITY_MS_DEFAULT } from '../../src/base/limits.ts';
import type { ClassicQueue } from '../../src/engine/queue/classic-queue.ts';
import type { Queue } from '../../src/engine/queue/queue.ts';
import type { CmqCall } from './dispatcher.ts';
import type { Parameters } from './request-parameters.ts';
import { resourceTagFields } from './resource-tags.ts';
import type { CmqSettings } from './settings.ts';

type Fields = Record<string, unknown>;

const LIMIT_DEFAULT = 20;

/** Wall ms as CMQ writes times. */
export function toSeconds(wallMs: number): number {
  return Math.floor(wallMs / 1_000);
}

/** The part of a list that a call asks for. */
export function pageOf<T>(parameters: Parameters, items: readonly T[]): readonly T[] {
  const offset = parameters.optionalInteger('offset') ?? 0;
  const limit = parameters.optionalInteger('limit') ?? LIMIT_DEFAULT;
  return items.slice(offset, offset + limit);
}

/** Who is named in traces. */
export function whoCalls({ actor, client }: CmqCall): string {
  return `${actor.user.name}@${client.remoteAddress}`;
}

/** Id and name, as lists show a queue. */
export function queueEntry(queue: Queue): Fields {
  return { queueId: queueIdOf(queue), queueName: queue.name };
}

/** Everything about a queue; `done` may run later, when the oldest message must be read. */
export function describeQueue(
  call: CmqCall,
  queue: ClassicQueue,
  settings: CmqSettings,
  done: (fields: Fields) => void,
): void {
  const { queues } = call.vhost.cmq;
  queue.oldest((publishedAtMs) =>
    done({
      ...queueEntry(queue),
      ...settableFields(call, queue),
      ...fixedFields(queues, queue),
      ...countFields(queue),
      minMsgTime: toSeconds(publishedAtMs ?? 0),
      deadLetterSource: queues.sourcesOf(queue).map(queueEntry),
      maxDelaySeconds: settings.delaySecondsMax,
      ...(call.api === 3 && limitFields(settings)),
      ...counterFields(queues, queue),
    }),
  );
}

/** What SetQueueAttributes sets. */
export function settableFields(call: CmqCall, queue: ClassicQueue): Fields {
  const attributes = call.vhost.cmq.queues.attributesOf(queue);
  const { deadLetter } = attributes;
  const { visibilityTimeoutMs, retentionMs, rewindMs, heapMax } = queue.settings;
  return {
    maxMsgHeapNum: heapMax ?? 0,
    pollingWaitSeconds: attributes.pollingWaitSeconds,
    visibilityTimeout: toSeconds(visibilityTimeoutMs ?? VISIBILITY_MS_DEFAULT),
    maxMsgSize: attributes.maxMsgSize,
    msgRetentionSeconds: toSeconds(retentionMs ?? 0),
    rewindSeconds: toSeconds(rewindMs ?? 0),
    trace: attributes.trace,
    tags: resourceTagFields(attributes.tags),
    ...(deadLetter !== undefined && { deadLetterPolicy: policyFields(call, deadLetter) }),
  };
}

function fixedFields(queues: CmqQueues, queue: ClassicQueue): Fields {
  const { createdAtMs, modifiedAtMs } = queues.attributesOf(queue);
  return {
    transaction: 0,
    createTime: toSeconds(createdAtMs),
    lastModifyTime: toSeconds(modifiedAtMs),
  };
}

/**
 * What API 3.0 tells besides. There is no limit of bytes, neither per second nor in a queue, and
 * nobody is noted as a queue's creator; transactions are not served.
 */
function limitFields({ queueRequestsPerSecond, inactiveMax }: CmqSettings): Fields {
  return {
    qps: queueRequestsPerSecond,
    bps: 0,
    maxUnackedMsgNum: inactiveMax,
    maxMsgBacklogSize: 0,
    createUin: 0,
    transactionPolicy: { firstQueryInterval: 0, maxQueryCount: 0 },
  };
}

/** API 2.0 gets the last one under its legacy spelling, too (`reply-format.ts`). */
function countFields(queue: ClassicQueue): Fields {
  return {
    activeMsgNum: queue.readyCount,
    inactiveMsgNum: queue.unackedCount,
    delayMsgNum: queue.delayedCount,
    rewindMsgNum: queue.rewindableCount,
  };
}

function policyFields(call: CmqCall, binding: DeadLetterBinding): Fields {
  const queue = call.vhost.topology.queues.get(binding.queueName);
  const { policy, maxReceiveCount, maxTimeToLive } = binding;
  return {
    ...(queue !== undefined && { deadLetterQueue: queueIdOf(queue) }),
    deadLetterQueueName: binding.queueName,
    policy,
    maxReceiveCount,
    maxTimeToLive,
  };
}

function counterFields(queues: CmqQueues, queue: ClassicQueue): Fields {
  const counters = queues.countersOf(queue);
  return {
    sendMsgReqCount: counters.sendRequests,
    sendMsgNum: counters.sentMessages,
    recvMsgReqCount: counters.receiveRequests,
    recvMsgNum: counters.receivedMessages,
    recvNullMsgNum: counters.emptyReceives,
    batchRecvNullMsgNum: counters.emptyBatchReceives,
    delMsgReqCount: counters.deleteRequests,
    delMsgNum: counters.deletedMessages,
  };
}
