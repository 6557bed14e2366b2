import { readFileSync } from 'node:fs';
import { BrokerError } from '../../base/errors.ts';
import { type AccessKey, type AccessKeys, newKeyPair } from '../../engine/access/access-key.ts';
import type { Broker } from '../../engine/broker.ts';
import { systemRandom } from '../system-random.ts';
import { type CommandContext, CommandError, type OfflineCommand } from './command.ts';
import { withOfflineBroker } from './offline-broker.ts';

const DEFAULT_VHOST = '/';

/** What follows `key`, and what it does. */
const JOBS: Readonly<Record<string, (context: CommandContext) => Promise<void>>> = {
  add: addKey,
  list: listKeys,
  delete: (context) => changeKey(context, (keys, { id }) => void keys.delete(id)),
  disable: (context) => changeKey(context, (keys, key) => keys.put({ ...key, isEnabled: false })),
  enable: (context) => changeKey(context, (keys, key) => keys.put({ ...key, isEnabled: true })),
};

/** Access keys, which sign the requests of CMQ clients. */
export const KEY: OfflineCommand = {
  name: 'key',
  usage:
    'add USER [--vhost VHOST] [--secret-id ID] [--secret-key-file FILE]\n' +
    '        | list | delete ID | disable ID | enable ID',
  summary: 'make, print, delete, disable or enable access keys (CMQ)',
  words: [1, 2],
  options: { vhost: 1, 'secret-id': 1, 'secret-key-file': 1 },
  run: async (context) => {
    const name = context.words[0]!;
    const job = Object.hasOwn(JOBS, name) ? JOBS[name] : undefined;
    const isListing = name === 'list';
    if (job === undefined || context.words.length !== (isListing ? 1 : 2)) {
      throw new CommandError(`usage: tributary key ${KEY.usage}`);
    }
    await job(context);
    return 0;
  },
};

/** Prints id and secret, a tab between: the secret is shown this once. */
async function addKey(context: CommandContext): Promise<void> {
  const user = context.words[1]!;
  const vhost = context.option('vhost')?.[0] ?? DEFAULT_VHOST;
  const made = newKeyPair(systemRandom);
  const id = context.option('secret-id')?.[0] ?? made.id;
  const secret = readSecret(context.option('secret-key-file')?.[0]) ?? made.secret;
  await withOfflineBroker(context.config, (broker) => {
    if (broker.vhost(vhost) === undefined) {
      throw new CommandError(`there is no vhost '${vhost}'`);
    }
    if (broker.access.keys.find(id) !== undefined) {
      throw new CommandError(`access key '${id}' exists`);
    }
    putKey(broker, { id, secret, user, vhost, isEnabled: true });
  });
  await context.write(`${id}\t${secret}\n`);
}

/** One key per line: id, user, vhost, whether it is enabled; no secrets. */
async function listKeys({ config, write }: CommandContext): Promise<void> {
  const lines = await withOfflineBroker(config, ({ access }) =>
    [...access.keys.all()].map(({ id, user, vhost, isEnabled }) => {
      return `${id}\t${user}\t${vhost}\t${isEnabled ? 'enabled' : 'disabled'}\n`;
    }),
  );
  await write(lines.sort().join(''));
}

async function changeKey(
  { config, words }: CommandContext,
  change: (keys: AccessKeys, key: AccessKey) => void,
): Promise<void> {
  await withOfflineBroker(config, ({ access }) => {
    const key = access.keys.find(words[1]!);
    if (key === undefined) throw new CommandError(`there is no access key '${words[1]}'`);
    change(access.keys, key);
  });
}

function putKey(broker: Broker, key: AccessKey): void {
  try {
    broker.access.keys.put(key);
  } catch (error) {
    if (error instanceof BrokerError) throw new CommandError(error.message);
    throw error;
  }
}

/** A line end after it is ignored. */
function readSecret(fileName: string | undefined): string | undefined {
  if (fileName === undefined) return undefined;
  try {
    return readFileSync(fileName, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    throw new CommandError(`--secret-key-file: ${(error as Error).message}`);
  }
}
