import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import type { Broker } from '../../engine/broker.ts';
import { recoverBroker } from '../../engine/recover.ts';
import { DataDirBusyError } from '../../store/data-dir-lock.ts';
import { DATA_FILE } from '../../store/sqlite/schema.ts';
import { SqliteStore } from '../../store/sqlite/sqlite-store.ts';
import type { Config } from '../config.ts';
import { createMessageFormats } from '../message-formats.ts';
import { systemRandom } from '../system-random.ts';
import { CommandError } from './command.ts';

/**
 * The data directory, which must hold data: a typing error must not make a new one.
 *
 * @throws CommandError
 */
export function existingDataDirectory(config: Config): string {
  const directory = resolve(config.dataDir);
  if (existsSync(join(directory, DATA_FILE))) return directory;
  throw new CommandError(`there is no data in ${directory}; the first start creates it`);
}

/**
 * Runs `open`, and tells an operator about a directory in use.
 *
 * @param advice what follows the process in use
 */
export async function refuseWhileServed<T>(
  open: () => Promise<T>,
  advice = 'which must be stopped first',
): Promise<T> {
  try {
    return await open();
  } catch (error) {
    if (!(error instanceof DataDirBusyError)) throw error;
    throw new CommandError(`${error.message}, ${advice}`);
  }
}

/** It holds the directory and was asked before; see `sendOrder`. */
const TAKES_NO_ORDERS =
  'which takes no commands: it starts or stops now (try again), runs as another user (run this ' +
  'as that one), or has no control socket (its log says so; stop it first)';

/**
 * Opens the data directory as a start does, without clients, lets `use` work on the broker, and
 * closes it again. When this resolves, what `use` changed is on disk.
 *
 * @throws CommandError when there is no data or a process serves it
 */
export async function withOfflineBroker<T>(
  config: Config,
  use: (broker: Broker, store: SqliteStore) => T | Promise<T>,
): Promise<T> {
  const directory = existingDataDirectory(config);
  const { durability } = config;
  const open = (): Promise<SqliteStore> => SqliteStore.open({ directory, durability });
  const store = await refuseWhileServed(open, TAKES_NO_ORDERS);
  let failure: Error | undefined;
  store.onFailure = (error) => {
    failure = error;
  };
  const deps = {
    clock: systemClock,
    random: systemRandom,
    store,
    formats: createMessageFormats(),
    requestTurn: () => undefined,
    settings: {},
  };
  const { broker } = await recoverBroker(deps, 'empty');
  try {
    return await use(broker, store);
  } finally {
    await store.close();
    if (failure !== undefined) failWith(failure);
  }
}

function failWith(error: Error): never {
  throw error;
}
