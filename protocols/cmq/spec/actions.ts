/**
 * Every action as data: its names in both APIs, its parameters with their ranges and the error of
 * each, the right it takes, and how its reply reads in API 3.0.
 *
 * Ranges are the column "use" of the reference: the union of what the legacy service and TDMQ
 * allow. Limits that depend on a queue (`maxMsgSize`, rewind windows, quotas) are its handler's.
 */
import { QUEUE_ACTIONS } from './queue-actions.ts';
import { TOPIC_ACTIONS } from './topic-actions.ts';
import type { CmqErrorName } from './errors.ts';
import type { ParameterSpec } from './parameters.ts';

/** Versions of API 3.0: the `tdmq` module and the older `cmq` module. */
export type ApiVersion = '2020-02-17' | '2019-03-04';

/** An action under its names in API 3.0. Field names get a capital; what else differs is here. */
export interface ActionV3 {
  readonly version: ApiVersion;
  readonly name: string;
  /** Reply fields (2.0 names) by other names. */
  readonly rename?: Readonly<Record<string, string>>;
  /** All fields of the reply are inside an object of this name. */
  readonly wrap?: string;
  /** Fields every reply has. */
  readonly constant?: Readonly<Record<string, unknown>>;
  /** Parameter names by 2.0 name, where they differ from those of the parameter itself. */
  readonly parameters?: Readonly<Record<string, string>>;
}

export interface ActionSpec {
  /** Canonical: the 2.0 name. */
  readonly name: string;
  readonly resource: 'queue' | 'topic';
  /** Right on the resource; `any`: one of the three will do. Undefined: on each one listed. */
  readonly right: 'configure' | 'write' | 'read' | 'any' | undefined;
  readonly parameters: readonly ParameterSpec[];
  readonly v3: readonly ActionV3[];
  /** Code of a fault of ours. */
  readonly failure: CmqErrorName;
  /** Not of CMQ: this gateway adds it. */
  readonly isExtension: boolean;
  /** Why the action is known but never served. */
  readonly unserved?: string;
}

export const ACTIONS: readonly ActionSpec[] = [...QUEUE_ACTIONS, ...TOPIC_ACTIONS];

/** Case counts for nothing: one SDK sends `ClearSUbscriptionFIlterTags`. */
export const ACTIONS_V2: ReadonlyMap<string, ActionSpec> = new Map(
  ACTIONS.map((action) => [action.name.toLowerCase(), action]),
);

/** By version, a slash and the name in lower case. */
export const ACTIONS_V3: ReadonlyMap<string, { action: ActionSpec; v3: ActionV3 }> = new Map(
  ACTIONS.flatMap((action) =>
    action.v3.map((v3) => [`${v3.version}/${v3.name.toLowerCase()}`, { action, v3 }] as const),
  ),
);
