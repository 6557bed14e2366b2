/** `node dist/bench/load/load-main.js --url amqp://... [options]`: one load run from the shell. */
import { parseArgs } from 'node:util';
import type { Table } from '../wire/encode.ts';
import { DEFAULT_LOAD, type LoadOptions, type LoadResult, runLoad } from './load.ts';
import { reportText } from './report.ts';

const USAGE = `usage: load-main [options]
  --url URL            amqp://user:password@host:port/vhost (${DEFAULT_LOAD.url})
  --publishers N       connections that publish (1)
  --consumers N        connections that consume (1)
  --queues N           durable queues, published to round robin (1)
  --size BYTES         body size (16)
  --persistent         delivery-mode 2
  --confirm WINDOW     publisher confirms with so many unconfirmed at a time (0: none)
  --ack-every N        1: ack each; N: one multiple ack for N; 0: auto-ack (0)
  --prefetch N         per consumer (0: unlimited)
  --rate N             messages per second over all publishers (0: as many as possible)
  --duration SECONDS   measured time (10)
  --warmup SECONDS     before it (1)
  --messages N         stop after N per publisher
  --queue-type TYPE    classic or quorum (classic)
  --queue-args JSON    queue arguments, {"x-max-length": 1000}
  --stamp              stamp bodies: latency percentiles and order (on with --rate)
  --server-pid PID     process whose CPU and memory to report (who listens on the port)
  --keep               leave the queues
  --json               print the result as JSON`;

function options(): { load: LoadOptions; isJson: boolean } | undefined {
  const { values } = parseArgs({
    options: {
      url: { type: 'string' },
      publishers: { type: 'string' },
      consumers: { type: 'string' },
      queues: { type: 'string' },
      size: { type: 'string' },
      persistent: { type: 'boolean' },
      confirm: { type: 'string' },
      'ack-every': { type: 'string' },
      prefetch: { type: 'string' },
      rate: { type: 'string' },
      duration: { type: 'string' },
      warmup: { type: 'string' },
      messages: { type: 'string' },
      'queue-type': { type: 'string' },
      'queue-args': { type: 'string' },
      stamp: { type: 'boolean' },
      'server-pid': { type: 'string' },
      keep: { type: 'boolean' },
      json: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help === true) return undefined;
  const number = (text: string | undefined, fallback: number): number =>
    text === undefined ? fallback : Number(text);
  const rate = number(values.rate, 0);
  return {
    isJson: values.json === true,
    load: {
      ...DEFAULT_LOAD,
      url: values.url ?? DEFAULT_LOAD.url,
      publishers: number(values.publishers, 1),
      consumers: number(values.consumers, 1),
      queues: number(values.queues, 1),
      sizeBytes: number(values.size, 16),
      isPersistent: values.persistent === true,
      confirmWindow: number(values.confirm, 0),
      ackEvery: number(values['ack-every'], 0),
      prefetch: number(values.prefetch, 0),
      rate,
      durationSeconds: number(values.duration, 10),
      warmupSeconds: number(values.warmup, 1),
      maxMessages: number(values.messages, Infinity),
      queueType: values['queue-type'] === 'quorum' ? 'quorum' : 'classic',
      queueArguments: JSON.parse(values['queue-args'] ?? '{}') as Table,
      isStamped: values.stamp === true || rate > 0,
      serverPid: number(values['server-pid'], 0),
      keepsQueues: values.keep === true,
    },
  };
}

function report(result: LoadResult): string {
  return reportText(
    result,
    `${result.server.product} ${result.server.version}, `,
    `left ${result.leftInQueues}, unaccounted ${result.unaccounted}`,
  );
}

const chosen = options();
if (chosen === undefined) {
  console.log(USAGE);
} else {
  const result = await runLoad(chosen.load);
  console.log(chosen.isJson ? JSON.stringify(result) : report(result));
}
