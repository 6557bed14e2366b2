import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type {
  PushAttempt,
  PushMessage,
  PushTarget,
} from '../../src/engine/topic/push-transport.ts';
import { functionEvent, functionRequest, pushRequest } from '../../src/server/push-request.ts';

const NOW_MS = 1_700_000_123_456;

const MESSAGE: PushMessage = {
  msgId: '6942316962',
  tags: ['apple', 'imac'],
  routingKey: '',
  body: Buffer.from('a "test" message, ünïcode'),
  publishedAtMs: 1_700_000_000_999,
  topicName: 'MyTopic',
  topicOwner: 'guest',
  subscriptionName: 'mysubscription',
  requestId: '14534664555',
  attempt: 3,
};

const TARGET: PushTarget = {
  protocol: 'http',
  endpoint: 'http://a.example/',
  format: 'JSON',
  secret: undefined,
  vhostName: '/',
  topicName: 'MyTopic',
  subscriptionName: 'mysubscription',
};

function attempt(
  message: Partial<PushMessage> = {},
  target: Partial<PushTarget> = {},
): PushAttempt {
  return { subscription: { ...TARGET, ...target }, message: { ...MESSAGE, ...message } };
}

const HEADERS = {
  'Content-Type': 'text/plain',
  'User-Agent': 'Qcloud Notification Service Agent',
  'x-cmq-request-id': '14534664555',
  'x-cmq-message-id': '6942316962',
  'x-cmq-message-tag': 'apple, imac',
};

describe('a push', () => {
  test('as JSON, byte for byte', () => {
    const { headers, body } = pushRequest(attempt(), NOW_MS);
    expect(headers).toEqual(HEADERS);
    expect(Object.keys(headers)).toEqual(Object.keys(HEADERS));
    expect(body.toString()).toBe(
      '{"TopicOwner":"guest","topicName":"MyTopic","subscriptionName":"mysubscription",' +
        '"msgId":"6942316962","msgBody":"a \\"test\\" message, ünïcode","publishTime":1700000000}',
    );
  });

  test('simplified: the message itself', () => {
    const body = Buffer.from([0, 255, 13, 10]);
    const request = pushRequest(attempt({ body }, { format: 'SIMPLIFIED' }), NOW_MS);
    expect(request).toEqual({ headers: HEADERS, body });
  });

  test('as JSON with bytes that are no text says so', () => {
    const { body } = pushRequest(attempt({ body: Buffer.from([0xff, 0xfe]) }), NOW_MS);
    expect(JSON.parse(body.toString())).toMatchObject({
      msgBody: '//4=',
      bodyEncoding: 'base64',
    });
  });

  test('tags are a list with comma and space, as a header can have them', () => {
    const tagsOf = (tags: readonly string[]) =>
      pushRequest(attempt({ tags }), NOW_MS).headers['x-cmq-message-tag']!;
    expect(tagsOf([])).toBe('');
    expect(tagsOf(['one'])).toBe('one');
    expect(tagsOf(['a\r\nx-evil: 1', 'b\u0000'])).toBe('a  x-evil: 1, b ');
    expect(Buffer.from(tagsOf(['标签']), 'latin1').toString('utf8')).toBe('标签');
  });

  test.each(['JSON', 'SIMPLIFIED'] as const)('signs %s when there is a secret', (format) => {
    const { headers, body } = pushRequest(attempt({}, { format, secret: 'sesame' }), NOW_MS);
    const signature = createHmac('sha256', 'sesame')
      .update(Buffer.concat([Buffer.from('1700000123.6942316962.'), body]))
      .digest('hex');
    expect(headers).toEqual({
      ...HEADERS,
      'x-cmq-timestamp': '1700000123',
      'x-cmq-signature': `v1=${signature}`,
    });
  });
});

describe('a function event', () => {
  test('byte for byte', () => {
    expect(functionEvent(MESSAGE)).toBe(
      '{"Records":[{"CMQ":{"type":"topic","topicOwner":0,"topicName":"MyTopic",' +
        '"subscriptionName":"mysubscription","publishTime":"2023-11-14T22:13:20.999Z",' +
        '"msgId":"6942316962","requestId":"14534664555",' +
        '"msgBody":"a \\"test\\" message, ünïcode","msgTag":"apple,imac"}}]}',
    );
  });

  test.each([
    ['100015036', 100_015_036],
    ['0', 0],
    ['007', 0],
    ['1234567890123456', 0],
    ['guest', 0],
    ['', 0],
  ])('owner %j is %j', (topicOwner, owner) => {
    const event = JSON.parse(functionEvent({ ...MESSAGE, topicOwner })) as {
      Records: [{ CMQ: { topicOwner: unknown } }];
    };
    expect(event.Records[0].CMQ.topicOwner).toBe(owner);
  });

  test('over HTTP is the event with the headers of a push', () => {
    const { headers, body } = functionRequest(attempt({}, { secret: 'sesame' }), NOW_MS);
    expect(body.toString()).toBe(functionEvent(MESSAGE));
    expect(headers).toMatchObject({ ...HEADERS, 'Content-Type': 'application/json' });
    expect(headers['x-cmq-signature']).toMatch(/^v1=[0-9a-f]{64}$/);
  });
});
