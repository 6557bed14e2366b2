import type { Json } from '../definitions.ts';
import type { Queue } from '../queue/queue.ts';
import type { VHost } from '../vhost.ts';
import type { VHostQueues } from '../vhost-queues.ts';
import { CmqQueues } from './cmq-queues.ts';
import { Redrives } from './redrives.ts';
import { Traces } from './traces.ts';

/** What CMQ adds to one vhost, which is an account of it. */
export class CmqAccount {
  readonly queues: CmqQueues;
  readonly redrives: Redrives;
  readonly traces: Traces;

  constructor(vhost: VHost, queues: VHostQueues) {
    this.queues = new CmqQueues(vhost, queues);
    this.redrives = new Redrives(vhost, queues, this.queues);
    this.traces = new Traces(vhost, queues);
    this.queues.onRecord = (queue, attributes) => this.traces.apply(queue, attributes);
    this.redrives.onMoved = (from, entry, to) => this.traces.redriven(from, entry, to);
  }

  /** A queue was deleted, by whomever. */
  queueRemoved(queue: Queue): void {
    this.redrives.queueRemoved(queue);
    this.queues.queueRemoved(queue);
  }

  /** Puts a persisted definition back; queues exist. */
  restore(kind: 'cmq_queue' | 'cmq_redrive', name: string, value: Json): void {
    if (kind === 'cmq_queue') this.queues.restore(name, value);
    else this.redrives.restore(name, value);
  }
}
