/**
 * RabbitMQ's definitions document, read from JSON into records: what every entry must look like,
 * without asking what exists (`definitions-import.ts` does). Unknown fields are ignored, since each
 * RabbitMQ version adds some; every mistake is one sentence that names its entry.
 */
import type { FieldTable } from '../base/field-value.ts';
import { type AccessKey, keyProblem } from './access/access-key.ts';
import { isPasswordHash } from './access/password.ts';
import type { PasswordAlgorithm, PasswordHash } from './access/password.ts';
import type { PermissionPatterns, TopicPatterns } from './access/permission.ts';
import type { UserLimits } from './access/user.ts';
import {
  type CmqQueueRecord,
  type CmqSubscriptionRecord,
  type CmqTopicRecord,
  readCmqQueue,
  readCmqSubscription,
  readCmqTopic,
} from './definitions-cmq.ts';
import { EntryReader } from './definitions-entry.ts';
import { resourceText } from './equivalence.ts';
import type { PolicyInput, PolicyKind } from './policy.ts';

export interface UserRecord {
  readonly name: string;
  /** Undefined with `plainPassword` undefined: no login by password. */
  readonly password: PasswordHash | undefined;
  readonly plainPassword: string | undefined;
  readonly tags: readonly string[];
  readonly limits: UserLimits;
}

export interface PermissionRecord {
  readonly user: string;
  readonly vhost: string;
  readonly patterns: PermissionPatterns;
}

export interface TopicPermissionRecord {
  readonly user: string;
  readonly vhost: string;
  readonly exchange: string;
  readonly patterns: TopicPatterns;
}

export interface PolicyRecord {
  readonly kind: PolicyKind;
  readonly vhost: string;
  readonly name: string;
  readonly input: PolicyInput;
}

export interface ExchangeRecord {
  readonly vhost: string;
  readonly name: string;
  readonly type: string;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly internal: boolean;
  readonly arguments: FieldTable;
}

export interface QueueRecord {
  readonly vhost: string;
  readonly name: string;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly arguments: FieldTable;
}

export interface BindingRecord {
  readonly vhost: string;
  readonly source: string;
  readonly destination: string;
  readonly isToExchange: boolean;
  readonly key: string;
  readonly arguments: FieldTable;
}

/** What a definitions file says, and what is wrong with it. */
export interface DefinitionsDocument {
  readonly vhosts: readonly string[];
  readonly users: readonly UserRecord[];
  readonly permissions: readonly PermissionRecord[];
  readonly topicPermissions: readonly TopicPermissionRecord[];
  /** This broker's own: RabbitMQ has none. */
  readonly accessKeys: readonly AccessKey[];
  readonly policies: readonly PolicyRecord[];
  readonly exchanges: readonly ExchangeRecord[];
  readonly queues: readonly QueueRecord[];
  readonly bindings: readonly BindingRecord[];
  /** What CMQ adds, which RabbitMQ has not either. */
  readonly cmqQueues: readonly CmqQueueRecord[];
  readonly cmqTopics: readonly CmqTopicRecord[];
  readonly cmqSubscriptions: readonly CmqSubscriptionRecord[];
  /** Mistakes: nothing may be applied. */
  readonly problems: string[];
  /** What has no meaning here and is left out. */
  readonly warnings: string[];
}

/** `binding 'x' -> queue 'q' in vhost '/'`, for messages. */
export function bindingText(binding: BindingRecord): string {
  const kind = binding.isToExchange ? 'exchange' : 'queue';
  const to = resourceText(kind, binding.destination, binding.vhost);
  return `binding from exchange '${binding.source}' to ${to} with key '${binding.key}'`;
}

/** `policy 'p' in vhost '/'`, for messages. */
export function policyText({ kind, name, vhost }: PolicyRecord): string {
  return resourceText(kind.replace('_', ' '), name, vhost);
}

