/** Why an attempt failed: the labels of the metrics. */
export const POST_FAILURES = [
  'endpoint',
  'name',
  'address',
  'connect',
  'tls',
  'reset',
  'protocol',
  'timeout',
  'redirect',
  'status',
  'circuit',
] as const;

export type PostFailure = (typeof POST_FAILURES)[number];

/** How an attempt ended. `detail` is one short line without addresses of ours. */
export type PostResult =
  | { readonly isOk: true; readonly detail: string }
  | { readonly isOk: false; readonly reason: PostFailure; readonly detail: string };

export function postFailure(reason: PostFailure, detail: string): PostResult {
  return { isOk: false, reason, detail };
}

/** The pinned lookup found nothing that may be connected to. */
export class LookupFailure extends Error {
  readonly reason: 'name' | 'address';

  constructor(reason: 'name' | 'address', text: string) {
    super(text);
    this.name = 'LookupFailure';
    this.reason = reason;
  }
}

const UNREACHABLE: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'ETIMEDOUT',
  'EADDRNOTAVAIL',
  'EAFNOSUPPORT',
  'EACCES',
  'EPERM',
]);
const CUT: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED']);

/** True when the peer cut a connection, as it may do with an idle one at any time. */
export function isCut(error: Error): boolean {
  return CUT.has(codeOf(error));
}

/**
 * The result for an error of node's client. The code alone is shown: messages name addresses, and
 * the tenant must not learn what is behind a name here.
 */
export function failureOf(error: Error, isTls: boolean): PostResult {
  if (error instanceof LookupFailure) return postFailure(error.reason, error.message);
  const code = codeOf(error);
  if (CUT.has(code)) return postFailure('reset', 'connection cut before the answer');
  if (UNREACHABLE.has(code)) return postFailure('connect', code);
  if (code.startsWith('HPE_')) return postFailure('protocol', `answer is not HTTP (${code})`);
  if (isTls) return postFailure('tls', code === '' ? 'TLS error' : code);
  return postFailure('protocol', code === '' ? 'error without a code' : code);
}

/** The code of the last attempt where several addresses were tried. */
function codeOf(error: Error): string {
  const last = error instanceof AggregateError ? (error.errors as Error[]).at(-1) : error;
  const { code } = (last ?? error) as NodeJS.ErrnoException;
  return typeof code === 'string' ? code : '';
}
