import { describe, expect, it } from 'vitest';
import type { FieldValue } from '../../../src/base/field-value.ts';
import {
  parseQueueArguments,
  serverNamePrefix,
  settingsOf,
  type QueueFlags,
} from '../../../src/engine/queue/arguments.ts';
import { errorText, table } from '../exchange/topology-fixture.ts';

const PLAIN: QueueFlags = {
  durable: true,
  exclusive: false,
  autoDelete: false,
  serverNamed: false,
};
const AT = "for queue 'q' in vhost '/'";

function textFor(args: Record<string, FieldValue>, flags: Partial<QueueFlags> = {}): string {
  return errorText(() => parseQueueArguments('/', 'q', table(args), { ...PLAIN, ...flags }));
}

/** Texts recorded from RabbitMQ 4.3.6 over AMQP 0-9-1. */
const CLASSIC: readonly [string, FieldValue, string][] = [
  ['x-message-ttl', -1, '{value_negative,-1}'],
  ['x-message-ttl', 'a', '"expected integer, got longstr"'],
  ['x-message-ttl', 315_360_000_001, '{value_too_large,315360000001}'],
  ['x-message-ttl', { kind: 'double', value: 1.5 }, '"expected integer, got double"'],
  ['x-expires', 0, '{value_zero,0}'],
  ['x-expires', -1, '{value_negative,-1}'],
  ['x-max-priority', 256, '{max_value_exceeded,256}'],
  ['x-max-priority', -1, '{value_negative,-1}'],
  ['x-dead-letter-routing-key', 'k', 'routing_key_but_no_dlx_defined'],
  ['x-dead-letter-routing-key', 5, '{unacceptable_type,signedint}'],
  ['x-overflow', 'bogus', 'invalid_overflow'],
  ['x-overflow', 1, '{unacceptable_type,signedint}'],
  ['x-queue-type', 'bogus', `"unsupported queue type 'bogus'"`],
  ['x-queue-type', 1, '{unacceptable_type,signedint}'],
  ['x-queue-version', 1, `"unsupported queue version '1'"`],
  ['x-single-active-consumer', 'yes', '{unacceptable_type,longstr}'],
  ['x-queue-leader-locator', 'bogus', 'invalid_queue_locator_arg'],
  ['x-max-length', -1, '{value_negative,-1}'],
  ['x-max-length', new Map([['a', 1]]), '"expected integer, got table"'],
  ['x-max-length', null, '"expected integer, got void"'],
  ['x-max-length', true, '"expected integer, got bool"'],
];

