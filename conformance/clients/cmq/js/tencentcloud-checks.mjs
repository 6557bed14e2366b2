// tencentcloud-sdk-nodejs: the API 3.0 control plane, signed with TC3 (POST and GET) and version 1.
import { check, equal, finish, gateway, load, SKIP, secretId, secretKey, truth, unique } from './common.mjs';

const { tdmq, cmq } = load('tencentcloud-sdk-nodejs');
// What the SDK would ask when its endpoint has no region.
const region = 'ap-guangzhou';

const modes = {
  'TC3 POST': { signMethod: 'TC3-HMAC-SHA256', reqMethod: 'POST' },
  'TC3 GET': { signMethod: 'TC3-HMAC-SHA256', reqMethod: 'GET' },
  'HmacSHA1 POST': { signMethod: 'HmacSHA1', reqMethod: 'POST' },
  'HmacSHA256 GET': { signMethod: 'HmacSHA256', reqMethod: 'GET' },
};

function profile({ signMethod, reqMethod }) {
  return { signMethod, httpProfile: { protocol: 'http://', endpoint: gateway.host, reqMethod, reqTimeout: 20 } };
}

function client(mode, credential = { secretId, secretKey }) {
  return new tdmq.v20200217.Client({ credential, region, profile: profile(mode) });
}

async function refused(promise, code) {
  try {
    await promise;
  } catch (error) {
    truth(error.code?.startsWith(code), `${error.code} ${error.message} begins with ${code}`);
    truth(typeof error.requestId === 'string' && error.requestId !== '', 'a request id');
    return;
  }
  throw new Error(`not refused: ${code}`);
}

async function queueChecks(mode, api) {
  const QueueName = unique('tc');
  const dead = unique('tc-dead');
  const describe = async () => (await api.DescribeCmqQueueDetail({ QueueName })).QueueDescribe;
  await check(`${mode}: CreateCmqQueue, DescribeCmqQueueDetail`, async () => {
    const { QueueId } = await api.CreateCmqQueue({ QueueName, VisibilityTimeout: 45, RewindSeconds: 600, Trace: true });
    const found = await describe();
    equal([found.QueueId, found.QueueName, found.VisibilityTimeout, found.RewindSeconds, found.Trace], [QueueId, QueueName, 45, 600, true]);
    equal([found.ActiveMsgNum, found.InactiveMsgNum, found.DelayMsgNum, found.RewindMsgNum], [0, 0, 0, 0]);
    await refused(api.CreateCmqQueue({ QueueName }), 'ResourceInUse');
  });
  await check(`${mode}: DescribeCmqQueues`, async () => {
    const { TotalCount, QueueList } = await api.DescribeCmqQueues({ QueueName, Offset: 0, Limit: 10 });
    equal([TotalCount, QueueList[0].QueueName, QueueList[0].VisibilityTimeout], [1, QueueName, 45]);
    equal((await api.DescribeCmqQueues({ QueueNameList: [QueueName] })).TotalCount, 1);
  });
  await check(`${mode}: SendCmqMsg with and without delay, ClearCmqQueue`, async () => {
    const { Result, MsgId } = await api.SendCmqMsg({ QueueName, MsgContent: 'Grüße 消息', DelaySeconds: 0 });
    truth(Result === true && /^\d+$/.test(MsgId), 'Result and a numeric MsgId');
    await api.SendCmqMsg({ QueueName, MsgContent: 'later', DelaySeconds: 60 });
    const found = await describe();
    equal([found.ActiveMsgNum, found.DelayMsgNum], [1, 1]);
    await api.ClearCmqQueue({ QueueName });
    const empty = await describe();
    equal([empty.ActiveMsgNum, empty.DelayMsgNum], [0, 0]);
  });
  await check(`${mode}: ModifyCmqQueueAttribute binds a dead-letter queue, UnbindCmqDeadLetter`, async () => {
    await api.CreateCmqQueue({ QueueName: dead });
    await api.ModifyCmqQueueAttribute({ QueueName, VisibilityTimeout: 60, DeadLetterQueueName: dead, Policy: 0, MaxReceiveCount: 3 });
    const { DeadLetterPolicy, VisibilityTimeout } = await describe();
    equal([VisibilityTimeout, DeadLetterPolicy.Policy, DeadLetterPolicy.MaxReceiveCount], [60, 0, 3]);
    const { QueueDescribe } = await api.DescribeCmqQueueDetail({ QueueName: dead });
    equal(QueueDescribe.DeadLetterSource.map((source) => source.QueueName), [QueueName]);
    await refused(api.DeleteCmqQueue({ QueueName: dead }), '');
    await api.UnbindCmqDeadLetter({ SourceQueueName: QueueName });
    await api.DeleteCmqQueue({ QueueName: dead });
  });
  await check(`${mode}: RewindCmqQueue`, async () => {
    await api.RewindCmqQueue({ QueueName, StartConsumeTime: Math.floor(Date.now() / 1000) - 60 });
  });
  await check(`${mode}: DeleteCmqQueue`, async () => {
    await api.DeleteCmqQueue({ QueueName });
    await refused(api.DescribeCmqQueueDetail({ QueueName }), 'ResourceNotFound');
  });
}

