import type { PasswordHash } from '../../engine/access/password.ts';
import { Permission, type PermissionPatterns } from '../../engine/access/permission.ts';
import type { Broker } from '../../engine/broker.ts';
import { BrokerError } from '../../base/errors.ts';
import type { Config } from '../config.ts';
import { withoutLineEnd } from '../secret-text.ts';
import {
  type BrokerCommand,
  CommandError,
  type CommandContext,
  DONE,
  type Order,
  valueOf,
} from './command.ts';
import { checkName, requireUser, requireVHost, vhostOf } from './order-names.ts';
import { readSecretFile } from './secret-file.ts';

/** Makes a user, with permissions in one vhost when asked to. */
export const ADD_USER: BrokerCommand = {
  name: 'add-user',
  usage:
    'NAME [--password-file FILE] [--tags TAG,...]\n' +
    '        [--permissions CONFIGURE WRITE READ [--vhost VHOST]]',
  summary: 'make a user; the password comes from standard input',
  words: [1, 1],
  options: { 'password-file': 1, tags: 1, permissions: 3, vhost: 1 },
  readSecret: (context) => {
    // What can be told without the broker is told before a password is asked for.
    checkName(context.words[0]!);
    const given = context.option('permissions');
    if (given !== undefined) checkPatterns(given);
    else if (context.option('vhost') !== undefined) {
      throw new CommandError('--vhost: says where, but --permissions is missing');
    }
    return readPassword(context);
  },
  work: async (broker, order, { config }) => {
    const name = checkName(order.words[0]!);
    const given = order.options['permissions'];
    const patterns = given === undefined ? undefined : checkPatterns(given);
    const vhost = vhostOf(order);
    const password = await hashPassword(broker, order);
    // Nothing is awaited from here on: what was checked is what is changed.
    if (broker.access.user(name) !== undefined) {
      throw new CommandError(`user '${name}' exists; change-password gives a new password`);
    }
    if (patterns !== undefined) requireVHost(broker, vhost);
    const note = opensToAll(broker, config, name) ? OPENS_TO_ALL : undefined;
    broker.access.putUser(name, { password, tags: splitTags(valueOf(order, 'tags')) });
    if (patterns !== undefined) broker.access.setPermission(name, vhost, patterns);
    return { output: '', note };
  },
};

/** Gives a user another password. */
export const CHANGE_PASSWORD: BrokerCommand = {
  name: 'change-password',
  usage: 'NAME [--password-file FILE]',
  summary: 'give a user a new password',
  words: [1, 1],
  options: { 'password-file': 1 },
  readSecret: readPassword,
  work: async (broker, order) => {
    const name = order.words[0]!;
    const password = await hashPassword(broker, order);
    requireUser(broker, name);
    broker.access.putUser(name, { password });
    return DONE;
  },
};

/** Deletes a user with all permissions and access keys. */
export const DELETE_USER: BrokerCommand = {
  name: 'delete-user',
  usage: 'NAME',
  summary: 'delete a user with its permissions and access keys',
  words: [1, 1],
  options: {},
  work: (broker, { words }) => {
    requireUser(broker, words[0]!);
    broker.access.deleteUser(words[0]!);
    return DONE;
  },
};

/** One user per line with its tags, for people and scripts. */
export const LIST_USERS: BrokerCommand = {
  name: 'list-users',
  usage: '',
  summary: 'print each user with its tags, a tab between',
  words: [0, 0],
  options: {},
  work: ({ access }) => {
    const lines = [...access.users()].map(({ name, tags }) => `${name}\t${[...tags].join(',')}\n`);
    return { output: lines.sort().join('') };
  },
};

/** Says what a user may do in a vhost. */
export const SET_PERMISSIONS: BrokerCommand = {
  name: 'set-permissions',
  usage: 'USER CONFIGURE WRITE READ [--vhost VHOST]',
  summary: 'say what a user may do in a vhost',
  words: [4, 4],
  options: { vhost: 1 },
  work: (broker, order) => {
    const [user = '', ...given] = order.words;
    const patterns = checkPatterns(given);
    const vhost = vhostOf(order);
    requireUser(broker, user);
    requireVHost(broker, vhost);
    broker.access.setPermission(user, vhost, patterns);
    return DONE;
  },
};

function checkPatterns(given: readonly string[]): PermissionPatterns {
  const [configure = '', write = '', read = ''] = given;
  const patterns = { configure, write, read };
  try {
    return new Permission(patterns).toJson();
  } catch (error) {
    if (error instanceof BrokerError) throw new CommandError(error.message);
    throw error;
  }
}

function splitTags(text = ''): readonly string[] {
  const words = text.split(',').map((word) => word.trim());
  return words.filter((word) => word !== '');
}

/** From the file, or standard input. */
async function readPassword(context: CommandContext): Promise<string> {
  const inFile = readSecretFile(context, 'password-file');
  const password = inFile ?? withoutLineEnd(await context.readInput());
  if (password === '') throw new CommandError('the password is empty');
  return password;
}

async function hashPassword({ access }: Broker, { secret = '' }: Order): Promise<PasswordHash> {
  if (secret === '') throw new CommandError('the password is empty');
  const hash = await new Promise<PasswordHash | undefined>((resolve) =>
    access.hashPassword(secret, resolve),
  );
  if (hash === undefined) throw new CommandError('too many logins are waiting; try again');
  return hash;
}

const OPENS_TO_ALL =
  'from the next start on it listens on all addresses, not on this machine only, as guest is no ' +
  'longer the only user; `host` says otherwise';

/** True for the user after whom the next start chooses other addresses to listen on. */
function opensToAll({ access }: Broker, config: Config, name: string): boolean {
  if (config.host.length > 0 || name === 'guest') return false;
  return [...access.users()].every((user) => user.name === 'guest');
}