describe('parseQueueArguments', () => {
  it.each(CLASSIC)('refuses %s = %j', (name, value, term) => {
    expect(textFor({ [name]: value })).toBe(`invalid arg '${name}' ${AT}: ${term}`);
  });

  it.each(['', 'undefined'])('takes %j for the default type', (type) => {
    const args = table({ 'x-queue-type': type });
    expect(parseQueueArguments('/', 'q', args, PLAIN).queueType).toBe('classic');
  });

  it('refuses a dead-letter exchange that is no name', () => {
    expect(textFor({ 'x-dead-letter-exchange': 5 })).toBe(
      "invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue 'q' in vhost '/'",
    );
  });

  it('refuses arguments of another queue type', () => {
    const quorum = { 'x-queue-type': 'quorum' };
    const stream = { 'x-queue-type': 'stream' };
    const refusals: [Record<string, FieldValue>, string, string][] = [
      [{ 'x-dead-letter-strategy': 'at-most-once' }, 'x-dead-letter-strategy', 'classic'],
      [{ 'x-max-age': '1D' }, 'x-max-age', 'classic'],
      [{ 'x-consumer-timeout': 1 }, 'x-consumer-timeout', 'classic'],
      [{ ...quorum, 'x-max-priority': 5 }, 'x-max-priority', 'quorum'],
      [{ ...quorum, 'x-queue-mode': 'lazy' }, 'x-queue-mode', 'quorum'],
      [{ ...stream, 'x-message-ttl': 1 }, 'x-message-ttl', 'stream'],
    ];
    for (const [args, name, type] of refusals) {
      expect(textFor(args)).toBe(`invalid arg '${name}' ${AT} of queue type rabbit_${type}_queue`);
    }
  });

  it('accepts what RabbitMQ accepts, and a delivery limit on classic queues', () => {
    for (const args of [
      {},
      { 'x-foo': 1 },
      { 'x-queue-mode': 'lazy' },
      { 'x-queue-mode': 5 },
      { 'x-queue-version': 2 },
      { 'x-delivery-limit': 3 },
      { 'x-message-ttl': 0 },
      { 'x-message-ttl': 5n },
      { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'k' },
      { 'x-queue-type': 'quorum', 'x-delivery-limit': -1 },
      { 'x-queue-type': 'quorum', 'x-overflow': 'reject-publish-dlx' },
      { 'x-queue-type': 'stream', 'x-max-age': '7D', 'x-max-length-bytes': 1_000_000 },
    ]) {
      expect(textFor(args)).toBe('no error');
    }
  });

  it('demands durable, shared, named quorum queues and streams', () => {
    for (const type of ['quorum', 'stream']) {
      const args = { 'x-queue-type': type };
      const resource = "queue 'q' in vhost '/'";
      const invalid = `invalid property`;
      expect(textFor(args, { durable: false })).toBe(`${invalid} 'non-durable' for ${resource}`);
      expect(textFor(args, { exclusive: true })).toBe(
        `${invalid} 'exclusive-owner' for ${resource}`,
      );
      expect(textFor(args, { autoDelete: true })).toBe(`${invalid} 'auto-delete' for ${resource}`);
      expect(textFor(args, { serverNamed: true })).toBe(
        `Cannot declare a server-named queue for type rabbit_${type}_queue`,
      );
    }
  });

  it('checks stream sizes and ages', () => {
    const stream = { 'x-queue-type': 'stream' };
    expect(textFor({ ...stream, 'x-stream-max-segment-size-bytes': 4_000_000_000 })).toBe(
      'Exceeded max value for x-stream-max-segment-size-bytes',
    );
    expect(textFor({ ...stream, 'x-stream-filter-size-bytes': 5 })).toBe(
      'Invalid value for x-stream-filter-size-bytes',
    );
    expect(textFor({ ...stream, 'x-max-age': '1x' })).toBe(
      `invalid arg 'x-max-age' ${AT}: invalid_max_age`,
    );
    expect(textFor({ ...stream, 'x-max-age': '0D' })).toContain('invalid_max_age');
  });

  it('gives typed settings', () => {
    const args = table({
      'x-message-ttl': 60_000n,
      'x-max-length': 10,
      'x-overflow': 'reject-publish',
      'x-dead-letter-exchange': 'dlx',
      'x-max-priority': 9,
      'x-single-active-consumer': true,
      'x-foo': 'ignored',
    });
    const expected = {
      queueType: 'classic',
      messageTtlMs: 60_000,
      maxLength: 10,
      overflow: 'reject-publish',
      deadLetterExchange: 'dlx',
      maxPriority: 9,
      singleActiveConsumer: true,
    };
    expect(parseQueueArguments('/', 'q', args, PLAIN)).toEqual(expected);
    expect(settingsOf(args)).toEqual(expected);
    const stream = table({ 'x-queue-type': 'stream', 'x-max-age': '2h' });
    expect(parseQueueArguments('/', 'q', stream, PLAIN)).toEqual({
      queueType: 'stream',
      maxAgeMs: 7_200_000,
    });
  });

  it('leaves out, on recovery, what would be refused today', () => {
    expect(
      settingsOf(table({ 'x-message-ttl': -1, 'x-max-age': '1D', 'x-max-length': 1 })),
    ).toEqual({
      queueType: 'classic',
      maxLength: 1,
    });
  });
});

describe('serverNamePrefix', () => {
  it('takes at most 64 bytes', () => {
    expect(serverNamePrefix(table({}))).toBe('amq.gen-');
    expect(serverNamePrefix(table({ 'x-name-prefix': 'app-\r\n' }))).toBe('app-');
    expect(serverNamePrefix(table({ 'x-name-prefix': 5 }))).toBe('amq.gen-');
    const long = 'ä'.repeat(33);
    expect(errorText(() => serverNamePrefix(table({ 'x-name-prefix': long })))).toBe(
      `Queue name prefix '${long}' exceeds the 64-byte limit`,
    );
  });
});
