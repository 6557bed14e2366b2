/**
 * Reading SASL responses of connection.start-ok. Deciding who gets in is not done here.
 *
 * Errors never repeat what the peer sent: it holds a password.
 */
import { readText } from '../../src/base/byte-reader.ts';
import { BrokerError } from '../../src/base/errors.ts';
import { decodeTable } from './field-table.ts';

/** A name and a password as the peer claims them. */
export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/**
 * PLAIN (RFC 4616): `[authzid] NUL authcid NUL passwd`. The authorisation identity is ignored, as
 * in RabbitMQ: nobody acts for another here.
 *
 * @throws BrokerError SYNTAX_ERROR (connection)
 */
export function parsePlain(response: Buffer): Credentials {
  const first = response.indexOf(0);
  const second = first < 0 ? -1 : response.indexOf(0, first + 1);
  if (second < 0 || response.indexOf(0, second + 1) >= 0) throw invalid('PLAIN');
  const user = readText(response, first + 1, second);
  const password = readText(response, second + 1, response.length);
  if (user === undefined || password === undefined) throw invalid('PLAIN');
  return { user, password };
}

/**
 * AMQPLAIN: a field table without its length, with the strings LOGIN and PASSWORD.
 *
 * @throws BrokerError SYNTAX_ERROR (connection)
 */
export function parseAmqplain(response: Buffer): Credentials {
  const table = decodeTable(response, 0, response.length);
  const user = table.get('LOGIN');
  const password = table.get('PASSWORD');
  if (typeof user !== 'string' || typeof password !== 'string') throw invalid('AMQPLAIN');
  return { user, password };
}

/** What the Go client sends with EXTERNAL: PLAIN's form, with nobody named. */
const GO_EXTERNAL = Buffer.from('\0*\0*');

/**
 * EXTERNAL (RFC 4422, appendix A): the name the peer wants to act as; '' for the one its
 * certificate gives.
 *
 * @throws BrokerError SYNTAX_ERROR (connection)
 */
export function parseExternal(response: Buffer): string {
  if (response.equals(GO_EXTERNAL)) return '';
  const name = readText(response, 0, response.length);
  if (name === undefined || name.includes('\0')) throw invalid('EXTERNAL');
  return name;
}

/**
 * ANONYMOUS (RFC 4505): trace information, for a log; it grants nothing.
 *
 * @throws BrokerError SYNTAX_ERROR (connection)
 */
export function parseAnonymous(response: Buffer): string {
  const trace = readText(response, 0, response.length);
  if (trace === undefined || response.length > 255) throw invalid('ANONYMOUS');
  return trace;
}

/** The mechanisms of connection.start, as its longstr: separated by spaces. */
export function encodeMechanisms(mechanisms: readonly string[]): Buffer {
  return Buffer.from(mechanisms.join(' '));
}

function invalid(mechanism: string): BrokerError {
  return new BrokerError('SYNTAX_ERROR', `invalid ${mechanism} response`);
}
