import type { AdminCommand, BrokerCommand, FileCommand } from './command.ts';
import { BACKUP } from './backup-command.ts';
import { CHECK, DUMP } from './data-commands.ts';
import { EXPORT_DEFINITIONS } from './definitions-commands.ts';
import { KEY } from './key-commands.ts';
import {
  ADD_USER,
  CHANGE_PASSWORD,
  DELETE_USER,
  LIST_USERS,
  SET_PERMISSIONS,
} from './user-commands.ts';
import { ADD_VHOST } from './vhost-commands.ts';

/** Commands for a running or stopped broker, in the order of the help. */
export const BROKER_COMMANDS: readonly BrokerCommand[] = [
  ADD_USER,
  CHANGE_PASSWORD,
  DELETE_USER,
  LIST_USERS,
  ADD_VHOST,
  SET_PERMISSIONS,
  KEY,
  EXPORT_DEFINITIONS,
  BACKUP,
];

/** Commands for the files of a stopped one. */
export const FILE_COMMANDS: readonly FileCommand[] = [CHECK, DUMP];

export const ADMIN_COMMANDS: readonly AdminCommand[] = [...BROKER_COMMANDS, ...FILE_COMMANDS];
