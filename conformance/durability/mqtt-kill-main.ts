/**
 * The MQTT kill test from the shell, Node 22.18 or later:
 * `npm run build && node conformance/durability/mqtt-kill-main.ts [--cycles 100] [--seed N]
 * [--url mqtt://...]`. Exit code 1 on any violation. With any Node:
 * `KILL_CYCLES=100 npm run durability -- mqtt-kill`.
 */
import { parseArgs } from 'node:util';
import { runMqttKillTest } from './mqtt-kill.ts';
import { mqttVerdictLine, mqttViolationCount } from './mqtt-ledger.ts';

const { values } = parseArgs({
  options: {
    cycles: { type: 'string' },
    seed: { type: 'string' },
    url: { type: 'string' },
    quiet: { type: 'boolean' },
  },
});
const seed = Number(values.seed ?? Date.now() % 1_000_000);
const cycles = Number(values.cycles ?? 100);
console.log(`seed ${seed}, ${cycles} cycles`);
const report = await runMqttKillTest({
  cycles,
  seed,
  ...(values.url === undefined ? {} : { url: values.url }),
  onCycle: (cycle, text) => {
    if (values.quiet !== true) console.log(`cycle ${cycle}: ${text}`);
  },
});
for (const example of report.verdict.examples) console.log(`  ${example}`);
for (const failure of report.integrityFailures) console.log(`  integrity: ${failure}`);
for (const error of report.errors.slice(0, 20)) console.log(`  error: ${error}`);
console.log(
  `seed ${seed}, ${cycles} cycles in ${report.seconds.toFixed(0)} s: ` +
    `${mqttVerdictLine(report.verdict)}, ` +
    `integrity ${report.integrityFailures.length === 0 ? 'ok' : 'BROKEN'}, ` +
    `errors ${report.errors.length}, slowest restart ${report.restartMaxMs.toFixed(0)} ms`,
);
const isGood =
  mqttViolationCount(report.verdict) === 0 &&
  report.integrityFailures.length === 0 &&
  report.errors.length === 0;
process.exitCode = isGood ? 0 : 1;
