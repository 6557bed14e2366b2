import { readSecretText } from '../secret-text.ts';
import { type CommandContext, CommandError } from './command.ts';

/**
 * The secret in the file that `option` names, without a line end after it; undefined without that
 * option. @throws CommandError when the file cannot be read
 */
export function readSecretFile(context: CommandContext, option: string): string | undefined {
  const fileName = context.option(option)?.[0];
  if (fileName === undefined) return undefined;
  try {
    return readSecretText(fileName);
  } catch (error) {
    throw new CommandError(`--${option}: cannot be read: ${(error as Error).message}`);
  }
}
