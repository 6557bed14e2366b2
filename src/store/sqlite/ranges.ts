/** Sets of integers as flat lists of [first, end) pairs. */

/** Sorts and joins ranges; the input may be changed and returned. */
export function mergeRanges(pairs: number[]): number[] {
  if (pairs.length <= 2) return pairs;
  const order: number[] = [];
  for (let i = 0; i < pairs.length; i += 2) order.push(i);
  order.sort((a, b) => pairs[a]! - pairs[b]!);
  const merged: number[] = [];
  for (const i of order) {
    const first = pairs[i]!;
    const end = pairs[i + 1]!;
    const lastEnd = merged[merged.length - 1];
    if (lastEnd === undefined || first > lastEnd) merged.push(first, end);
    else if (end > lastEnd) merged[merged.length - 1] = end;
  }
  return merged;
}

/** The ranges without `value`. */
export function subtractValue(pairs: readonly number[], value: number): number[] {
  const rest: number[] = [];
  for (let i = 0; i < pairs.length; i += 2) {
    const first = pairs[i]!;
    const end = pairs[i + 1]!;
    if (value < first || value >= end) {
      rest.push(first, end);
      continue;
    }
    if (first < value) rest.push(first, value);
    if (value + 1 < end) rest.push(value + 1, end);
  }
  return rest;
}
