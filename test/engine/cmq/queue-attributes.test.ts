import { describe, expect, test } from 'vitest';
import {
  ATTRIBUTE_RANGES,
  changeAttributes,
  defaultAttributes,
  foreignAttributes,
  settingsFor,
  type NumericAttribute,
} from '../../../src/engine/cmq/queue-attributes.ts';

const NOW = 1_700_000_000_000;

describe('attributes', () => {
  test.each(Object.entries(ATTRIBUTE_RANGES))('%s is from min to max', (name, range) => {
    const change = (value: number) =>
      changeAttributes(
        { ...defaultAttributes(NOW), msgRetentionSeconds: 1_296_000 },
        { [name]: value },
        NOW,
      );
    expect(change(range.min)[name as NumericAttribute]).toBe(range.min);
    expect(change(range.max)[name as NumericAttribute]).toBe(range.max);
    for (const value of [range.min - 1, range.max + 1, range.min + 0.5, NaN]) {
      expect(() => change(value)).toThrow(name);
    }
  });

  test('become settings', () => {
    expect(settingsFor(defaultAttributes(NOW))).toEqual({
      countsReceives: true,
      visibilityTimeoutMs: 30_000,
      retentionMs: 345_600_000,
      heapMax: 100_000_000,
    });
    expect(settingsFor(foreignAttributes(NOW))).toEqual({ countsReceives: true });
  });

  test('with a binding lead to the dead-letter queue', () => {
    const binding = { queueName: 'd', maxReceiveCount: 3, maxTimeToLive: 600, boundAtMs: NOW };
    const attributes = foreignAttributes(NOW);
    const settings = (policy: 0 | 1) =>
      settingsFor({ ...attributes, deadLetter: { ...binding, policy } });
    const target = { countsReceives: true, deadLetterExchange: '', deadLetterRoutingKey: 'd' };
    expect(settings(0)).toEqual({ ...target, deliveryLimit: 2 });
    expect(settings(1)).toEqual({ ...target, ageLimitMs: 600_000, ageLimitFromMs: NOW });
  });

  test('are written so that they can be read back', () => {
    const attributes = defaultAttributes(NOW);
    const restored = { ...foreignAttributes(0), ...JSON.parse(JSON.stringify(attributes)) };
    expect(settingsFor(restored)).toEqual(settingsFor(attributes));
  });
});
