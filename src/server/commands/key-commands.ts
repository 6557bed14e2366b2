import { BrokerError } from '../../base/errors.ts';
import { type AccessKey, type AccessKeys, newKeyPair } from '../../engine/access/access-key.ts';
import type { Broker } from '../../engine/broker.ts';
import type { Config } from '../config.ts';
import { systemRandom } from '../system-random.ts';
import {
  type BrokerCommand,
  CommandError,
  DONE,
  type Order,
  type Outcome,
  usageText,
  valueOf,
} from './command.ts';
import { requireUser, requireVHost, vhostOf } from './order-names.ts';
import { readSecretFile } from './secret-file.ts';

type Job = (broker: Broker, order: Order, config: Config) => Outcome;

/** What follows `key`, and what it does. */
const JOBS: Readonly<Record<string, Job>> = {
  add: addKey,
  list: listKeys,
  delete: (broker, order, config) => {
    changeKey(broker, order, (keys, { id }) => void keys.delete(id));
    return { output: '', note: noteOf(order, config, 'makes it again') };
  },
  disable: (broker, order, config) => {
    changeKey(broker, order, (keys, key) => keys.put({ ...key, isEnabled: false }));
    return { output: '', note: noteOf(order, config, 'enables it again') };
  },
  enable: (broker, order) => {
    changeKey(broker, order, (keys, key) => keys.put({ ...key, isEnabled: true }));
    return DONE;
  },
};

/** Access keys, which sign the requests of CMQ clients. */
export const KEY: BrokerCommand = {
  name: 'key',
  usage:
    'add USER [--vhost VHOST] [--secret-id ID] [--secret-key-file FILE]\n' +
    '        | list | delete ID | disable ID | enable ID',
  summary: 'make, print, delete, disable or enable access keys (CMQ)',
  words: [1, 2],
  options: { vhost: 1, 'secret-id': 1, 'secret-key-file': 1 },
  readSecret: (context) => Promise.resolve(readSecretFile(context, 'secret-key-file')),
  work: (broker, order, { config }) => {
    const name = order.words[0]!;
    const job = Object.hasOwn(JOBS, name) ? JOBS[name] : undefined;
    const isListing = name === 'list';
    if (job === undefined || order.words.length !== (isListing ? 1 : 2)) {
      throw new CommandError(usageText(KEY));
    }
    return job(broker, order, config);
  },
};

/** Prints id and secret, a tab between: the secret is shown this once. */
function addKey(broker: Broker, order: Order): Outcome {
  const user = order.words[1]!;
  const vhost = vhostOf(order);
  const made = newKeyPair(systemRandom);
  const id = valueOf(order, 'secret-id') ?? made.id;
  const secret = order.secret ?? made.secret;
  requireUser(broker, user);
  requireVHost(broker, vhost);
  if (broker.access.keys.find(id) !== undefined) {
    throw new CommandError(`access key '${id}' exists`);
  }
  putKey(broker, { id, secret, user, vhost, isEnabled: true });
  return { output: `${id}\t${secret}\n` };
}

/** One key per line: id, user, vhost, whether it is enabled; no secrets. */
function listKeys({ access }: Broker): Outcome {
  const lines = [...access.keys.all()].map(({ id, user, vhost, isEnabled }) => {
    return `${id}\t${user}\t${vhost}\t${isEnabled ? 'enabled' : 'disabled'}\n`;
  });
  return { output: lines.sort().join('') };
}

function changeKey(
  { access }: Broker,
  { words }: Order,
  change: (keys: AccessKeys, key: AccessKey) => void,
): void {
  const key = access.keys.find(words[1]!);
  if (key === undefined) throw new CommandError(`there is no access key '${words[1]}'`);
  change(access.keys, key);
}

/** A key that the configuration names comes back with it. */
function noteOf({ words }: Order, config: Config, effect: string): string | undefined {
  if (words[1] !== config.cmqSecretId) return undefined;
  return `cmq-secret-id names this key, so the next start ${effect}: take it out of there as well`;
}

function putKey(broker: Broker, key: AccessKey): void {
  try {
    broker.access.keys.put(key);
  } catch (error) {
    if (error instanceof BrokerError) throw new CommandError(error.message);
    throw error;
  }
}
