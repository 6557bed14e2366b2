/**
 * What a push says: headers and bodies of reference 2.6, the function event of 2.7, and the
 * signature that goes beyond them.
 *
 *     signature = HMAC-SHA256(secret, timestamp "." message id "." body)
 *
 * The timestamp (Unix seconds of the attempt) and the message id are in headers of their own; all
 * three are signed, so that none of them can be replaced.
 */
import { isUtf8 } from 'node:buffer';
import { createHmac } from 'node:crypto';
import { accountNumber } from '../engine/cmq/account-number.ts';
import type { PushAttempt, PushMessage } from '../engine/topic/push-transport.ts';

/** What is POSTed. */
export interface PushRequest {
  /** Values in latin1, as node writes them. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

const USER_AGENT = 'Qcloud Notification Service Agent';

/** The request of reference 2.6. */
export function pushRequest({ subscription, message }: PushAttempt, nowMs: number): PushRequest {
  const body = subscription.format === 'SIMPLIFIED' ? message.body : jsonBody(message);
  const headers = pushHeaders('text/plain', message, subscription.secret, body, nowMs);
  return { headers, body };
}

/** A function's event as a request, for functions behind a URL. */
export function functionRequest(
  { subscription, message }: PushAttempt,
  nowMs: number,
): PushRequest {
  const body = Buffer.from(functionEvent(message));
  const headers = pushHeaders('application/json', message, subscription.secret, body, nowMs);
  return { headers, body };
}

/** The event of reference 2.7, as JSON in one line. */
export function functionEvent(message: PushMessage): string {
  const { topicOwner, topicName, subscriptionName, publishedAtMs, msgId, requestId } = message;
  const record = {
    type: 'topic',
    topicOwner: accountNumber(topicOwner),
    topicName,
    subscriptionName,
    publishTime: new Date(publishedAtMs).toISOString(),
    msgId,
    requestId,
    msgBody: bodyText(message.body),
    msgTag: message.tags.join(','),
    ...bodyMarker(message.body),
  };
  return JSON.stringify({ Records: [{ CMQ: record }] });
}

function jsonBody(message: PushMessage): Buffer {
  const { topicOwner, topicName, subscriptionName, msgId, publishedAtMs, body } = message;
  const document = {
    TopicOwner: topicOwner,
    topicName,
    subscriptionName,
    msgId,
    msgBody: bodyText(body),
    publishTime: Math.floor(publishedAtMs / 1000),
    ...bodyMarker(body),
  };
  return Buffer.from(JSON.stringify(document));
}

/** Text as it is, other bytes as base64, as when such a message is received over CMQ. */
function bodyText(body: Buffer): string {
  return body.toString(isUtf8(body) ? 'utf8' : 'base64');
}

function bodyMarker(body: Buffer): { bodyEncoding?: 'base64' } {
  return isUtf8(body) ? {} : { bodyEncoding: 'base64' };
}

function pushHeaders(
  contentType: string,
  { requestId, msgId, tags }: PushMessage,
  secret: string | undefined,
  body: Buffer,
  nowMs: number,
): Readonly<Record<string, string>> {
  const headers = {
    'Content-Type': contentType,
    'User-Agent': USER_AGENT,
    'x-cmq-request-id': requestId,
    'x-cmq-message-id': msgId,
    'x-cmq-message-tag': headerText(tags.join(', ')),
  };
  if (secret === undefined) return headers;
  const timestamp = String(Math.floor(nowMs / 1000));
  const signature = createHmac('sha256', secret)
    .update(`${timestamp}.${msgId}.`)
    .update(body)
    .digest('hex');
  return { ...headers, 'x-cmq-timestamp': timestamp, 'x-cmq-signature': `v1=${signature}` };
}

/** UTF-8 bytes as node takes them; control characters, which no header may have, as spaces. */
function headerText(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return Buffer.from(text.replaceAll(/[\x00-\x1f\x7f]/g, ' ')).toString('latin1');
}