async function topicChecks(mode, api) {
  const TopicName = unique('tc-topic');
  const SubscriptionName = unique('tc-sub');
  const Endpoint = unique('tc-target');
  const one = { TopicName, SubscriptionName };
  const describe = async () => {
    const { SubscriptionSet } = await api.DescribeCmqSubscriptionDetail({ TopicName, QueryType: 'topic' });
    return SubscriptionSet;
  };
  await check(`${mode}: CreateCmqTopic, DescribeCmqTopicDetail, DescribeCmqTopics`, async () => {
    const { TopicId } = await api.CreateCmqTopic({ TopicName, FilterType: 1, MsgRetentionSeconds: 3_600 });
    const { TopicDescribe } = await api.DescribeCmqTopicDetail({ TopicName });
    equal([TopicDescribe.TopicId, TopicDescribe.TopicName, TopicDescribe.FilterType], [TopicId, TopicName, 1]);
    equal((await api.DescribeCmqTopics({ TopicName })).TopicList.map((topic) => topic.TopicName), [TopicName]);
  });
  await check(`${mode}: ModifyCmqTopicAttribute`, async () => {
    await api.ModifyCmqTopicAttribute({ TopicName, MaxMsgSize: 4_096 });
    equal((await api.DescribeCmqTopicDetail({ TopicName })).TopicDescribe.MaxMsgSize, 4_096);
  });
  await check(`${mode}: CreateCmqSubscribe, DescribeCmqSubscriptionDetail`, async () => {
    await api.CreateCmqQueue({ QueueName: Endpoint });
    await api.CreateCmqSubscribe({ ...one, Protocol: 'queue', Endpoint, NotifyContentFormat: 'SIMPLIFIED', FilterTag: ['a', 'b'] });
    const [found] = await describe();
    equal([found.SubscriptionName, found.Protocol, found.Endpoint, found.FilterTags], [SubscriptionName, 'queue', Endpoint, ['a', 'b']]);
    const { TotalCount } = await api.DescribeCmqSubscriptionDetail({ QueueName: Endpoint, QueryType: 'queue' });
    equal(TotalCount, 1);
  });
  await check(`${mode}: PublishCmqMsg`, async () => {
    const { Result, MsgId } = await api.PublishCmqMsg({ TopicName, MsgContent: 'to b', MsgTag: ['b'] });
    truth(Result === true && /^\d+$/.test(MsgId), 'Result and a numeric MsgId');
    await api.PublishCmqMsg({ TopicName, MsgContent: 'to c', MsgTag: ['c'] });
    equal((await api.DescribeCmqQueueDetail({ QueueName: Endpoint })).QueueDescribe.ActiveMsgNum, 1);
  });
  await check(`${mode}: ModifyCmqSubscriptionAttribute, ClearCmqSubscriptionFilterTags`, async () => {
    await api.ModifyCmqSubscriptionAttribute({ ...one, NotifyStrategy: 'BACKOFF_RETRY', FilterTags: ['c'] });
    const [found] = await describe();
    equal([found.NotifyStrategy, found.FilterTags], ['BACKOFF_RETRY', ['c']]);
    await api.ClearCmqSubscriptionFilterTags(one);
    equal((await describe())[0].FilterTags ?? [], []);
  });
  await check(`${mode}: DeleteCmqSubscribe, DeleteCmqTopic`, async () => {
    await refused(api.DeleteCmqTopic({ TopicName }), '');
    await api.DeleteCmqSubscribe(one);
    await api.DeleteCmqTopic({ TopicName });
    await refused(api.DescribeCmqTopicDetail({ TopicName }), 'ResourceNotFound');
    await api.DeleteCmqQueue({ QueueName: Endpoint });
  });
}

for (const [mode, options] of Object.entries(modes)) {
  const api = client(options);
  await queueChecks(mode, api);
  await topicChecks(mode, api);
}

await check('the cmq module of 2019-03-04 describes a queue and a topic', async () => {
  const api = client(modes['TC3 POST']);
  const [QueueName, TopicName] = [unique('old'), unique('old-topic')];
  await api.CreateCmqQueue({ QueueName });
  await api.CreateCmqTopic({ TopicName });
  const old = new cmq.v20190304.Client({ credential: { secretId, secretKey }, region, profile: profile(modes['TC3 POST']) });
  const { QueueSet } = await old.DescribeQueueDetail({ QueueName });
  equal(QueueSet.map((queue) => queue.QueueName), [QueueName]);
  const { TopicSet } = await old.DescribeTopicDetail({ TopicName });
  equal(TopicSet.map((topic) => topic.TopicName), [TopicName]);
  await api.DeleteCmqQueue({ QueueName });
  await api.DeleteCmqTopic({ TopicName });
});

await check('over TLS', async () => {
  if (!process.env.CMQS_URL) throw SKIP;
  const { host } = new URL(process.env.CMQS_URL);
  const httpProfile = { protocol: 'https://', endpoint: host, reqMethod: 'POST' };
  const credential = { secretId, secretKey };
  const api = new tdmq.v20200217.Client({ credential, region, profile: { signMethod: 'TC3-HMAC-SHA256', httpProfile } });
  truth((await api.DescribeCmqQueues({})).TotalCount >= 0, 'a count');
});

await check('an unknown key and a wrong secret are AuthFailure', async () => {
  const mode = modes['TC3 POST'];
  await refused(client(mode, { secretId: 'AKIDnobody', secretKey }).DescribeCmqQueues({}), 'AuthFailure');
  await refused(client(mode, { secretId, secretKey: 'wrong' }).DescribeCmqQueues({}), 'AuthFailure');
  await refused(client(modes['HmacSHA1 POST'], { secretId, secretKey: 'wrong' }).DescribeCmqQueues({}), 'AuthFailure');
});

finish();
