// One signed CMQ call, for programs that run as processes of their own and are killed.
//   CMQ_URL, CMQ_ID, CMQ_SECRET;  LOCAL_ADDRESS  where it dials from
import { createHmac } from 'node:crypto';
import http from 'node:http';

const agent = new http.Agent({ keepAlive: true });
const localAddress = process.env.LOCAL_ADDRESS;
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
  const body = new URLSearchParams({ ...flat, Signature: signed }).toString();
  const headers = {
    'content-type': 'application/x-www-form-urlencoded',
    'content-length': Buffer.byteLength(body),
  };
  return await new Promise((resolve, reject) => {
    const options = { method: 'POST', agent, headers, localAddress };
    const request = http.request(new URL('/v2/index.php', base), options, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => (text += chunk));
      response.on('error', reject);
      response.on('end', () => resolve(JSON.parse(text)));
    });
    request.on('error', reject);
    request.end(body);
  });
}
