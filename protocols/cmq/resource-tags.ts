/**
 * Labels of queues and topics (`Tags` of API 3.0), and the filters of lists that look for them.
 * Either API may write members with a capital or without.
 */
import { resourceTagsProblem, type ResourceTag } from '../../src/engine/cmq/resource-tags.ts';
import { CmqFailure, parameterFailure } from './error-mapper.ts';
import { capitalized } from './request-binder.ts';
import type { Parameters } from './request-parameters.ts';

/** Filters of one call. */
const FILTERS_MAX = 10;
/** What the vendor puts before a label's key in the name of a filter. */
const TAG_PREFIX = 'tag:';

/** What a list has of each queue or topic. */
export interface Labelled {
  readonly name: string;
  readonly tags: readonly ResourceTag[];
}

/** The labels a call gives; undefined when it gives none. @throws CmqFailure */
export function resourceTagsOf(parameters: Parameters): readonly ResourceTag[] | undefined {
  const rows = rowsOf(parameters, 'tags');
  if (rows === undefined) return undefined;
  const tags = rows.map((row) => ({
    key: textOf(row, 'tagKey', 'tags'),
    value: textOf(row, 'tagValue', 'tags', ''),
  }));
  const problem = resourceTagsProblem(tags);
  if (problem !== undefined) throw new CmqFailure('PARAMETER_RANGE', problem);
  return tags;
}

/** Labels as replies show them. */
export function resourceTagFields(tags: readonly ResourceTag[]): readonly object[] {
  return tags.map(({ key, value }) => ({ tagKey: key, tagValue: value }));
}

/**
 * What a list is asked for: a word of the name, some names (`namesParameter`), labels. All of it
 * must hold; of several values of one label any.
 * @param nameFilter name of the filter that looks for a word as `searchWord` does
 * @throws CmqFailure
 */
export function resourceFilter(
  parameters: Parameters,
  namesParameter: string,
  nameFilter: 'QueueName' | 'TopicName',
): (item: Labelled) => boolean {
  const words = [parameters.optionalText('searchWord') ?? ''];
  const names = new Set(parameters.list(namesParameter).map((name) => name.toLowerCase()));
  const labels: { readonly key: string; readonly values: readonly string[] }[] = [];
  const tagKey = parameters.optionalText('tagKey') ?? '';
  if (tagKey !== '') labels.push({ key: tagKey, values: [] });
  for (const { name, values } of filtersOf(parameters)) {
    if (name.startsWith(TAG_PREFIX)) labels.push({ key: labelOf(name), values });
    else if (name === nameFilter && values.length === 1) words.push(values[0]!);
    else throw parameterFailure('PARAMETER_RANGE', 'filters');
  }
  checkTagFilter(parameters, labels.length > 0);
  const lowerWords = words.map((word) => word.toLowerCase());
  return ({ name, tags }) => {
    const lower = name.toLowerCase();
    if (names.size > 0 && !names.has(lower)) return false;
    if (!lowerWords.every((word) => lower.includes(word))) return false;
    return labels.every(({ key, values }) =>
      tags.some((tag) => tag.key === key && (values.length === 0 || values.includes(tag.value))),
    );
  };
}

/** The call says whether it looks for labels: what contradicts itself would be half ignored. */
function checkTagFilter(parameters: Parameters, hasLabels: boolean): void {
  const isTagFilter = parameters.optionalFlag('isTagFilter');
  if (isTagFilter === undefined || isTagFilter === hasLabels) return;
  const text = hasLabels ? 'filters by tag need isTagFilter' : 'isTagFilter needs filters by tag';
  throw new CmqFailure('PARAMETERS_WRONG', text);
}

function filtersOf(parameters: Parameters): { name: string; values: readonly string[] }[] {
  const rows = rowsOf(parameters, 'filters') ?? [];
  if (rows.length > FILTERS_MAX) throw parameterFailure('PARAMETER_RANGE', 'filters');
  return rows.map((row) => {
    const values = memberOf(row, 'values') ?? [];
    const isList = Array.isArray(values) && values.every((value) => typeof value === 'string');
    if (!isList) throw parameterFailure('PARAMETER_FORMAT', 'filters');
    return { name: textOf(row, 'name', 'filters'), values };
  });
}

/** The vendor's examples have a blank after the colon. */
function labelOf(filterName: string): string {
  const key = filterName.slice(TAG_PREFIX.length).trim();
  if (key === '') throw parameterFailure('PARAMETER_RANGE', 'filters');
  return key;
}

type Row = Readonly<Record<string, unknown>>;

/** The objects of a JSON list. */
function rowsOf(parameters: Parameters, name: string): readonly Row[] | undefined {
  const text = parameters.optionalText(name);
  if (text === undefined) return undefined;
  const rows = JSON.parse(text) as unknown;
  const isRow = (row: unknown): row is Row =>
    typeof row === 'object' && row !== null && !Array.isArray(row);
  if (Array.isArray(rows) && rows.every(isRow)) return rows;
  throw parameterFailure('PARAMETER_FORMAT', name);
}

function memberOf(row: Row, name: string): unknown {
  for (const each of [name, capitalized(name)]) if (Object.hasOwn(row, each)) return row[each];
  return undefined;
}

function textOf(row: Row, member: string, parameter: string, fallback?: string): string {
  const value = memberOf(row, member) ?? fallback;
  if (typeof value === 'string') return value;
  throw parameterFailure('PARAMETER_FORMAT', parameter);
}
