/**
 * The figures of the process as Prometheus text (exposition format 0.0.4). Everything is read when
 * it is asked for; nothing is counted twice. Names that RabbitMQ has are kept, so that its
 * dashboards work; what only exists here begins with `tributary_`.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import type { Broker } from '../engine/broker.ts';
import type { StoreMetrics } from '../store/sqlite/sqlite-store.ts';
import { lastKnown } from './last-known.ts';

/** One figure. */
interface Sample {
  readonly name: string;
  readonly help: string;
  readonly type: 'gauge' | 'counter';
  readonly value: number;
}

/** A figure that comes once for each combination of labels; those of one name follow each other. */
export interface LabelledSample extends Sample {
  readonly labels: Readonly<Record<string, string>>;
}

/** Where the figures come from. */
export interface MetricsSources {
  readonly broker: Broker;
  readonly connectionCount: () => number;
  /** Absent with a store that has no files. */
  readonly storeMetrics?: (() => StoreMetrics) | undefined;
  /** Figures of CMQ and of pushes. */
  readonly labelledSamples?: () => readonly LabelledSample[];
}

/** Reads figures; keeps only the event loop's delay histogram. */
export class Metrics {
  readonly #sources: MetricsSources;
  readonly #loopDelay: ReturnType<typeof monitorEventLoopDelay>;
  readonly #residentBytes: () => number;

  constructor(sources: MetricsSources) {
    this.#sources = sources;
    this.#loopDelay = monitorEventLoopDelay({ resolution: 20 });
    this.#loopDelay.enable();
    this.#residentBytes = lastKnown(() => process.memoryUsage.rss());
  }

  /** The text of one scrape; the loop's delay is that since the last one. */
  render(): string {
    const samples = [...this.#engineSamples(), ...this.#storeSamples(), ...this.#processSamples()];
    const labelled = this.#sources.labelledSamples?.() ?? [];
    return samples.map(formatSample).join('') + formatLabelled(labelled);
  }

  stop(): void {
    this.#loopDelay.disable();
  }

  #engineSamples(): Sample[] {
    const { broker, connectionCount } = this.#sources;
    let [queues, exchanges, consumers, ready, unacked] = [0, 0, 0, 0, 0];
    for (const { topology } of broker.vhosts()) {
      exchanges += topology.exchanges.size;
      queues += topology.queues.size;
      for (const queue of topology.queues.values()) {
        consumers += queue.consumerCount;
        ready += queue.readyCount;
        unacked += queue.unackedCount;
      }
    }
    const { alarms, residentBytes } = broker;
    const memory = Number(alarms.has('memory'));
    const disk = Number(alarms.has('disk'));
    return [
      gauge('rabbitmq_connections', 'Open connections', connectionCount()),
      gauge('rabbitmq_queues', 'Queues', queues),
      gauge('rabbitmq_exchanges', 'Exchanges, predeclared ones included', exchanges),
      gauge('rabbitmq_consumers', 'Consumers', consumers),
      gauge('rabbitmq_queue_messages_ready', 'Messages ready in queues', ready),
      gauge('rabbitmq_queue_messages_unacked', 'Messages delivered, not settled', unacked),
      gauge('rabbitmq_queue_messages', 'Messages ready and not settled', ready + unacked),
      gauge('rabbitmq_alarms_memory_used_watermark', 'Memory alarm is on', memory),
      gauge('rabbitmq_alarms_free_disk_space_watermark', 'Disk alarm is on', disk),
      gauge('tributary_queue_resident_bytes', 'Bodies of queued messages in memory', residentBytes),
    ];
  }

  #storeSamples(): Sample[] {
    const { broker, storeMetrics } = this.#sources;
    const { backlogBytes } = broker.store;
    const backlog = gauge(
      'tributary_commit_backlog_bytes',
      'Bytes waiting for a commit',
      backlogBytes,
    );
    const figures = storeMetrics?.();
    if (figures === undefined) return [backlog];
    const { commitP50Ms, commitP99Ms } = figures;
    return [
      backlog,
      counter('tributary_commits_total', 'Commits on disk', figures.commits),
      counter('tributary_committed_bytes_total', 'Bytes of commits', figures.committedBytes),
      gauge('tributary_commit_seconds_p50', 'Median of recent commits', commitP50Ms / 1000),
      gauge('tributary_commit_seconds_p99', '99th percentile', commitP99Ms / 1000),
      gauge('tributary_journal_rows', 'Rows of the journal', figures.rows),
      gauge('tributary_journal_live_bytes', 'Bytes of live entries', figures.liveBytes),
      gauge('tributary_data_file_bytes', 'Size of the database file', figures.fileBytes),
      gauge('tributary_wal_bytes', 'Size of the write-ahead log', figures.walBytes),
      counter('tributary_damaged_rows_total', 'Rows set aside as damaged', figures.damagedRows),
    ];
  }

  #processSamples(): Sample[] {
    const { user, system } = process.cpuUsage();
    const heap = getHeapStatistics();
    const delay = this.#loopDelay.percentile(99) / 1e9;
    this.#loopDelay.reset();
    const startedAt = Date.now() / 1000 - process.uptime();
    const resident = this.#residentBytes();
    return [
      counter('process_cpu_seconds_total', 'CPU time', (user + system) / 1e6),
      gauge('process_resident_memory_bytes', 'Resident memory', resident),
      gauge('process_start_time_seconds', 'Start, Unix time', Math.round(startedAt)),
      gauge('nodejs_heap_size_used_bytes', 'JavaScript heap in use', heap.used_heap_size),
      gauge('nodejs_heap_size_limit_bytes', 'JavaScript heap limit', heap.heap_size_limit),
      gauge('nodejs_eventloop_lag_p99_seconds', 'Event loop delay since the last scrape', delay),
    ];
  }
}

function gauge(name: string, help: string, value: number): Sample {
  return { name, help, type: 'gauge', value };
}

function counter(name: string, help: string, value: number): Sample {
  return { name, help, type: 'counter', value };
}

function formatSample({ name, help, type, value }: Sample): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name} ${value}\n`;
}

function formatLabelled(samples: readonly LabelledSample[]): string {
  let text = '';
  let last = '';
  for (const { name, help, type, labels, value } of samples) {
    if (name !== last) text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
    last = name;
    const pairs = Object.entries(labels).map(([key, label]) => `${key}="${escapeLabel(label)}"`);
    const suffix = pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
    text += `${name}${suffix} ${value}\n`;
  }
  return text;
}

function escapeLabel(label: string): string {
  return label.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
