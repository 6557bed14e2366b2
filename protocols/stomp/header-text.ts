/**
 * Escapes in header names and values: none in 1.0, `\n \c \\` in 1.1, `\r` besides in 1.2. CONNECT
 * and CONNECTED are never escaped, so that 1.0 peers read them (1.2, "Value Encoding").
 */
import { type Dialect, STOMP_1_0, STOMP_1_2 } from './spec/headers.ts';
import { StompError } from './stomp-error.ts';

const SPECIAL = /[\\\n:\r]/;
const SPECIAL_ALL = /[\\\n:\r]/g;
const ESCAPE_ALL = /\\([^]?)/g;

const ESCAPED: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', ':': '\\c' };

/**
 * `text` as it stands in a header. What a version cannot write is left out of it: line ends in
 * 1.0, carriage returns below 1.2, for they would end the header.
 */
export function escapeHeader(text: string, dialect: Dialect): string {
  if (!SPECIAL.test(text)) return text;
  if (dialect === STOMP_1_0) return text.replace(/[\r\n]/g, ' ');
  return text.replace(SPECIAL_ALL, (character) => {
    if (character !== '\r') return ESCAPED[character]!;
    return dialect === STOMP_1_2 ? '\\r' : ' ';
  });
}

/** @throws StompError for an escape the version does not have */
export function unescapeHeader(text: string, dialect: Dialect): string {
  if (dialect === STOMP_1_0 || !text.includes('\\')) return text;
  return text.replace(ESCAPE_ALL, (whole, character: string) => {
    if (character === 'n') return '\n';
    if (character === 'c') return ':';
    if (character === '\\') return '\\';
    if (character === 'r' && dialect === STOMP_1_2) return '\r';
    throw new StompError('Invalid header', `undefined escape '${whole}' in a header\n`);
  });
}
