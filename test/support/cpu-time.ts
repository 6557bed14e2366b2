/**
 * CPU time of this process, ms: what a bound on work is measured in. A busy machine makes the clock
 * run on, but not this.
 */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}
