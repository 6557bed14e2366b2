/**
 * Looking without touching: PeekMessage, DescribeMessage, QueryTrace. Additions to CMQ; a look
 * changes no count, no order and no lease.
 */
import { REPLY_BODIES_BYTES_ENOUGH } from '../../src/base/limits.ts';
import type { Clock } from '../../src/base/clock.ts';
import type { PermissionKind } from '../../src/engine/access/permission.ts';
import type { TraceEvent, TraceKind } from '../../src/engine/cmq/trace-event.ts';
import type { TraceQueryOptions } from '../../src/engine/cmq/trace-query.ts';
import { handleText } from '../../src/engine/cmq/receipt-handle.ts';
import type { Entry } from '../../src/engine/message.ts';
import type { ClassicQueue } from '../../src/engine/queue/classic-queue.ts';
import type { FoundEntry } from '../../src/engine/queue/queue-inspector.ts';
import type { CmqCall, CmqDeps, CmqHandler } from './dispatcher.ts';
import { messageFields } from './message-fields.ts';
import { toSeconds } from './queue-description.ts';

type Fields = Record<string, unknown>;

/** CMQ's names of the states. */
const STATES = {
  ready: 'active',
  leased: 'inactive',
  delayed: 'delayed',
  rewindable: 'rewindable',
} as const;

/** What became of a message that is not in its queue any more, by its last event. */
const ENDS: Partial<Record<TraceKind, string>> = {
  deleted: 'deleted',
  expired: 'expired',
  cancelled: 'cancelled',
  redriven: 'redriven',
  'dead-lettered': 'dead-lettered',
};

/** Events a trace query returns unless it asks for another number. */
const EVENTS_DEFAULT = 1_000;

export function inspectHandlers(deps: CmqDeps): [string, CmqHandler][] {
  return [
    ['PeekMessage', peek],
    ['DescribeMessage', (call) => describe(call, deps)],
    ['QueryTrace', (call) => queryTrace(call, deps)],
  ];
}

function peek(call: CmqCall): void {
  const queue = queueOf(call);
  const count = call.parameters.optionalInteger('numOfMsg') ?? 1;
  queue.peek(count, (entries) => {
    if (entries.length === 0) call.fail('NO_MESSAGE');
    else call.reply({ msgInfoList: enough(entries).map((entry) => messageFields(queue, entry)) });
  });
}

/** The first ones, up to the bytes of one reply. */
function enough(entries: readonly Entry[]): readonly Entry[] {
  let byteCount = 0;
  return entries.filter(({ message }) => {
    if (byteCount >= REPLY_BODIES_BYTES_ENOUGH) return false;
    byteCount += message.bodyBytes;
    return true;
  });
}

/**
 * Where the message is and in what state. Owners (configure) also get who holds it with which
 * handle, and with a trace its history to the end: readers must not learn each other's addresses.
 */
function describe(call: CmqCall, { clock }: CmqDeps): void {
  const queue = queueOf(call);
  const msgId = call.parameters.text('msgId');
  const options = { msgId, fromMs: 0, toMs: clock.wallMs() };
  const isOwner = call.vhost.cmq.queues.isOwner(call.actor, queue);
  queue.find(msgId, (found) => {
    if (!isOwner) {
      if (found === undefined) call.fail('MESSAGE_NOT_FOUND');
      else call.reply({ queueName: queue.name, ...stateFields(queue, found, msgId, isOwner) });
      return;
    }
    const state = found === undefined ? undefined : stateFields(queue, found, msgId, isOwner);
    call.vhost.cmq.traces.query(queue, options, (events) => {
      const history = events.map(eventFields);
      const last = events.at(-1);
      if (state !== undefined) {
        call.reply({ queueName: queue.name, ...state, history });
      } else if (last === undefined) {
        call.fail('MESSAGE_NOT_FOUND');
      } else {
        const end = ENDS[last.kind] ?? 'gone';
        call.reply({ queueName: queue.name, msgId, state: end, history });
      }
    });
  });
}

function stateFields(
  queue: ClassicQueue,
  found: FoundEntry,
  msgId: string,
  isOwner: boolean,
): Fields {
  const { entry, state, dueAtMs } = found;
  const { dequeueCount, firstDequeueTime, ...own } = messageFields(queue, entry, msgId);
  // What is kept for a rewind is a copy that nobody received.
  const receives = state === 'rewindable' ? {} : { dequeueCount, firstDequeueTime };
  const fields: Fields = {
    ...own,
    ...receives,
    state: STATES[state],
    msgSize: entry.message.bodyBytes,
  };
  if (dueAtMs !== undefined) return { ...fields, nextVisibleTime: toSeconds(dueAtMs) };
  if (state !== 'leased') return fields;
  const { leaseUntilMs, holder } = entry;
  return {
    ...fields,
    ...(leaseUntilMs !== Infinity && { nextVisibleTime: toSeconds(leaseUntilMs) }),
    ...(isOwner && { receiptHandle: handleText(queue.id, queue.handleOf(entry)) }),
    ...(isOwner && holder !== '' && { receivedBy: holder }),
  };
}

function queryTrace(call: CmqCall, { clock }: CmqDeps): void {
  const queue = queueOf(call, 'configure');
  const { traces } = call.vhost.cmq;
  answerTrace(call, clock, (options, done) => traces.query(queue, options, done));
}

/** Oldest first, of one message or of all, within a time. @param query returns what ends it */
export function answerTrace(
  call: CmqCall,
  clock: Clock,
  query: (options: TraceQueryOptions, done: (events: readonly TraceEvent[]) => void) => () => void,
): void {
  const { parameters } = call;
  const start = parameters.optionalInteger('startTime') ?? 0;
  const end = parameters.optionalInteger('endTime');
  const limit = parameters.optionalInteger('limit') ?? EVENTS_DEFAULT;
  const options = {
    msgId: parameters.optionalText('msgId'),
    fromMs: start * 1_000,
    // The whole of its last second.
    toMs: end === undefined ? clock.wallMs() : end * 1_000 + 999,
  };
  call.onGone = query(options, (events) => {
    const eventList = events.slice(0, limit).map(eventFields);
    call.reply({ totalCount: events.length, eventList });
  });
}

/** Times in ms: the order within a second matters here. */
function eventFields(event: TraceEvent): Fields {
  const { kind, atMs, msgId, handle, by, untilMs, count, queue, reason } = event;
  const { subscription, attempt } = event;
  return {
    event: kind,
    timeMs: atMs,
    ...(msgId !== undefined && { msgId }),
    ...(handle !== undefined && { receiptHandle: handle }),
    ...(by !== undefined && { by }),
    ...(untilMs !== undefined && { untilMs }),
    ...(count !== undefined && { count }),
    ...(queue !== undefined && { queueName: queue }),
    ...(subscription !== undefined && { subscriptionName: subscription }),
    ...(attempt !== undefined && { attempt }),
    ...(reason !== undefined && { reason }),
  };
}

function queueOf(call: CmqCall, right: PermissionKind = 'read'): ClassicQueue {
  return call.vhost.cmq.queues.find(call.actor, call.parameters.text('queueName'), right);
}
