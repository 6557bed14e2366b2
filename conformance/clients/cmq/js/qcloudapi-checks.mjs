// qcloudapi-sdk, the generic API 2.0 client: every action, POST with HMAC-SHA1 and GET with HMAC-SHA256.
import { check, coded, equal, finish, gateway, load, SKIP, secretId, secretKey, sleep, truth, unique } from './common.mjs';

const QcloudApi = load('qcloudapi-sdk');
const UTF8 = 'Grüße, 消息 + & = % "quoted" \n next';

/** One API object that answers promises. */
function client(options) {
  const capi = new QcloudApi({ SecretId: secretId, SecretKey: secretKey, Region: 'gz', ...options });
  const place = { host: gateway.host, protocol: 'http', ...options };
  return (Action, parameters = {}) =>
    new Promise((resolve, reject) => {
      capi.request({ Action, ...parameters }, place, (error, body) => (error ? reject(error) : resolve(body)));
    });
}

const modes = {
  'POST sha1': { method: 'POST', signatureMethod: 'sha1' },
  'GET sha256': { method: 'GET', signatureMethod: 'sha256' },
  'POST sha256 at /': { method: 'POST', signatureMethod: 'sha256', path: '/' },
};

async function queueChecks(mode, call) {
  const queueName = unique('qc');
  const attributes = {
    maxMsgHeapNum: 1_000_000,
    pollingWaitSeconds: 0,
    visibilityTimeout: 1,
    maxMsgSize: 65_536,
    msgRetentionSeconds: 3_600,
    rewindSeconds: 600,
  };
  await check(`${mode}: CreateQueue`, async () => {
    const { queueId } = coded(await call('CreateQueue', { queueName, ...attributes }));
    truth(typeof queueId === 'string' && queueId !== '', 'a queueId');
    coded(await call('CreateQueue', { queueName: queueName.toUpperCase() }), 4460);
  });
  await check(`${mode}: ListQueue`, async () => {
    const { totalCount, queueList } = coded(await call('ListQueue', { searchWord: queueName, offset: 0, limit: 10 }));
    equal(totalCount, 1);
    equal(queueList[0].queueName, queueName);
  });
  await check(`${mode}: GetQueueAttributes`, async () => {
    const reply = coded(await call('GetQueueAttributes', { queueName }));
    for (const [name, value] of Object.entries(attributes)) equal(reply[name], value, name);
    equal([reply.activeMsgNum, reply.inactiveMsgNum, reply.delayMsgNum, reply.rewindMsgNum], [0, 0, 0, 0]);
  });
  await check(`${mode}: SetQueueAttributes`, async () => {
    coded(await call('SetQueueAttributes', { queueName, visibilityTimeout: 30 }));
    equal(coded(await call('GetQueueAttributes', { queueName })).visibilityTimeout, 30);
  });
  await check(`${mode}: SendMessage, ReceiveMessage, DeleteMessage`, async () => {
    coded(await call('ReceiveMessage', { queueName, pollingWaitSeconds: 0 }), 7000);
    const { msgId } = coded(await call('SendMessage', { queueName, msgBody: UTF8 }));
    const got = coded(await call('ReceiveMessage', { queueName, pollingWaitSeconds: 3 }));
    equal([got.msgId, got.msgBody, got.dequeueCount], [msgId, UTF8, 1]);
    coded(await call('DeleteMessage', { queueName, receiptHandle: got.receiptHandle }));
    coded(await call('ReceiveMessage', { queueName, pollingWaitSeconds: 0 }), 7000);
    coded(await call('DeleteMessage', { queueName, receiptHandle: got.receiptHandle }), 4430);
  });
  await check(`${mode}: batches of 16 with arrays`, async () => {
    const msgBody = Array.from({ length: 16 }, (_, at) => `batch ${at}`);
    const { msgList } = coded(await call('BatchSendMessage', { queueName, msgBody }));
    equal(msgList.length, 16);
    const { msgInfoList } = coded(await call('BatchReceiveMessage', { queueName, numOfMsg: 16, pollingWaitSeconds: 1 }));
    equal(msgInfoList.map((message) => message.msgBody), msgBody);
    equal(msgInfoList.map((message) => message.msgId), msgList.map((message) => message.msgId));
    const receiptHandle = msgInfoList.map((message) => message.receiptHandle);
    coded(await call('BatchDeleteMessage', { queueName, receiptHandle: [...receiptHandle.slice(0, 3), 'gone-1'] }), 6010);
    coded(await call('BatchDeleteMessage', { queueName, receiptHandle: receiptHandle.slice(3) }));
  });
  await check(`${mode}: RewindQueue`, async () => {
    const startConsumeTime = Math.floor(Date.now() / 1000) - 300;
    coded(await call('RewindQueue', { queueName, startConsumeTime }));
    equal(coded(await call('GetQueueAttributes', { queueName })).activeMsgNum, 17);
  });
  await check(`${mode}: DeleteQueue`, async () => {
    coded(await call('DeleteQueue', { queueName }));
    coded(await call('GetQueueAttributes', { queueName }), 4440);
  });
}

