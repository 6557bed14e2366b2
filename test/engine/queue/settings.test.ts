import { describe, expect, it } from 'vitest';
import type { PolicyValue } from '../../../src/engine/policy.ts';
import { mergePolicy, type DeclaredSettings } from '../../../src/engine/queue/settings.ts';

function policy(values: Record<string, PolicyValue>): {
  definition: ReadonlyMap<string, PolicyValue>;
} {
  return { definition: new Map(Object.entries(values)) };
}

const CLASSIC: DeclaredSettings = { queueType: 'classic' };
const QUORUM: DeclaredSettings = { queueType: 'quorum' };

describe('mergePolicy', () => {
  it('fills in defaults', () => {
    expect(mergePolicy(CLASSIC, undefined, undefined)).toEqual({
      queueType: 'classic',
      overflow: 'drop-head',
      deliveryLimit: -1,
      deadLetterStrategy: 'at-most-once',
      singleActiveConsumer: false,
      delayedRetryType: 'disabled',
    });
    expect(mergePolicy(QUORUM, undefined, undefined).deliveryLimit).toBe(20);
  });

  it('takes the lowest of limits and the argument of all else', () => {
    const declared: DeclaredSettings = {
      ...CLASSIC,
      messageTtlMs: 100,
      maxLength: 5,
      overflow: 'reject-publish',
      deadLetterExchange: 'own',
    };
    const merged = mergePolicy(
      declared,
      policy({ 'message-ttl': 50, 'max-length': 9, 'dead-letter-exchange': 'theirs' }),
      policy({ 'message-ttl': 70, 'max-length': 3, overflow: 'drop-head', expires: 1000 }),
    );
    expect(merged.messageTtlMs).toBe(50);
    expect(merged.maxLength).toBe(3);
    expect(merged.overflow).toBe('reject-publish');
    expect(merged.deadLetterExchange).toBe('own');
    expect(merged.expiresMs).toBe(1000);
  });

  it('lets the operator win over the policy where neither is a limit', () => {
    const merged = mergePolicy(
      CLASSIC,
      policy({ overflow: 'reject-publish' }),
      policy({ overflow: 'drop-head' }),
    );
    expect(merged.overflow).toBe('drop-head');
  });

  it('takes a real delivery limit over none', () => {
    const limit = (argument: number | undefined, value: number): number =>
      mergePolicy(
        argument === undefined ? QUORUM : { ...QUORUM, deliveryLimit: argument },
        policy({ 'delivery-limit': value }),
        undefined,
      ).deliveryLimit;
    expect(limit(-1, 7)).toBe(7);
    expect(limit(5, -1)).toBe(5);
    expect(limit(5, 7)).toBe(5);
    expect(limit(-1, -1)).toBe(-1);
    expect(limit(undefined, 50)).toBe(50);
  });

  it('merges ages as times and ignores keys the type does not know', () => {
    const stream: DeclaredSettings = { queueType: 'stream', maxAgeMs: 3_600_000 };
    expect(mergePolicy(stream, policy({ 'max-age': '10m' }), undefined).maxAgeMs).toBe(600_000);
    expect(mergePolicy(stream, policy({ 'max-age': '2h' }), undefined).maxAgeMs).toBe(3_600_000);
    expect(mergePolicy(CLASSIC, policy({ 'max-age': '10m' }), undefined)).not.toHaveProperty(
      'maxAgeMs',
    );
  });
});
