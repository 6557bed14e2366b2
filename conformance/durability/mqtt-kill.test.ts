/**
 * MQTT's promises against SIGKILL: QoS 1 at least once, QoS 2 exactly once, sessions and retained
 * messages kept. KILL_CYCLES sets the number of kills (8), KILL_SEED repeats the random choices.
 */
import { expect, test } from 'vitest';
import { runMqttKillTest } from './mqtt-kill.ts';
import { mqttVerdictLine, mqttViolationCount } from './mqtt-ledger.ts';

const cycles = Number(process.env['KILL_CYCLES'] ?? 8);
const seed = Number(process.env['KILL_SEED'] ?? Date.now() % 1_000_000);

test(`QoS 1 and 2, sessions and retained messages over ${cycles} kills`, {
  timeout: 180_000 + cycles * 30_000,
}, async () => {
  const report = await runMqttKillTest({ cycles, seed });
  console.log(
    `seed ${seed}, ${cycles} kills in ${report.seconds.toFixed(0)} s: ` +
      `${mqttVerdictLine(report.verdict)}, ` +
      `slowest restart ${report.restartMaxMs.toFixed(0)} ms`,
  );
  expect(report.errors, `seed ${seed}`).toEqual([]);
  expect(report.integrityFailures, `seed ${seed}`).toEqual([]);
  expect(report.verdict.examples, `seed ${seed}`).toEqual([]);
  expect(mqttViolationCount(report.verdict), `seed ${seed}`).toBe(0);
  // A run that did next to nothing proves nothing.
  expect(report.verdict.confirmed).toBeGreaterThan(cycles * 5);
});
