/**
 * The kill test from the shell, Node 22.18 or later:
 * `npm run build && node conformance/durability/kill-main.ts [amqp|mqtt] [--cycles 100] [--seed N]
 * [--url amqp://...] [--data-dir DIR] [--quiet]`. Exit code 1 on any violation. With any Node:
 * `KILL_CYCLES=100 npm run durability -- kill`.
 */
import { parseArgs } from 'node:util';
import { runKillTest } from './kill.ts';
import { verdictLine, violationCount } from './ledger.ts';
import { runMqttKillTest } from './mqtt-kill.ts';
import { mqttVerdictLine, mqttViolationCount } from './mqtt-ledger.ts';
import type { KillOptions, KillReport } from './victim.ts';

/** What a run came to, whichever protocol. */
interface Outcome {
  readonly report: KillReport<{ readonly examples: readonly string[] }>;
  readonly line: string;
  readonly violations: number;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    cycles: { type: 'string' },
    seed: { type: 'string' },
    url: { type: 'string' },
    'data-dir': { type: 'string' },
    quiet: { type: 'boolean' },
  },
});

async function run(options: KillOptions): Promise<Outcome> {
  if (positionals[0] === 'mqtt') {
    const report = await runMqttKillTest(options);
    const { verdict } = report;
    return { report, line: mqttVerdictLine(verdict), violations: mqttViolationCount(verdict) };
  }
  const report = await runKillTest(options);
  const { verdict } = report;
  return { report, line: verdictLine(verdict), violations: violationCount(verdict) };
}

const seed = Number(values.seed ?? Date.now() % 1_000_000);
const cycles = Number(values.cycles ?? 100);
console.log(`seed ${seed}, ${cycles} cycles`);
const { report, line, violations } = await run({
  cycles,
  seed,
  ...(values.url === undefined ? {} : { url: values.url }),
  ...(values['data-dir'] === undefined ? {} : { dataDir: values['data-dir'] }),
  onCycle: (cycle, text) => {
    if (values.quiet !== true) console.log(`cycle ${cycle}: ${text}`);
  },
});
const { integrityFailures, errors } = report;
for (const example of report.verdict.examples) console.log(`  ${example}`);
for (const failure of integrityFailures) console.log(`  integrity: ${failure}`);
for (const error of errors.slice(0, 20)) console.log(`  error: ${error}`);
console.log(
  `seed ${seed}, ${cycles} cycles in ${report.seconds.toFixed(0)} s: ${line}, ` +
    `integrity ${integrityFailures.length === 0 ? 'ok' : 'BROKEN'}, ` +
    `errors ${errors.length}, slowest restart ${report.restartMaxMs.toFixed(0)} ms`,
);
const isGood = violations === 0 && integrityFailures.length === 0 && errors.length === 0;
process.exitCode = isGood ? 0 : 1;
