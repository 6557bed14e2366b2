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

/** The ranges, sorted and apart, without `values`, which are sorted in place. */
export function subtractValues(pairs: readonly number[], values: number[]): number[] {
  values.sort((a, b) => a - b);
  const rest: number[] = [];
  let at = 0;
  for (let i = 0; i < pairs.length; i += 2) {
    let first = pairs[i]!;
    const end = pairs[i + 1]!;
    while (at < values.length && values[at]! < first) at += 1;
    for (; at < values.length && values[at]! < end; at += 1) {
      if (first < values[at]!) rest.push(first, values[at]!);
      first = values[at]! + 1;
    }
    if (first < end) rest.push(first, end);
  }
  return rest;
}
