import { readFileSync } from 'node:fs';

/** The secret that a file holds. @throws Error when it cannot be read */
export function readSecretText(fileName: string): string {
  return withoutLineEnd(readFileSync(fileName, 'utf8'));
}

/** What an editor or `echo` puts behind a secret is none of it. */
export function withoutLineEnd(text: string): string {
  return text.replace(/\r?\n$/, '');
}
