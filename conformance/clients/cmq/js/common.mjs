// Shared by the JavaScript CMQ clients: where their packages are and what a value must be.
import { createRequire } from 'node:module';
import { eventually, sleep } from '../../js/checks.mjs';

export { check, finish, SKIP } from '../../js/checks.mjs';
export { eventually, sleep };
export const load = createRequire(`${process.env.CMQ_MODULES}/`);
export const gateway = new URL(process.env.CMQ_URL);
export const secretId = process.env.CMQ_SECRET_ID;
export const secretKey = process.env.CMQ_SECRET_KEY;

/** A queue, topic or subscription name that no other run uses: at most 64 letters, digits, dashes. */
export const unique = (label) => `${label}-${Math.random().toString(36).slice(2, 10)}`;

export function equal(got, expected, what = 'value') {
  const [a, b] = [JSON.stringify(got), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what}: got ${a}, expected ${b}`);
}

export function truth(value, what) {
  if (!value) throw new Error(`not so: ${what}`);
}

/** The code of a reply; anything but `expected` is an error with the message of the gateway. */
export function coded(reply, expected = 0) {
  if (reply.code !== expected) throw new Error(`code ${reply.code}, expected ${expected}: ${reply.message}`);
  return reply;
}
