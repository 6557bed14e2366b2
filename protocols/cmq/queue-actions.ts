/**
 * What owners do with queues over CMQ: create, list, look at, change, delete, rewind, clear
 * (reference 2.2). Everything that changes something is answered once it is on disk.
 */
import type { AttributeChanges } from '../../src/engine/cmq/queue-attributes.ts';
import { queueIdOf } from '../../src/engine/cmq/cmq-queues.ts';
import type { DeadLetterRequest, QueueWishes } from '../../src/engine/cmq/cmq-queues.ts';
import type { ClassicQueue } from '../../src/engine/queue/classic-queue.ts';
import { deadLetterHandlers } from './dead-letter-actions.ts';
import type { CmqCall, CmqDeps, CmqHandlers } from './dispatcher.ts';
import { CmqFailure } from './error-mapper.ts';
import {
  describeQueue,
  pageOf,
  queueEntry,
  settableFields,
  whoCalls,
} from './queue-description.ts';
import { queueFailuresOf } from './queue-failures.ts';
import { redriveHandlers } from './redrive-actions.ts';
import type { Parameters } from './request-parameters.ts';
import { resourceFilter, resourceTagsOf } from './resource-tags.ts';
import type { CmqSettings } from './settings.ts';

/** Times from here on are in ms: an example of API 3.0 has them so. In seconds it is year 5138. */
const MS_FROM = 100_000_000_000;

const EMPTY_DEAD_LETTER = 'deadLetterQueueName is empty: UnbindDeadLetter ends a binding';

/** Handlers of all actions on queues as such. */
export function queueHandlers(deps: CmqDeps): CmqHandlers {
  return new Map([
    ...queueFailuresOf({
      CreateQueue: (call) => create(call, deps),
      ListQueue: (call) => list(call, deps),
      GetQueueAttributes: (call) => getAttributes(call, deps),
      SetQueueAttributes: (call) => setAttributes(call, deps),
      DeleteQueue: (call) => remove(call, deps),
      RewindQueue: (call) => rewind(call, deps),
      ClearQueue: (call) => clear(call, deps),
    }),
    ...deadLetterHandlers(deps),
    ...redriveHandlers(deps),
  ]);
}

function create(call: CmqCall, { broker, settings }: CmqDeps): void {
  const { queue, ticket } = call.vhost.cmq.queues.create(
    call.actor,
    call.parameters.text('queueName'),
    {
      ...wishesOf(call.parameters),
      queuesMax: settings.queuesMax,
      recreateAfterMs: settings.nameCoolDownSeconds * 1_000,
    },
  );
  broker.hold(ticket, () => call.reply({ queueId: queueIdOf(queue) }));
}

function setAttributes(call: CmqCall, { broker }: CmqDeps): void {
  const { queues } = call.vhost.cmq;
  const name = call.parameters.text('queueName');
  if (call.parameters.optionalText('deadLetterQueueName') === '') {
    const { deadLetter } = queues.attributesOf(queues.find(call.actor, name, 'configure'));
    if (deadLetter !== undefined) throw new CmqFailure('QUEUE_NAME', EMPTY_DEAD_LETTER);
  }
  const { queue, ticket } = queues.set(call.actor, name, wishesOf(call.parameters));
  // API 2.0 tells what is set now; 3.0 has no fields for it.
  broker.hold(ticket, () => call.reply(call.api === 2 ? settableFields(call, queue) : {}));
}

function wishesOf(parameters: Parameters): QueueWishes {
  const changes: { -readonly [K in keyof AttributeChanges]: AttributeChanges[K] } = {};
  for (const name of NUMERIC) {
    const value = parameters.optionalInteger(name);
    if (value !== undefined) changes[name] = value;
  }
  const trace = parameters.optionalFlag('trace');
  if (trace !== undefined) changes.trace = trace;
  const tags = resourceTagsOf(parameters);
  if (tags !== undefined) changes.tags = tags;
  const deadLetter = deadLetterOf(parameters);
  return { changes, ...(deadLetter !== undefined && { deadLetter }) };
}