/** Reads a parsed JSON document; never throws. */
export function readDefinitionsDocument(json: unknown): DefinitionsDocument {
  const problems: string[] = [];
  const warnings: string[] = [];
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    problems.push('the document must be a JSON object');
  }
  const root = (problems.length > 0 ? {} : json) as Readonly<Record<string, unknown>>;
  const list = <T>(key: string, kind: string, read: (entry: EntryReader) => T): T[] => {
    const raw = root[key] ?? [];
    if (!Array.isArray(raw)) {
      problems.push(`${key}: must be a list`);
      return [];
    }
    return raw.flatMap((item: unknown, index) => {
      const entry = EntryReader.of(item, kind, `${key}[${index}]`, problems);
      const count = problems.length;
      const record = entry === undefined ? undefined : read(entry);
      return record === undefined || problems.length > count ? [] : [record];
    });
  };
  warnAboutGlobals(root['global_parameters'], warnings);
  return {
    vhosts: list('vhosts', 'vhost', (entry) => readVHost(entry, warnings)),
    users: list('users', 'user', readUser),
    permissions: list('permissions', 'permission', readPermission),
    topicPermissions: list('topic_permissions', 'topic permission', readTopicPermission),
    accessKeys: list('access_keys', 'access key', readAccessKey),
    policies: [
      ...list('policies', 'policy', (entry) => readPolicy('policy', entry, entry)),
      ...list('parameters', 'parameter', (entry) => readParameter(entry, warnings)).flat(),
    ],
    exchanges: list('exchanges', 'exchange', readExchange),
    queues: list('queues', 'queue', readQueue),
    bindings: list('bindings', 'binding', readBinding),
    cmqQueues: list('cmq_queues', 'CMQ queue', readCmqQueue),
    cmqTopics: list('cmq_topics', 'CMQ topic', readCmqTopic),
    cmqSubscriptions: list('cmq_subscriptions', 'CMQ subscription', readCmqSubscription),
    problems,
    warnings,
  };
}

function readVHost(entry: EntryReader, warnings: string[]): string {
  const name = entry.name('name');
  const limits = entry.raw('limits') ?? {};
  if (typeof limits === 'object' && Object.keys(limits).length > 0) {
    warnings.push(`vhost '${name}': limits are not enforced`);
  }
  const metadata = entry.raw('metadata') as { readonly default_queue_type?: unknown } | null;
  const queueType = entry.raw('default_queue_type') ?? metadata?.default_queue_type;
  if (typeof queueType === 'string' && queueType !== 'classic' && queueType !== 'undefined') {
    warnings.push(`vhost '${name}': default_queue_type is not used, queues name their type`);
  }
  return name;
}

function readUser(entry: EntryReader): UserRecord {
  const name = entry.name('name');
  const hash = entry.text('password_hash', '');
  const plainPassword = entry.text('password', '');
  if (hash !== '' && plainPassword !== '') entry.fail('has both password and password_hash');
  const algorithm = entry.text('hashing_algorithm', 'rabbit_password_hashing_sha256');
  if (hash !== '') checkHash(entry, algorithm, hash);
  return {
    name,
    password: hash === '' ? undefined : { algorithm: algorithm as PasswordAlgorithm, hash },
    plainPassword: plainPassword === '' ? undefined : plainPassword,
    tags: readTags(entry),
    limits: readLimits(entry),
  };
}

function checkHash(entry: EntryReader, algorithm: string, hash: string): void {
  if (algorithm === 'rabbit_password_hashing_md5') {
    entry.fail('MD5 password hashes are not accepted, give the user a new password');
  } else if (!isPasswordHash(algorithm, hash)) {
    entry.fail(`password_hash is not a base64 hash of algorithm ${algorithm}`);
  }
}

/** A list, or words with commas between them as older versions wrote. */
function readTags(entry: EntryReader): readonly string[] {
  const raw = entry.raw('tags') ?? [];
  const words: readonly unknown[] =
    typeof raw === 'string' ? raw.split(',') : Array.isArray(raw) ? raw : [undefined];
  if (!words.every((word) => typeof word === 'string')) {
    entry.fail('tags must be a list of texts, or a text with commas');
    return [];
  }
  return words.map((word) => word.trim()).filter((word) => word !== '');
}

