/** Options of topics that push to endpoints and call functions. */
import { isIP } from 'node:net';
import type { AddressBlock } from '../net/push/address-guard.ts';
import { option } from './option-row.ts';
import {
  bytes,
  CIDR,
  duration,
  integer,
  listOf,
  optionalText,
  type OptionType,
  OptionValueError,
} from './option-types.ts';

/** What the operator lets pushes reach: a block of addresses, or a host by its name. */
export type AllowedTarget = AddressBlock | { readonly name: string };

const HOST_NAME = /^(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?$/i;

/** A block such as `10.0.0.0/8`, an address, or a host name. */
export const ALLOWED_TARGET: OptionType<AllowedTarget> = {
  hint: 'cidr|host',
  isList: false,
  parse: (raw) => {
    const text = typeof raw === 'string' ? raw.trim() : '';
    if (isIP(text.split('/', 1)[0]!) !== 0) return CIDR.parse(text);
    // Digits and dots alone are a mistyped address and never a host.
    if (HOST_NAME.test(text) && !/^[\d.]+$/.test(text)) {
      return { name: text.toLowerCase().replace(/\.$/, '') };
    }
    throw new OptionValueError('a block such as 10.0.0.0/8, an address, or a host name');
  },
  format: (value) => ('name' in value ? value.name : CIDR.format(value)),
};

export const PUSH_OPTIONS = {
  'push-allow': option(
    'CMQ',
    listOf(ALLOWED_TARGET),
    'none',
    'Address blocks and host names that subscriptions may push to although they are not public ' +
      'addresses. Without them private, local and reserved addresses are refused.',
  ),
  'push-ports': option(
    'CMQ',
    listOf(integer(1, 65_535)),
    'none',
    'Ports that subscriptions may push to; `none` stands for all.',
  ),
  'push-timeout': option(
    'CMQ',
    duration(100, 300_000),
    '15s',
    'Time an endpoint has to answer one attempt, from the connection to the head of the answer.',
  ),
  'push-concurrency': option(
    'CMQ',
    integer(1, 10_000),
    '256',
    'Attempts at a time. One virtual host has at most half of them.',
  ),
  'push-endpoint-concurrency': option(
    'CMQ',
    integer(1, 10_000),
    '8',
    'Attempts at a time to one endpoint.',
  ),
  'functions-dir': option(
    'CMQ',
    optionalText('dir'),
    '',
    'Directory of the functions that subscriptions may call: `NAME.mjs` or `NAME.js` for the ' +
      'endpoint `local:NAME`. They run with the rights of this process, each in one of its own.',
  ),
  'function-timeout': option(
    'CMQ',
    duration(100, 900_000),
    '15s',
    'Time a function has for one call, its start included.',
  ),
  'function-memory': option(
    'CMQ',
    bytes(8 * 1024 * 1024, 64 * 1024 * 1024 * 1024),
    '128MiB',
    'Memory a function may use, besides that of an empty process.',
  ),
  'function-concurrency': option(
    'CMQ',
    integer(1, 1_000),
    '4',
    'Functions that run at a time. One function has at most half of them.',
  ),
} as const;
