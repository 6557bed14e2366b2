import { describe, expect, it } from 'vitest';
import {
  EXCHANGE_TYPE_NAMES,
  checkExchangeType,
} from '../../../src/engine/exchange/exchange-types.ts';
import { bind, errorText, exchange, matchNames, messageWith, queue } from './topology-fixture.ts';

describe('exchange types', () => {
  it('knows its types and refuses others', () => {
    for (const type of EXCHANGE_TYPE_NAMES) {
      expect(errorText(() => checkExchangeType(type))).toBe('no error');
    }
    expect(errorText(() => checkExchangeType('foo'))).toBe("unknown exchange type 'foo'");
    expect(errorText(() => exchange('foo'))).toBe("unknown exchange type 'foo'");
    expect(errorText(() => exchange('__proto__'))).toBe("unknown exchange type '__proto__'");
  });

  it('checks the arguments of x-consistent-hash', () => {
    const text = (args: Record<string, string | number>): string =>
      errorText(() => exchange('x-consistent-hash', 'x', args));
    expect(text({ 'hash-header': 'a', 'hash-property': 'message_id' })).toBe(
      'hash-header and hash-property are mutually exclusive',
    );
    expect(text({ 'hash-property': 'app_id' })).toBe('Unsupported property: app_id');
    expect(text({ 'hash-header': 5 })).toContain("arg 'hash-header'");
    expect(text({ 'hash-property': 'timestamp' })).toBe('no error');
  });

  it('makes x-delayed-message match like its inner type', () => {
    const topic = exchange('x-delayed-message', 'x', { 'x-delayed-type': 'topic' });
    bind(topic, queue('q'), 'a.*');
    expect(matchNames(topic, 'a.b')).toEqual(['q']);
    expect(topic.type).toBe('x-delayed-message');
    expect(topic.isDelayed).toBe(true);
    const headers = exchange('x-delayed-message', 'x', { 'x-delayed-type': 'headers' });
    bind(headers, queue('q'), '', { a: 1 });
    expect(headers.needsMessage).toBe(true);
    expect(matchNames(headers, '', messageWith({ a: 1 }))).toEqual(['q']);
  });

  it('refuses x-delayed-message without a usable inner type', () => {
    const refusal = "'x-delayed-type' must be an existing exchange type";
    for (const args of [
      {},
      { 'x-delayed-type': 'foo' },
      { 'x-delayed-type': 'x-delayed-message' },
      { 'x-delayed-type': 5 },
    ]) {
      expect(errorText(() => exchange('x-delayed-message', 'x', args))).toContain(refusal);
    }
  });

  it("limits '#' words with the text of RabbitMQ 4.3", () => {
    const x = exchange('topic');
    expect(errorText(() => bind(x, queue('q'), '#.#.#'))).toBe(
      "Topic binding key '#.#.#' uses 3 '#' wildcards, at most 2 are allowed",
    );
    expect(errorText(() => bind(x, queue('q'), '#.a.#'))).toBe('no error');
    expect(errorText(() => bind(x, queue('q'), 'a#.#b.c#.#'))).toBe('no error');
  });
});