/** Negative stands for no limit; an empty list for none at all. */
function readLimits(entry: EntryReader): UserLimits {
  const raw = entry.raw('limits') ?? {};
  if (typeof raw !== 'object' || (Array.isArray(raw) && raw.length > 0)) {
    entry.fail('limits must be an object');
    return {};
  }
  const limits = raw as Readonly<Record<string, unknown>>;
  const read = (key: string): number | undefined => {
    const value = limits[key];
    if (value !== undefined && !Number.isSafeInteger(value)) {
      entry.fail(`limits.${key} must be a whole number`);
    }
    return typeof value === 'number' && value >= 0 ? value : undefined;
  };
  const maxConnections = read('max-connections');
  const maxChannels = read('max-channels');
  return {
    ...(maxConnections !== undefined && { maxConnections }),
    ...(maxChannels !== undefined && { maxChannels }),
  };
}

function readPermission(entry: EntryReader): PermissionRecord {
  const patterns = {
    configure: entry.text('configure'),
    write: entry.text('write'),
    read: entry.text('read'),
  };
  return { user: entry.name('user'), vhost: entry.name('vhost'), patterns };
}

function readTopicPermission(entry: EntryReader): TopicPermissionRecord {
  const [user, vhost] = [entry.name('user'), entry.name('vhost')];
  const patterns = { write: entry.text('write'), read: entry.text('read') };
  return { user, vhost, exchange: entry.shortText('exchange'), patterns };
}

function readAccessKey(entry: EntryReader): AccessKey {
  const key: AccessKey = {
    id: entry.name('id'),
    secret: entry.text('secret'),
    user: entry.name('user'),
    vhost: entry.name('vhost'),
    isEnabled: entry.flag('enabled', true),
  };
  const problem = keyProblem(key);
  if (problem !== undefined) entry.fail(problem);
  return key;
}

/** @param body where the policy itself is: the entry, or its `value` */
function readPolicy(kind: PolicyKind, entry: EntryReader, body: EntryReader): PolicyRecord {
  const definition = body.inner('definition').fields;
  const priority = body.raw('priority') ?? 0;
  if (!Number.isSafeInteger(priority)) entry.fail('priority must be a whole number');
  const input: PolicyInput = {
    pattern: body.text('pattern'),
    definition,
    priority: priority as number,
    'apply-to': body.text('apply-to', 'all'),
  };
  return { kind, vhost: entry.name('vhost'), name: entry.name('name'), input };
}

/** Operator policies are parameters in a file; other components belong to plugins we have not. */
function readParameter(entry: EntryReader, warnings: string[]): PolicyRecord[] {
  const component = entry.text('component');
  if (component === 'operator_policy') {
    return [readPolicy('operator_policy', entry, entry.inner('value'))];
  }
  warnings.push(`parameter '${entry.text('name', '')}' of component '${component}' is left out`);
  return [];
}

function readExchange(entry: EntryReader): ExchangeRecord {
  return {
    vhost: entry.name('vhost'),
    name: entry.shortText('name'),
    type: entry.name('type'),
    durable: entry.flag('durable', true),
    autoDelete: entry.flag('auto_delete', false),
    internal: entry.flag('internal', false),
    arguments: entry.table('arguments'),
  };
}

function readQueue(entry: EntryReader): QueueRecord {
  return {
    vhost: entry.name('vhost'),
    name: entry.name('name'),
    durable: entry.flag('durable', true),
    autoDelete: entry.flag('auto_delete', false),
    arguments: entry.table('arguments'),
  };
}

function readBinding(entry: EntryReader): BindingRecord {
  const kind = entry.text('destination_type', 'queue');
  if (kind !== 'queue' && kind !== 'exchange') {
    entry.fail("destination_type must be 'queue' or 'exchange'");
  }
  return {
    vhost: entry.name('vhost'),
    source: entry.shortText('source'),
    destination: entry.name('destination'),
    isToExchange: kind === 'exchange',
    key: entry.shortText('routing_key'),
    arguments: entry.table('arguments'),
  };
}

/** Facts about the cluster that every export has. */
const HARMLESS_GLOBALS: ReadonlySet<unknown> = new Set([
  'cluster_name',
  'cluster_tags',
  'internal_cluster_id',
]);

function warnAboutGlobals(raw: unknown, warnings: string[]): void {
  if (!Array.isArray(raw)) return;
  for (const item of raw as readonly unknown[]) {
    const name = (item as { readonly name?: unknown } | null)?.name;
    if (!HARMLESS_GLOBALS.has(name))
      warnings.push(`global parameter '${String(name)}' is left out`);
  }
}
