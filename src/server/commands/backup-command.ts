import { resolve } from 'node:path';
import { type BrokerCommand, CommandError, DONE } from './command.ts';

/** Makes another data directory of the data, while they are served or not. */
export const BACKUP: BrokerCommand = {
  name: 'backup',
  usage: 'DIR',
  summary: 'copy the data to DIR, a new directory for `check` or to start with',
  words: [1, 1],
  options: {},
  isLong: true,
  placeWords: (words) => words.map((word) => resolve(word)),
  work: async (_, { words }, { backup }) => {
    try {
      await backup(words[0]!);
    } catch (error) {
      throw new CommandError((error as Error).message);
    }
    return DONE;
  },
};
