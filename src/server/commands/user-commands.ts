import { readFileSync } from 'node:fs';
import type { PasswordHash } from '../../engine/access/password.ts';
import { Permission, type PermissionPatterns } from '../../engine/access/permission.ts';
import type { Broker } from '../../engine/broker.ts';
import { BrokerError } from '../../base/errors.ts';
import { NAME_BYTES_MAX } from '../../base/limits.ts';
import { CommandError, type CommandContext, type OfflineCommand } from './command.ts';
import { withOfflineBroker } from './offline-broker.ts';

const DEFAULT_VHOST = '/';

/** Makes a user, with permissions in one vhost when asked to. */
export const ADD_USER: OfflineCommand = {
  name: 'add-user',
  usage:
    'NAME [--password-file FILE] [--tags TAG,...]\n' +
    '        [--permissions CONFIGURE WRITE READ [--vhost VHOST]]',
  summary: 'make a user; the password comes from standard input',
  words: [1, 1],
  options: { 'password-file': 1, tags: 1, permissions: 3, vhost: 1 },
  run: async (context) => {
    const name = checkName(context.words[0]!);
    const tags = splitTags(context.option('tags')?.[0]);
    const given = context.option('permissions');
    const patterns = given === undefined ? undefined : checkPatterns(given);
    const vhost = context.option('vhost')?.[0];
    if (vhost !== undefined && patterns === undefined) {
      throw new CommandError('--vhost: says where, but --permissions is missing');
    }
    const password = await readPassword(context);
    await withOfflineBroker(context.config, async (broker) => {
      if (broker.access.user(name) !== undefined) {
        throw new CommandError(`user '${name}' exists; change-password gives a new password`);
      }
      if (patterns !== undefined) requireVHost(broker, vhost ?? DEFAULT_VHOST);
      const hash = await hashPassword(broker, password);
      broker.access.putUser(name, { password: hash, tags });
      if (patterns === undefined) return;
      broker.access.setPermission(name, vhost ?? DEFAULT_VHOST, patterns);
    });
    return 0;
  },
};

/** Gives a user another password. */
export const CHANGE_PASSWORD: OfflineCommand = {
  name: 'change-password',
  usage: 'NAME [--password-file FILE]',
  summary: 'give a user a new password',
  words: [1, 1],
  options: { 'password-file': 1 },
  run: async (context) => {
    const name = context.words[0]!;
    const password = await readPassword(context);
    await withOfflineBroker(context.config, async (broker) => {
      requireUser(broker, name);
      broker.access.putUser(name, { password: await hashPassword(broker, password) });
    });
    return 0;
  },
};

/** Deletes a user with all permissions. */
export const DELETE_USER: OfflineCommand = {
  name: 'delete-user',
  usage: 'NAME',
  summary: 'delete a user with its permissions',
  words: [1, 1],
  options: {},
  run: async ({ config, words }) => {
    const name = words[0]!;
    await withOfflineBroker(config, (broker) => {
      requireUser(broker, name);
      broker.access.deleteUser(name);
    });
    return 0;
  },
};

/** One user per line with its tags, for people and scripts. */
export const LIST_USERS: OfflineCommand = {
  name: 'list-users',
  usage: '',
  summary: 'print each user with its tags, a tab between',
  words: [0, 0],
  options: {},
  run: async ({ config, write }) => {
    const lines = await withOfflineBroker(config, (broker) =>
      [...broker.access.users()].map(({ name, tags }) => `${name}\t${[...tags].join(',')}\n`),
    );
    await write(lines.sort().join(''));
    return 0;
  },
};

/** Says what a user may do in a vhost. */
export const SET_PERMISSIONS: OfflineCommand = {
  name: 'set-permissions',
  usage: 'USER CONFIGURE WRITE READ [--vhost VHOST]',
  summary: 'say what a user may do in a vhost',
  words: [4, 4],
  options: { vhost: 1 },
  run: async (context) => {
    const [user = '', ...given] = context.words;
    const patterns = checkPatterns(given);
    const vhost = context.option('vhost')?.[0] ?? DEFAULT_VHOST;
    await withOfflineBroker(context.config, (broker) => {
      requireUser(broker, user);
      requireVHost(broker, vhost);
      broker.access.setPermission(user, vhost, patterns);
    });
    return 0;
  },
};

/** @throws CommandError for a name that no client could send */
export function checkName(name: string): string {
  const byteCount = Buffer.byteLength(name);
  if (byteCount > 0 && byteCount <= NAME_BYTES_MAX) return name;
  throw new CommandError(`a name has 1 to ${NAME_BYTES_MAX} bytes`);
}

function requireUser(broker: Broker, name: string): void {
  if (broker.access.user(name) === undefined) throw new CommandError(`there is no user '${name}'`);
}

function requireVHost(broker: Broker, name: string): void {
  if (broker.vhost(name) === undefined) throw new CommandError(`there is no vhost '${name}'`);
}

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

/** From the file, or standard input; a line end after it is ignored. */
async function readPassword(context: CommandContext): Promise<string> {
  const fileName = context.option('password-file')?.[0];
  let text: string;
  try {
    text = fileName === undefined ? await context.readInput() : readFileSync(fileName, 'utf8');
  } catch (error) {
    throw new CommandError(`--password-file: ${(error as Error).message}`);
  }
  const password = text.replace(/\r?\n$/, '');
  if (password === '') throw new CommandError('the password is empty');
  return password;
}

async function hashPassword(broker: Broker, password: string): Promise<PasswordHash> {
  const hash = await new Promise<PasswordHash | undefined>((resolve) =>
    broker.access.hashPassword(password, resolve),
  );
  if (hash === undefined) throw new CommandError('the password could not be hashed');
  return hash;
}
