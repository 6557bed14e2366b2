import { TOPIC_TRACE_PREFIX } from '../cmq/own-queues.ts';
import type { TraceEvent, TraceKind } from '../cmq/trace-event.ts';
import { TraceLog } from '../cmq/trace-log.ts';
import type { TraceQueryOptions } from '../cmq/trace-query.ts';
import type { VHost } from '../vhost.ts';
import type { VHostQueues } from '../vhost-queues.ts';

/** What happens to the messages of one topic until each subscription has its copy, or has not. */
export class TopicTrace {
  readonly #vhost: VHost;
  readonly #queues: VHostQueues;
  readonly #log: TraceLog;
  /** Without it nothing is written; what was can still be asked for. */
  isOn: boolean;

  constructor(topicName: string, vhost: VHost, queues: VHostQueues) {
    this.#vhost = vhost;
    this.#queues = queues;
    this.#log = new TraceLog(TOPIC_TRACE_PREFIX + topicName, vhost, queues);
    this.isOn = false;
  }

  /** Writes an event of now, on behalf of whoever acts. */
  write(kind: TraceKind, details: Omit<TraceEvent, 'kind' | 'atMs'>): void {
    if (!this.isOn) return;
    const { by } = this.#vhost.cmq.traces;
    const atMs = this.#queues.nowMs();
    this.#log.write({ kind, atMs, ...(by !== undefined && { by }), ...details });
  }

  /** Finds events of the last three days, oldest first; the call that is returned ends it. */
  query(options: TraceQueryOptions, done: (events: readonly TraceEvent[]) => void): () => void {
    return this.#log.query(options, done);
  }

  /** The topic is gone: so is its trace. */
  drop(): void {
    this.#log.drop();
  }
}
