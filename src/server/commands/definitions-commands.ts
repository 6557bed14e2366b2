import { writeFileSync } from 'node:fs';
import { exportDefinitions } from '../../engine/definitions-export.ts';
import { CommandError, type OfflineCommand } from './command.ts';
import { withOfflineBroker } from './offline-broker.ts';

/** Writes all definitions in RabbitMQ's format. */
export const EXPORT_DEFINITIONS: OfflineCommand = {
  name: 'export-definitions',
  usage: '[FILE]',
  summary: 'write all definitions as JSON for load-definitions',
  words: [0, 1],
  options: {},
  run: async ({ config, version, words, write }) => {
    const definitions = await withOfflineBroker(config, exportDefinitions);
    const document = {
      rabbit_version: config.serverVersion,
      rabbitmq_version: config.serverVersion,
      product_name: 'Tributary',
      product_version: version,
      ...definitions,
    };
    const text = `${JSON.stringify(document, undefined, 2)}\n`;
    const fileName = words[0];
    if (fileName === undefined) {
      await write(text);
      return 0;
    }
    try {
      // Password hashes are for the owner's eyes.
      writeFileSync(fileName, text, { mode: 0o600 });
    } catch (error) {
      throw new CommandError((error as Error).message);
    }
    return 0;
  },
};
