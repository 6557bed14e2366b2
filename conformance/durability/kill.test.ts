/**
 * Guarantees G1 to G5 against SIGKILL. KILL_CYCLES sets the number of kills (10), KILL_SEED
 * repeats a run's random choices.
 */
import { expect, test } from 'vitest';
import { runKillTest } from './kill.ts';
import { verdictLine, violationCount } from './ledger.ts';

const cycles = Number(process.env['KILL_CYCLES'] ?? 10);
const seed = Number(process.env['KILL_SEED'] ?? Date.now() % 1_000_000);

test(`nothing confirmed is lost and nothing settled comes back over ${cycles} kills`, {
  timeout: 180_000 + cycles * 30_000,
}, async () => {
  const report = await runKillTest({ cycles, seed });
  console.log(
    `seed ${seed}, ${cycles} kills in ${report.seconds.toFixed(0)} s: ` +
      `${verdictLine(report.verdict)}, slowest restart ${report.restartMaxMs.toFixed(0)} ms`,
  );
  expect(report.errors, `seed ${seed}`).toEqual([]);
  expect(report.integrityFailures, `seed ${seed}`).toEqual([]);
  expect(report.verdict.examples, `seed ${seed}`).toEqual([]);
  expect(violationCount(report.verdict), `seed ${seed}`).toBe(0);
  // A run that did next to nothing proves nothing.
  expect(report.verdict.confirmed).toBeGreaterThan(cycles * 5);
  expect(report.verdict.acked).toBeGreaterThan(cycles * 5);
});
