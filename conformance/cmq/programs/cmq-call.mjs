// One signed CMQ call, for programs that run as processes of their own and are killed.
//   CMQ_URL, CMQ_ID, CMQ_SECRET
import { createHmac } from 'node:crypto';

const base = new URL(process.env.CMQ_URL ?? 'http://127.0.0.1:15672');

export async function cmq(action, parameters = {}) {
  const flat = { Action: action, Timestamp: Math.floor(Date.now() / 1000), Nonce: 1 };
  Object.assign(flat, { SecretId: process.env.CMQ_ID, SignatureMethod: 'HmacSHA256' });
  for (const [name, value] of Object.entries(parameters)) {
    if (Array.isArray(value)) value.forEach((item, at) => (flat[`${name}.${at}`] = item));
    else flat[name] = value;
  }
  const keys = Object.keys(flat).toSorted();
  const text = keys.map((key) => `${key}=${flat[key]}`).join('&');
  const signed = createHmac('sha256', process.env.CMQ_SECRET)
    .update(`POST${base.host}/v2/index.php?${text}`)
    .digest('base64');
  const body = new URLSearchParams({ ...flat, Signature: signed });
  const reply = await fetch(new URL('/v2/index.php', base), { method: 'POST', body });
  return await reply.json();
}
