import { isIP } from 'node:net';

/** Where a request goes, taken apart once. */
export interface Endpoint {
  /** The whole address in its normal form: what slots and circuits are counted by. */
  readonly key: string;
  readonly isTls: boolean;
  /** Lower case, without a dot at the end; an IPv6 address without its brackets. */
  readonly hostName: string;
  readonly isLiteral: boolean;
  readonly port: number;
  /** `Host` header: with the port unless it is the scheme's own. */
  readonly authority: string;
  /** Path and query. */
  readonly path: string;
  /** `user:password` of the address, when it has them. */
  readonly credentials: string | undefined;
}

/**
 * Reads an http or https address as browsers do, so that every odd notation of an IPv4 address
 * (decimal, octal, hexadecimal, short, full-width digits) comes out as the one that is checked.
 * A string is what is wrong with it.
 *
 * @param ports those that may be reached; empty: all
 */
export function parseEndpoint(text: string, ports: readonly number[]): Endpoint | string {
  if (!URL.canParse(text)) return 'not a URL';
  const url = new URL(text);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return 'neither http nor https';
  const isTls = url.protocol === 'https:';
  const port = url.port === '' ? (isTls ? 443 : 80) : Number(url.port);
  if (port === 0) return 'port 0';
  if (ports.length > 0 && !ports.includes(port)) return `port ${port} is not allowed`;
  const hostName = plainHost(url.hostname);
  if (hostName === '') return 'no host name';
  url.hash = '';
  return {
    key: url.href,
    isTls,
    hostName,
    isLiteral: isIP(hostName) !== 0,
    port,
    authority: url.host,
    path: `${url.pathname}${url.search}`,
    credentials: credentialsOf(url),
  };
}

function plainHost(hostName: string): string {
  if (hostName.startsWith('[')) return hostName.slice(1, -1);
  return hostName.endsWith('.') ? hostName.slice(0, -1) : hostName;
}

function credentialsOf({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return undefined;
  return `${decoded(username)}:${decoded(password)}`;
}

/** A percent sign that escapes nothing stands for itself. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
