import type { Scheduler } from '../../src/store/scheduler.ts';

/** No commit waits for company: what is due now is done after a few turns of the event loop. */
export const IMMEDIATE_SCHEDULER: Scheduler = {
  after: (_delayMs, task) => {
    setImmediate(task);
    return () => {};
  },
  soon: (task) => void setImmediate(task),
  hasSpareProcessor: false,
  nowMs: () => Infinity,
};
