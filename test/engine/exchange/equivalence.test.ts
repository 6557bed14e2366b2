import { describe, expect, it } from 'vitest';
import type { FieldValue } from '../../../src/base/field-value.ts';
import {
  checkExchangeEquivalence,
  checkQueueEquivalence,
} from '../../../src/engine/equivalence.ts';
import { errorText, exchange, table } from './topology-fixture.ts';

/** Texts recorded from RabbitMQ 4.3.6 over AMQP 0-9-1. */
describe('checkExchangeEquivalence', () => {
  const same = { type: 'direct', durable: true, autoDelete: false, internal: false };

  function text(
    current: Record<string, FieldValue>,
    change: Partial<typeof same>,
    args: Record<string, FieldValue>,
  ): string {
    const request = { ...same, ...change, arguments: table(args) };
    return errorText(() =>
      checkExchangeEquivalence('/', exchange('direct', 'x', current), request),
    );
  }

  it('compares type, flags and alternate exchange, nothing else', () => {
    const start = (arg: string): string =>
      `inequivalent arg '${arg}' for exchange 'x' in vhost '/'`;
    expect(text({}, {}, { 'x-foo': 1 })).toBe('no error');
    expect(text({ a: 1 }, {}, {})).toBe('no error');
    expect(text({}, { type: 'fanout' }, {})).toBe(
      `${start('type')}: received 'fanout' but current is 'direct'`,
    );
    expect(text({}, { durable: false }, {})).toBe(
      `${start('durable')}: received 'false' but current is 'true'`,
    );
    expect(text({}, { autoDelete: true }, {})).toBe(
      `${start('auto_delete')}: received 'true' but current is 'false'`,
    );
    expect(text({}, { internal: true }, {})).toBe(
      `${start('internal')}: received 'true' but current is 'false'`,
    );
    const ae = 'alternate-exchange';
    expect(text({ [ae]: 'a' }, {}, { [ae]: 'a' })).toBe('no error');
    expect(text({ [ae]: 'a' }, {}, {})).toBe(
      `${start(ae)}: received none but current is the value 'a' of type 'longstr'`,
    );
    expect(text({ [ae]: 'a' }, {}, { [ae]: 'b' })).toBe(
      `${start(ae)}: received 'b' but current is 'a'`,
    );
    expect(text({ [ae]: 'a' }, {}, { [ae]: 1 })).toBe(
      `${start(ae)}: received '1' but current is 'a'`,
    );
  });
});

describe('checkQueueEquivalence', () => {
  function text(
    current: Record<string, FieldValue>,
    requested: Record<string, FieldValue>,
    flags = { durable: false, autoDelete: false },
    isLocked = false,
  ): string {
    return errorText(() =>
      checkQueueEquivalence(
        '/',
        'q',
        { durable: false, autoDelete: false, arguments: table(current) },
        { ...flags, arguments: table(requested) },
        isLocked,
      ),
    );
  }
  const start = (arg: string): string => `inequivalent arg '${arg}' for queue 'q' in vhost '/'`;

  it('compares exclusivity first, then flags, then arguments', () => {
    const other = { 'x-message-ttl': 5 };
    expect(text({}, other, { durable: true, autoDelete: true }, true)).toBe(
      "cannot obtain exclusive access to locked queue 'q' in vhost '/'. It could be originally " +
        'declared on another connection or the exclusive property value does not match that of ' +
        'the original declaration.',
    );
    expect(text({}, other, { durable: true, autoDelete: true })).toBe(
      `${start('durable')}: received 'true' but current is 'false'`,
    );
    expect(text({}, other, { durable: false, autoDelete: true })).toBe(
      `${start('auto_delete')}: received 'true' but current is 'false'`,
    );
    expect(text({}, other)).toContain('x-message-ttl');
  });

  it('words differences of arguments like RabbitMQ', () => {
    const ttl = 'x-message-ttl';
    expect(text({ [ttl]: 5 }, { [ttl]: 6 })).toBe(`${start(ttl)}: received '6' but current is '5'`);
    expect(text({ [ttl]: 500_000 }, {})).toBe(
      `${start(ttl)}: received none but current is the value '500000' of type 'signedint'`,
    );
    expect(text({}, { [ttl]: 5_000_000_000 })).toBe(
      `${start(ttl)}: received the value '5000000000' of type 'long' but current is none`,
    );
    const sac = 'x-single-active-consumer';
    expect(text({ [sac]: true }, {})).toBe(
      `${start(sac)}: received none but current is the value 'true' of type 'bool'`,
    );
    expect(text({ [sac]: true }, { [sac]: false })).toBe(
      `${start(sac)}: received 'false' but current is 'true'`,
    );
    expect(text({}, { 'x-queue-type': 'quorum' })).toBe(
      `${start('x-queue-type')}: received 'quorum' but current is 'classic'`,
    );
  });

  it('compares integers across widths, but no other kinds', () => {
    const ttl = 'x-message-ttl';
    expect(text({ [ttl]: 5 }, { [ttl]: 5n })).toBe('no error');
    expect(text({ [ttl]: 5 }, { [ttl]: '5' })).toContain('inequivalent');
    expect(text({ [ttl]: 5 }, { [ttl]: { kind: 'double', value: 5 } })).toContain('inequivalent');
  });

  it('ignores arguments the type does not know, and the default type', () => {
    expect(text({ 'x-foo': 1 }, { 'x-bar': 2 })).toBe('no error');
    expect(text({ 'x-queue-type': 'classic' }, {})).toBe('no error');
    expect(text({}, { 'x-queue-type': 'classic' })).toBe('no error');
  });
});
