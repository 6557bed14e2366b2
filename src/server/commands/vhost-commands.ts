import { type BrokerCommand, CommandError, DONE } from './command.ts';
import { checkName } from './order-names.ts';

/** Makes a vhost. */
export const ADD_VHOST: BrokerCommand = {
  name: 'add-vhost',
  usage: 'NAME',
  summary: 'make a virtual host',
  words: [1, 1],
  options: {},
  work: (broker, { words }) => {
    const name = checkName(words[0]!);
    if (broker.vhost(name) !== undefined) throw new CommandError(`vhost '${name}' exists`);
    broker.addVHost(name);
    return DONE;
  },
};
