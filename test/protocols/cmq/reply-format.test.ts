import { describe, expect, test } from 'vitest';
import { CmqFailure } from '../../../protocols/cmq/error-mapper.ts';
import { ReplyFormatV2, ReplyFormatV3 } from '../../../protocols/cmq/reply-format.ts';
import { JsonMembers } from '../../../protocols/cmq/reply-json.ts';
import { ACTIONS_V3 } from '../../../protocols/cmq/spec/actions.ts';
import { CMQ_ERRORS, type CmqErrorName } from '../../../protocols/cmq/spec/errors.ts';

const rowOf = (key: string) => ACTIONS_V3.get(key)!.v3;
const newer = (name: string) => new ReplyFormatV3(rowOf(`2020-02-17/${name}`));
const older = (name: string) => new ReplyFormatV3(rowOf(`2019-03-04/${name}`));

test('API 2.0 has both spellings of one counter', () => {
  const text = new ReplyFormatV2(undefined).succeeded('1', { rewindMsgNum: 3 });
  const expected = { code: 0, message: '', requestId: '1', rewindMsgNum: 3, rewindmsgNum: 3 };
  expect(JSON.parse(text)).toEqual(expected);
});

test.each([
  [undefined, {}, '{"code":0,"message":"","requestId":"1"}'],
  [
    '18446744073709551615',
    {},
    '{"code":0,"message":"","requestId":"1","clientRequestId":18446744073709551615}',
  ],
  [undefined, { a: undefined }, '{"code":0,"message":"","requestId":"1"}'],
  ['no number', { a: '"é' }, '{"code":0,"message":"","requestId":"1","a":"\\"é"}'],
  ['7', { a: [] }, '{"code":0,"message":"","requestId":"1","a":[],"clientRequestId":7}'],
])('API 2.0 for clientRequestId %s with %j', (clientRequestId, fields, expected) => {
  expect(new ReplyFormatV2(clientRequestId).succeeded('1', fields)).toBe(expected);
});

test.each([
  [undefined, '{"code":0,"message":"","requestId":"1","a":"é","b":[]}'],
  ['7', '{"code":0,"message":"","requestId":"1","a":"é","b":[],"clientRequestId":7}'],
])('members that are JSON already, for clientRequestId %s', (clientRequestId, expected) => {
  const members = new JsonMembers(Buffer.from('"a":"é","b":[]'));
  const format = new ReplyFormatV2(clientRequestId);
  expect(format.succeeded('1', members).toString()).toBe(expected);
  expect(format.succeeded('1', new JsonMembers('"a":"é","b":[]'))).toBe(expected);
});

test('API 2.0 keeps the digits of clientRequestId in failures', () => {
  const failure = new CmqFailure('NO_MESSAGE');
  const text = new ReplyFormatV2('18446744073709551615').failed('1', failure);
  expect(text.endsWith(',"clientRequestId":18446744073709551615}')).toBe(true);
  expect(JSON.parse(text)).toMatchObject({ code: 7000, requestId: '1' });
});

describe('API 3.0', () => {
  const answer = (format: ReplyFormatV3, fields: object) =>
    (JSON.parse(format.succeeded('7', fields as Record<string, unknown>)) as { Response: object })
      .Response;

  test('gives names capitals, at any depth', () => {
    const fields = { queueId: 'i', deadLetterSource: [{ queueName: 'q' }], other: null };
    expect(answer(newer('createcmqqueue'), fields)).toEqual({
      QueueId: 'i',
      DeadLetterSource: [{ QueueName: 'q' }],
      Other: null,
      RequestId: '7',
    });
  });

  test('wraps, renames and adds what an action has', () => {
    const queue = { queueName: 'q', rewindMsgNum: 1, rewindmsgNum: 1 };
    expect(answer(newer('describecmqqueuedetail'), queue)).toEqual({
      QueueDescribe: { QueueName: 'q', RewindMsgNum: 1 },
      RequestId: '7',
    });
    const list = { totalCount: 1, queueList: [{ queueName: 'q' }] };
    expect(answer(newer('describecmqqueues'), list)).toMatchObject({ QueueList: [{}] });
    expect(answer(older('describequeuedetail'), list)).toMatchObject({ QueueSet: [{}] });
    expect(answer(newer('sendcmqmsg'), { msgId: '1' })).toMatchObject({ Result: true });
  });

  test('has times in ms in the newer version', () => {
    const fields = { createTime: 5, minMsgTime: 5 };
    expect(answer(newer('createcmqqueue'), fields)).toMatchObject({
      CreateTime: 5_000,
      MinMsgTime: 5,
    });
    expect(answer(older('createqueue'), fields)).toMatchObject({ CreateTime: 5 });
  });

  test('has members that are JSON already under its own names', () => {
    const members = new JsonMembers(Buffer.from('"msgId":"5","msgBody":"é"'));
    const text = newer('createcmqqueue').succeeded('7', members);
    expect(JSON.parse(text)).toEqual({ Response: { MsgId: '5', MsgBody: 'é', RequestId: '7' } });
  });

  test('names failures', () => {
    const text = new ReplyFormatV3(undefined).failed('7', new CmqFailure('QUEUE_NOT_FOUND', 'no'));
    expect(JSON.parse(text)).toEqual({
      Response: { Error: { Code: 'ResourceNotFound', Message: 'no' }, RequestId: '7' },
    });
  });
});

/** Every code and module of reference 2.11. */
const REFERENCE: Readonly<Record<number, readonly number[]>> = {
  4000: [
    10000, 10010, 10110, 10310, 10320, 10330, 10350, 10360, 10370, 10380, 10390, 10400, 10280,
    10430, 10410, 10420, 10440, 10461, 10450, 10020, 10120, 10470, 10590, 10692, 10680, 10700,
    10490, 10500, 10630, 10640, 10510, 10520, 10530, 10540, 10670, 10690, 10691, 10710, 10720,
  ],
  4100: [10030, 10031, 10032, 10080, 10270],
  4300: [10040],
  4400: [10230],
  4410: [10240],
  4420: [10250],
  4430: [10260],
  4440: [10100, 10600],
  4450: [10220, 10610],
  4470: [10300],
  4480: [10460],
  4490: [10470, 10770, 10780, 10790],
  4500: [10480],
  4510: [10570],
  6000: [10050, 10090, 10130, 10140, 10160, 10170, 10180, 10190],
  6010: [10150],
  6020: [10290],
  6030: [10650, 10730],
  6040: [10660, 10750, 10760],
  6050: [10670, 10740],
  6070: [10690],
  7000: [10200],
};

test('the table of errors has every code and module of the reference', () => {
  const rows = Object.values(CMQ_ERRORS);
  for (const [code, modules] of Object.entries(REFERENCE)) {
    for (const module of modules) {
      const isThere = rows.some((row) => row.code === Number(code) && row.module === module);
      expect([code, module, isThere]).toEqual([code, module, true]);
    }
  }
  // The one code whose module the reference leaves open.
  const own = rows.filter(({ code, module }) => REFERENCE[code]?.includes(module) !== true);
  expect(new Set(own.map(({ code }) => code))).toEqual(new Set([4460]));
});

test('every error can be written in both APIs', () => {
  for (const name of Object.keys(CMQ_ERRORS) as CmqErrorName[]) {
    const failure = new CmqFailure(name);
    expect(() => JSON.parse(new ReplyFormatV2('1').failed('1', failure)) as unknown).not.toThrow();
    expect(CMQ_ERRORS[name].v3).toMatch(/^[A-Za-z]+(\.[A-Za-z]+)?$/);
  }
});