const NUMERIC = [
  'maxMsgHeapNum',
  'pollingWaitSeconds',
  'visibilityTimeout',
  'maxMsgSize',
  'msgRetentionSeconds',
  'rewindSeconds',
] as const;

/** Undefined when the call says nothing about dead letters; consoles send empty names for none. */
function deadLetterOf(parameters: Parameters): DeadLetterRequest | undefined {
  const name = parameters.optionalText('deadLetterQueueName');
  const request = {
    queue: name === '' ? undefined : name,
    policy: parameters.optionalInteger('policy'),
    maxReceiveCount: parameters.optionalInteger('maxReceiveCount'),
    maxTimeToLive: parameters.optionalInteger('maxTimeToLive'),
  };
  return Object.values(request).some((value) => value !== undefined) ? request : undefined;
}

function getAttributes(call: CmqCall, { settings }: CmqDeps): void {
  const queue = call.vhost.cmq.queues.find(call.actor, call.parameters.text('queueName'), 'any');
  describeQueue(call, queue, settings, (fields) => call.reply(fields));
}

/** API 3.0 gets every attribute of each queue. */
function list(call: CmqCall, { settings }: CmqDeps): void {
  const { parameters } = call;
  const { queues } = call.vhost.cmq;
  const isWanted = resourceFilter(parameters, 'queueNameList', 'QueueName');
  const found = queues
    .list(call.actor)
    .filter((queue) => isWanted({ name: queue.name, tags: queues.attributesOf(queue).tags }));
  const page = pageOf(parameters, found);
  const totalCount = found.length;
  if (call.api === 2) {
    call.reply({ totalCount, queueList: page.map(queueEntry) });
    return;
  }
  describeAll(call, page, settings, (queueList) => call.reply({ totalCount, queueList }));
}

function describeAll(
  call: CmqCall,
  queues: readonly ClassicQueue[],
  settings: CmqSettings,
  done: (rows: readonly Record<string, unknown>[]) => void,
): void {
  const rows: Record<string, unknown>[] = [];
  const next = (): void => {
    const queue = queues[rows.length];
    if (queue === undefined) done(rows);
    else {
      describeQueue(call, queue, settings, (fields) => {
        rows.push(fields);
        next();
      });
    }
  };
  next();
}

function remove(call: CmqCall, { broker }: CmqDeps): void {
  const ticket = call.vhost.cmq.queues.delete(call.actor, call.parameters.text('queueName'));
  broker.hold(ticket, () => call.reply({}));
}

/** Valid times are from the begin of the window to the oldest message not deleted yet, or now. */
function rewind(call: CmqCall, { broker, clock }: CmqDeps): void {
  const { cmq } = call.vhost;
  const name = call.parameters.text('queueName');
  const queue = cmq.queues.find(call.actor, name, 'configure');
  const rewindMs = queue.settings.rewindMs ?? 0;
  if (rewindMs === 0) throw new CmqFailure('NOT_REWINDABLE');
  const time = call.parameters.integer('startConsumeTime');
  const fromMs = time >= MS_FROM ? time : time * 1_000;
  const nowMs = clock.wallMs();
  // Clients know whole seconds.
  if (fromMs < Math.floor(nowMs / 1_000) * 1_000 - rewindMs || fromMs > nowMs) {
    throw new CmqFailure('REWIND_TIME');
  }
  queue.oldest((publishedAtMs) => {
    if (publishedAtMs !== undefined && fromMs > publishedAtMs) {
      call.fail('REWIND_TIME', 'startConsumeTime is later than minMsgTime');
      return;
    }
    const answer = (count: number): void =>
      broker.hold(broker.ticket, () => call.reply({ rewoundMsgNum: count }));
    cmq.traces.as(whoCalls(call), () => queue.rewind(fromMs, answer));
  });
}

function clear(call: CmqCall, { broker }: CmqDeps): void {
  const { cmq } = call.vhost;
  const queue = cmq.queues.find(call.actor, call.parameters.text('queueName'), 'configure');
  const count = queue.clear();
  cmq.traces.as(whoCalls(call), () => cmq.traces.write(queue, 'cleared', { count }));
  broker.hold(broker.ticket, () => call.reply({ clearedMsgNum: count }));
}
