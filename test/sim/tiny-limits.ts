/**
 * Limits of the engine so small that a handful of messages is a deep backlog: paged to disk, let
 * go from memory, shared out over many turns.
 */
import { afterAll, vi } from 'vitest';

/** An entry without its body costs 320 bytes by account. */
const TINY = {
  HEAD_WINDOW_BYTES: 700,
  PAGE_IN_ENTRIES: 4,
  PAGE_IN_BYTES: 90,
  DELIVERIES_PER_TURN: 3,
  EXPIRIES_PER_TURN: 2,
  DELIVERED_MARK_AHEAD: 2,
  DELAYED_RESIDENT_ENTRIES: 2,
  DELAYED_RELEASES_PER_TURN: 2,
  REWIND_RESIDENT_ENTRIES: 2,
  REWIND_DROPS_PER_TURN: 2,
};

/**
 * Loads a module of the simulation, and all of the engine below it, with the tiny limits. Other
 * test files in the same worker get theirs as they are.
 */
export async function withTinyLimits<Module>(load: () => Promise<Module>): Promise<Module> {
  const path = '../../src/base/limits.ts';
  vi.resetModules();
  vi.doMock(path, async (original) => ({ ...(await original<object>()), ...TINY }));
  afterAll(() => {
    vi.doUnmock(path);
    vi.resetModules();
  });
  return await load();
}
