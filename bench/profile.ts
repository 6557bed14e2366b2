/**
 * `node dist/bench/profile.js [SCENARIO] [--seconds 8] [--top 40]`: runs one scenario against the
 * gateway and prints where its main thread spent its time (see cpu-profile.ts).
 */
import { parseArgs } from 'node:util';
import { CpuProfiling, printRates } from './cpu-profile.ts';
import { Gateway } from './gateway.ts';
import { DEFAULT_LOAD, runLoad } from './load/load.ts';
import { SCENARIOS } from './scenarios.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string' }, top: { type: 'string' } },
});

const scenario = SCENARIOS.find((one) => one.name === (positionals[0] ?? 'transient-16'));
if (scenario === undefined) {
  throw new Error(`no such scenario; there are ${SCENARIOS.map((one) => one.name).join(', ')}`);
}
const profiling = new CpuProfiling();
const gateway = await Gateway.start({ nodeFlags: profiling.nodeFlags });
try {
  const result = await runLoad({
    ...DEFAULT_LOAD,
    ...scenario.load,
    url: gateway.url,
    serverPid: gateway.pid,
    durationSeconds: Number(values.seconds ?? 8),
  });
  printRates(scenario.title, result);
} finally {
  await gateway.stop();
  gateway.remove();
}
profiling.print(values.top === undefined ? undefined : Number(values.top));
