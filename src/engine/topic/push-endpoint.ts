import type { SubscriptionProtocol } from './subscription.ts';

/** A function of the directory the gateway was given. */
const LOCAL_FUNCTION = /^(?:local|function):[A-Za-z0-9_][A-Za-z0-9_-]{0,127}$/;
const WEB_ADDRESS = /^https?:\/\//i;

/** Runs on this machine: nothing goes over HTTP. */
export function isLocalFunction(endpoint: string): boolean {
  return LOCAL_FUNCTION.test(endpoint);
}

/**
 * Why nothing can be pushed to an endpoint, by its form: blanks in it, no form of that protocol, or
 * no URL. Undefined: it looks good; of a queue anything does.
 */
export function endpointProblem(
  protocol: SubscriptionProtocol,
  endpoint: string,
): 'blanks' | 'format' | 'illegal' | undefined {
  if (protocol === 'queue') return undefined;
  if (/\s/.test(endpoint)) return 'blanks';
  if (protocol === 'function' && isLocalFunction(endpoint)) return undefined;
  if (!WEB_ADDRESS.test(endpoint)) return 'format';
  return URL.canParse(endpoint) ? undefined : 'illegal';
}
