import { CommandError, type OfflineCommand } from './command.ts';
import { withOfflineBroker } from './offline-broker.ts';
import { checkName } from './user-commands.ts';

/** Makes a vhost. */
export const ADD_VHOST: OfflineCommand = {
  name: 'add-vhost',
  usage: 'NAME',
  summary: 'make a virtual host',
  words: [1, 1],
  options: {},
  run: async ({ config, words }) => {
    const name = checkName(words[0]!);
    await withOfflineBroker(config, (broker) => {
      if (broker.vhost(name) !== undefined) throw new CommandError(`vhost '${name}' exists`);
      broker.addVHost(name);
    });
    return 0;
  },
};
