import { isUtf8 } from 'node:buffer';
import { definitionNames } from '../../engine/definitions.ts';
import type { Message } from '../../engine/message.ts';
import { tableToPlain } from '../../engine/plain-json.ts';
import type { Definition, MessageFormat, QueueId } from '../../engine/ports.ts';
import { IDS_PER_QUEUE } from '../../engine/queue/store-ids.ts';
import { checkDataFile, type CheckReport } from '../../store/sqlite/check.ts';
import { type DumpedMessage, dumpMessages } from '../../store/sqlite/dump.ts';
import { createMessageFormats } from '../message-formats.ts';
import { CommandError, type FileCommand } from './command.ts';
import { existingDataDirectory, refuseWhileServed } from './offline-broker.ts';

/** Verifies all that has a checksum or refers to something. */
export const CHECK: FileCommand = {
  name: 'check',
  usage: '',
  summary: 'verify the data; exit code 1 when anything is damaged',
  words: [0, 0],
  options: {},
  run: async ({ config, write }) => {
    const directory = existingDataDirectory(config);
    const report = await refuseWhileServed(() => checkDataFile(directory));
    await write(formatReport(directory, report));
    return report.problems.length === 0 ? 0 : 1;
  },
};

/** Prints the messages that a start would find. */
export const DUMP: FileCommand = {
  name: 'dump',
  usage: '[--queue NAME] [--vhost VHOST] [--limit N]',
  summary: 'print each message as a line of JSON, queue by queue',
  words: [0, 0],
  options: { queue: 1, vhost: 1, limit: 1 },
  run: async (context) => {
    const directory = existingDataDirectory(context.config);
    const limit = readLimit(context.option('limit')?.[0]);
    const wanted = {
      queue: context.option('queue')?.[0],
      vhost: context.option('vhost')?.[0],
    };
    const formats = createMessageFormats();
    let places = new Map<QueueId, Place>();
    let count = 0;
    const problems = await refuseWhileServed(() =>
      dumpMessages(directory, {
        choose: (definitions, stored) => {
          places = placesOf(definitions);
          return chooseQueues(places, stored, wanted);
        },
        visit: async (dumped) => {
          if (count >= limit) return false;
          count += 1;
          const place = places.get(blockOf(dumped.queueId))!;
          await context.write(`${JSON.stringify(describe(dumped, place, formats))}\n`);
          return count < limit;
        },
      }),
    );
    if (problems.length > 0) throw new CommandError(problems.join('; '));
    return 0;
  },
};

/** Where a message lies: a queue, or an exchange that delays it. */
interface Place {
  readonly vhost: string;
  readonly queue?: string;
  readonly delayedBy?: string;
}

interface Wanted {
  readonly queue: string | undefined;
  readonly vhost: string | undefined;
}

function formatReport(directory: string, report: CheckReport): string {
  const { problems, setAside } = report;
  const lines = [
    `directory    ${directory}`,
    `schema       version ${report.schemaVersion}, written to by ${report.epoch} starts`,
    `stopped      ${report.wasClean ? 'in order' : 'not in order, or a backup; a start recovers'}`,
    `definitions  ${report.definitions}`,
    `journal      ${report.rows} rows, ${report.journalBytes} bytes, ${report.bodies} large bodies`,
    `messages     ${report.liveEntries} live of ${report.entries} stored`,
    ...(setAside > 0 ? [`set aside    ${setAside} rows that were damaged earlier`] : []),
    ...problems.map((problem) => `damage       ${problem}`),
    problems.length === 0 ? 'sound' : `${problems.length} damaged`,
  ];
  return `${lines.join('\n')}\n`;
}

function readLimit(text: string | undefined): number {
  if (text === undefined) return Infinity;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new CommandError('--limit: takes a whole number');
}

/** By the first id of each block. */
function placesOf(definitions: readonly Definition[]): Map<QueueId, Place> {
  const places = new Map<QueueId, Place>();
  for (const { kind, key, value } of definitions) {
    if (kind !== 'queue' && kind !== 'delay') continue;
    const [vhost = '', name = ''] = definitionNames(key);
    const { id } = JSON.parse(value) as { readonly id: QueueId };
    places.set(id, kind === 'queue' ? { vhost, queue: name } : { vhost, delayedBy: name });
  }
  return places;
}

/** In order of vhost and name; what belongs to nothing is dropped by the next start anyway. */
function chooseQueues(
  places: ReadonlyMap<QueueId, Place>,
  stored: readonly QueueId[],
  wanted: Wanted,
): readonly QueueId[] {
  const isWanted = ({ vhost, queue }: Place): boolean =>
    (wanted.vhost === undefined || wanted.vhost === vhost) &&
    (wanted.queue === undefined || wanted.queue === queue);
  const hasQueue = [...places.values()].some(isWanted);
  if (wanted.queue !== undefined && !hasQueue) {
    throw new CommandError(`there is no durable queue '${wanted.queue}'`);
  }
  const orderOf = (id: QueueId): string => {
    const { vhost, queue, delayedBy } = places.get(blockOf(id))!;
    return JSON.stringify([vhost, queue === undefined, queue ?? delayedBy]);
  };
  return stored
    .filter((id) => {
      const place = places.get(blockOf(id));
      return place !== undefined && isWanted(place);
    })
    .map((id) => ({ id, order: orderOf(id) }))
    .sort((a, b) => (a.order === b.order ? a.id - b.id : a.order < b.order ? -1 : 1))
    .map(({ id }) => id);
}

function blockOf(id: QueueId): QueueId {
  return id - (id % IDS_PER_QUEUE);
}

/** A message for people: field names as they will read in JSON. */
function describe(
  { sequence, message, expiresAtMs }: DumpedMessage,
  place: Place,
  formats: readonly MessageFormat[],
): object {
  const { vhost, queue, delayedBy } = place;
  return {
    vhost,
    ...(queue === undefined ? { delayed_by: delayedBy } : { queue }),
    sequence,
    exchange: message.exchange,
    routing_key: message.routingKey,
    persistent: message.isPersistent,
    published_at: new Date(message.publishedAtMs).toISOString(),
    ...(expiresAtMs !== Infinity && { expires_at: new Date(expiresAtMs).toISOString() }),
    properties: propertiesOf(message, formats),
    ...bodyOf(message),
  };
}

function propertiesOf(message: Message, formats: readonly MessageFormat[]): object {
  const format = formats[message.format];
  if (format === undefined) return {};
  const { headers, ...properties } = format.properties(message);
  return { ...properties, ...(headers !== undefined && { headers: tableToPlain(headers) }) };
}

function bodyOf(message: Message): object {
  const start = message.start + message.headerBytes;
  const body = message.bytes.subarray(start, start + message.bodyBytes);
  const encoding = isUtf8(body) ? 'utf8' : 'base64';
  return { body_encoding: encoding, body: body.toString(encoding) };
}
