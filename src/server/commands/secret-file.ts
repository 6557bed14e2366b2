import { readFileSync } from 'node:fs';
import { type CommandContext, CommandError } from './command.ts';

/**
 * The secret in the file that `option` names, without a line end after it; undefined without that
 * option. @throws CommandError when the file cannot be read
 */
export function readSecretFile(context: CommandContext, option: string): string | undefined {
  const fileName = context.option(option)?.[0];
  if (fileName === undefined) return undefined;
  try {
    return withoutLineEnd(readFileSync(fileName, 'utf8'));
  } catch (error) {
    throw new CommandError(`--${option}: cannot be read: ${(error as Error).message}`);
  }
}

/** What an editor or `echo` puts behind a secret is none of it. */
export function withoutLineEnd(text: string): string {
  return text.replace(/\r?\n$/, '');
}
