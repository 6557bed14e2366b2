/**
 * `node dist/bench/mqtt/profile.js [SCENARIO] [--seconds 8] [--top 40]`: runs one MQTT scenario
 * against the gateway and prints where its main thread spent its time (see ../cpu-profile.ts).
 */
import { parseArgs } from 'node:util';
import { CpuProfiling, printRates } from '../cpu-profile.ts';
import { startOurs } from './broker.ts';
import { DEFAULT_MQTT_LOAD, runMqttLoad } from './load.ts';
import { MQTT_SCENARIOS } from './scenarios.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string' }, top: { type: 'string' } },
});

const scenario = MQTT_SCENARIOS.find((one) => one.name === (positionals[0] ?? 'qos0-16'));
if (scenario === undefined) {
  throw new Error(
    `no such scenario; there are ${MQTT_SCENARIOS.map(({ name }) => name).join(', ')}`,
  );
}
const profiling = new CpuProfiling();
const ours = await startOurs({ nodeFlags: profiling.nodeFlags });
try {
  const result = await runMqttLoad({
    ...DEFAULT_MQTT_LOAD,
    ...scenario.load,
    url: ours.url,
    serverPid: ours.gateway.pid,
    durationSeconds: Number(values.seconds ?? 8),
  });
  printRates(scenario.title, result);
} finally {
  await ours.close();
}
profiling.print(values.top === undefined ? undefined : Number(values.top));
