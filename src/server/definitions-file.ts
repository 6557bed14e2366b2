import { readFileSync } from 'node:fs';
import type { Logger } from '../base/logger.ts';
import type { Broker } from '../engine/broker.ts';
import { readDefinitionsDocument } from '../engine/definitions-document.ts';
import { DefinitionsError, importDefinitions } from '../engine/definitions-import.ts';

/**
 * Applies a file of definitions in RabbitMQ's format (`load-definitions`) before clients come.
 *
 * @throws Error for an operator: what is wrong with the file, every mistake on a line of its own;
 *   nothing was applied then
 */
export async function loadDefinitionsFile(
  broker: Broker,
  fileName: string,
  logger: Logger,
): Promise<void> {
  const json = readDefinitionsFile(fileName);
  try {
    const { applied, warnings } = await importDefinitions(broker, json);
    for (const warning of warnings) logger.warn({ fileName }, warning);
    logger.info({ fileName, applied }, 'definitions loaded');
  } catch (error) {
    if (!(error instanceof DefinitionsError)) throw error;
    throw new Error(listProblems(fileName, error.problems), { cause: error });
  }
  for (const _ of broker.access.users()) return;
  logger.warn({ fileName }, 'there is no user: nobody can log in until one is defined');
}

/** What is wrong with a file by itself; whether it fits what is there, only a start can tell. */
export function findDefinitionsProblems(fileName: string): readonly string[] {
  try {
    const { problems } = readDefinitionsDocument(readDefinitionsFile(fileName));
    return problems.map((problem) => `load-definitions: ${fileName}: ${problem}`);
  } catch (error) {
    return [(error as Error).message];
  }
}

/** @throws Error with a sentence for an operator */
export function readDefinitionsFile(fileName: string): unknown {
  try {
    // A byte order mark is what some editors leave.
    return JSON.parse(readFileSync(fileName, 'utf8').replace(/^\uFEFF/, ''));
  } catch (error) {
    const text = `load-definitions: ${fileName}: ${(error as Error).message}`;
    throw new Error(text, { cause: error });
  }
}

function listProblems(fileName: string, problems: readonly string[]): string {
  const count = problems.length === 1 ? 'a mistake' : `${problems.length} mistakes`;
  const head = `load-definitions: ${fileName} has ${count}, nothing of it was applied:`;
  return [head, ...problems.map((problem) => `  ${problem}`)].join('\n');
}
