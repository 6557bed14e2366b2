import { writeFileSync } from 'node:fs';
import { exportDefinitions } from '../../engine/definitions-export.ts';
import { type BrokerCommand, CommandError } from './command.ts';

/** Writes all definitions in RabbitMQ's format. */
export const EXPORT_DEFINITIONS: BrokerCommand = {
  name: 'export-definitions',
  usage: '[FILE]',
  summary: 'write all definitions as JSON for load-definitions',
  words: [0, 1],
  options: {},
  work: (broker, _, { config, version }) => {
    const document = {
      rabbit_version: config.serverVersion,
      rabbitmq_version: config.serverVersion,
      product_name: 'Tributary',
      product_version: version,
      ...exportDefinitions(broker),
    };
    return { output: `${JSON.stringify(document, undefined, 2)}\n` };
  },
  deliver: async ({ words, write }, output) => {
    const fileName = words[0];
    if (fileName === undefined) {
      await write(output);
      return;
    }
    try {
      // Password hashes are for the owner's eyes.
      writeFileSync(fileName, output, { mode: 0o600 });
    } catch (error) {
      throw new CommandError(`${fileName}: cannot be written: ${(error as Error).message}`);
    }
  },
};