async function topicChecks(mode, call) {
  const topicName = unique('qc-topic');
  const queueName = unique('qc-target');
  const subscriptionName = unique('qc-sub');
  const bodies = async () => {
    const found = [];
    for (;;) {
      const reply = await call('ReceiveMessage', { queueName, pollingWaitSeconds: 0 });
      if (reply.code === 7000) return found;
      found.push(coded(reply).msgBody);
    }
  };
  await check(`${mode}: CreateTopic, GetTopicAttributes, SetTopicAttributes, ListTopic`, async () => {
    truth(coded(await call('CreateTopic', { topicName })).topicId, 'a topicId');
    coded(await call('SetTopicAttributes', { topicName, maxMsgSize: 2_048 }));
    const reply = coded(await call('GetTopicAttributes', { topicName }));
    equal([reply.maxMsgSize, reply.filterType], [2_048, 1]);
    equal(coded(await call('ListTopic', { searchWord: topicName })).topicList[0].topicName, topicName);
  });
  await check(`${mode}: Subscribe and both lists of its attributes`, async () => {
    coded(await call('CreateQueue', { queueName }));
    const wanted = { topicName, subscriptionName, protocol: 'queue', endpoint: queueName, notifyContentFormat: 'SIMPLIFIED' };
    coded(await call('Subscribe', { ...wanted, filterTag: ['red', 'blue'] }));
    const { subscriptionList } = coded(await call('ListSubscriptionByTopic', { topicName }));
    equal(subscriptionList.map((one) => [one.subscriptionName, one.protocol, one.endpoint]), [[subscriptionName, 'queue', queueName]]);
    const reply = coded(await call('GetSubscriptionAttributes', { topicName, subscriptionName }));
    equal(reply.filterTags, ['red', 'blue']);
  });
  await check(`${mode}: PublishMessage with tags`, async () => {
    coded(await call('PublishMessage', { topicName, msgBody: 'to red', msgTag: ['red'] }));
    coded(await call('PublishMessage', { topicName, msgBody: 'to green', msgTag: ['green'] }));
    coded(await call('PublishMessage', { topicName, msgBody: 'to nobody' }));
    equal(await bodies(), ['to red']);
  });
  await check(`${mode}: BatchPublishMessage, ClearSubscriptionFilterTags`, async () => {
    coded(await call('ClearSubscriptionFilterTags', { topicName, subscriptionName }));
    coded(await call('BatchPublishMessage', { topicName, msgBody: ['one', 'two', 'three'], msgTag: ['green'] }));
    equal(await bodies(), ['one', 'two', 'three']);
  });
  await check(`${mode}: SetSubscriptionAttributes`, async () => {
    coded(await call('SetSubscriptionAttributes', { topicName, subscriptionName, notifyStrategy: 'BACKOFF_RETRY', filterTag: ['pink'] }));
    const reply = coded(await call('GetSubscriptionAttributes', { topicName, subscriptionName }));
    equal([reply.notifyStrategy, reply.filterTags], ['BACKOFF_RETRY', ['pink']]);
  });
  await check(`${mode}: Unsubscribe, DeleteTopic`, async () => {
    coded(await call('DeleteTopic', { topicName }), 4000);
    coded(await call('Unsubscribe', { topicName, subscriptionName }));
    coded(await call('PublishMessage', { topicName, msgBody: 'nobody' }), 6030);
    coded(await call('DeleteTopic', { topicName }));
    coded(await call('DeleteQueue', { queueName }));
  });
}

for (const [mode, options] of Object.entries(modes)) {
  const call = client(options);
  await queueChecks(mode, call);
  await topicChecks(mode, call);
}

const post = client(modes['POST sha1']);
await check('a body that begins with @ is out of the signature', async () => {
  const queueName = unique('at');
  coded(await post('CreateQueue', { queueName }));
  coded(await post('SendMessage', { queueName, msgBody: '@file' }));
  equal(coded(await post('ReceiveMessage', { queueName })).msgBody, '@file');
  coded(await post('DeleteQueue', { queueName }));
});

await check('a message of 1 MB less its form', async () => {
  const queueName = unique('large');
  coded(await post('CreateQueue', { queueName, maxMsgSize: 1_048_576 }));
  const msgBody = 'x'.repeat(1_047_000);
  coded(await post('SendMessage', { queueName, msgBody }));
  equal(coded(await post('ReceiveMessage', { queueName })).msgBody.length, msgBody.length);
  coded(await post('DeleteQueue', { queueName }));
});

await check('a long poll wakes on a send', async () => {
  const queueName = unique('poll');
  coded(await post('CreateQueue', { queueName }));
  const polled = post('ReceiveMessage', { queueName, pollingWaitSeconds: 10 });
  await sleep(300);
  const sentAt = Date.now();
  coded(await post('SendMessage', { queueName, msgBody: 'wake' }));
  equal(coded(await polled).msgBody, 'wake');
  truth(Date.now() - sentAt < 2_000, 'woken at once');
  coded(await post('DeleteQueue', { queueName }));
});

await check('over TLS', async () => {
  if (!process.env.CMQS_URL) throw SKIP;
  const { host } = new URL(process.env.CMQS_URL);
  const call = client({ method: 'POST', signatureMethod: 'sha256', host, protocol: 'https' });
  const queueName = unique('tls');
  coded(await call('CreateQueue', { queueName }));
  coded(await call('SendMessage', { queueName, msgBody: 'sealed' }));
  equal(coded(await call('ReceiveMessage', { queueName })).msgBody, 'sealed');
  coded(await call('DeleteQueue', { queueName }));
});

await check('a wrong key is refused with 4100', async () => {
  const stranger = client({ ...modes['POST sha1'], SecretKey: 'wrong' });
  coded(await stranger('ListQueue'), 4100);
});

finish();
