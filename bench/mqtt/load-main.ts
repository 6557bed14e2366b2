/** `node dist/bench/mqtt/load-main.js --url mqtt://... [options]`: one load run from the shell. */
import { parseArgs } from 'node:util';
import {
  DEFAULT_MQTT_LOAD,
  type MqttLoadOptions,
  type MqttLoadResult,
  runMqttLoad,
} from './load.ts';
import type { Qos } from './packets.ts';
import { reportText } from '../load/report.ts';

const USAGE = `usage: load-main [options]
  --url URL            mqtt://user:password@host:port (${DEFAULT_MQTT_LOAD.url})
  --protocol 4|5       MQTT 3.1.1 or 5.0 (4)
  --publishers N       connections that publish (1)
  --subscribers N      connections that subscribe (1)
  --topics N           published to round robin; fewer than subscribers is fan-out (1)
  --shared             all subscribers in one $share group
  --qos N              of publishes (0)
  --subscribe-qos N    of subscriptions (2)
  --window N           exchanges a publisher has open, QoS 1 and 2 (100)
  --lag N              messages published and not yet delivered, 0 for no limit (20000)
  --size BYTES         body size (16)
  --persistent         subscribers keep their session
  --receive-maximum N  of subscribers, MQTT 5
  --rate N             messages per second over all publishers (0: as many as possible)
  --duration SECONDS   measured time (10)
  --warmup SECONDS     before it (1)
  --messages N         stop after N per publisher
  --stamp              stamp bodies: latency percentiles and order (on with --rate)
  --server-pid PID     process whose CPU and memory to report (who listens on the port)
  --json               print the result as JSON`;

function options(): { load: MqttLoadOptions; isJson: boolean } | undefined {
  const { values } = parseArgs({
    options: {
      url: { type: 'string' },
      protocol: { type: 'string' },
      publishers: { type: 'string' },
      subscribers: { type: 'string' },
      topics: { type: 'string' },
      shared: { type: 'boolean' },
      qos: { type: 'string' },
      'subscribe-qos': { type: 'string' },
      window: { type: 'string' },
      lag: { type: 'string' },
      size: { type: 'string' },
      persistent: { type: 'boolean' },
      'receive-maximum': { type: 'string' },
      rate: { type: 'string' },
      duration: { type: 'string' },
      warmup: { type: 'string' },
      messages: { type: 'string' },
      stamp: { type: 'boolean' },
      'server-pid': { type: 'string' },
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
      url: values.url ?? DEFAULT_MQTT_LOAD.url,
      version: values.protocol === '5' ? 5 : 4,
      publishers: number(values.publishers, 1),
      subscribers: number(values.subscribers, 1),
      topics: number(values.topics, 1),
      isShared: values.shared === true,
      qos: number(values.qos, 0) as Qos,
      subscribeQos: number(values['subscribe-qos'], DEFAULT_MQTT_LOAD.subscribeQos) as Qos,
      window: number(values.window, DEFAULT_MQTT_LOAD.window),
      lagMax: number(values.lag, DEFAULT_MQTT_LOAD.lagMax),
      sizeBytes: number(values.size, DEFAULT_MQTT_LOAD.sizeBytes),
      isPersistent: values.persistent === true,
      receiveMaximum: number(values['receive-maximum'], 0),
      rate,
      durationSeconds: number(values.duration, DEFAULT_MQTT_LOAD.durationSeconds),
      warmupSeconds: number(values.warmup, DEFAULT_MQTT_LOAD.warmupSeconds),
      maxMessages: number(values.messages, Infinity),
      isStamped: values.stamp === true || rate > 0,
      serverPid: number(values['server-pid'], 0),
    },
  };
}

function report(result: MqttLoadResult): string {
  return reportText(result, '', `missing ${result.missing}`);
}

const chosen = options();
if (chosen === undefined) {
  console.log(USAGE);
} else {
  const result = await runMqttLoad(chosen.load);
  console.log(chosen.isJson ? JSON.stringify(result) : report(result));
}
