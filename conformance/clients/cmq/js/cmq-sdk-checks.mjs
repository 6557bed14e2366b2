// cmq-sdk: the 25 actions of the legacy API, HMAC-SHA1 over http and HMAC-SHA256 over https addresses.
import { check, coded, equal, finish, load, secretId, secretKey, sleep, truth, unique } from './common.mjs';

const { CMQ } = load('cmq-sdk');

function client(signatureMethod, extranet) {
  return CMQ.NEW({ path: '/v2/index.php', signatureMethod, extranet, secretId, secretKey, region: 'gz' });
}

/** The SDK writes into its options, so each call gets its own. */
async function queueChecks(mode, cmq) {
  const queueName = unique('kain');
  await check(`${mode}: queue control`, async () => {
    truth(coded(await cmq.createQueue({ queueName, rewindSeconds: 600 })).queueId, 'a queueId');
    equal(coded(await cmq.listQueue({ searchWord: queueName })).totalCount, 1);
    coded(await cmq.setQueueAttributes({ queueName, visibilityTimeout: 5 }));
    equal(coded(await cmq.getQueueAttributes({ queueName })).visibilityTimeout, 5);
  });
  await check(`${mode}: one message`, async () => {
    const { msgId } = coded(await cmq.sendMessage({ queueName, msgBody: 'hello 你好' }));
    const got = coded(await cmq.receiveMessage({ queueName, pollingWaitSeconds: 2 }));
    equal([got.msgId, got.msgBody], [msgId, 'hello 你好']);
    coded(await cmq.deleteMessage({ queueName, receiptHandle: got.receiptHandle }));
  });
  await check(`${mode}: batches`, async () => {
    coded(await cmq.batchSendMessage({ queueName, msgBody: ['a', 'b', 'c'] }));
    const { msgInfoList } = coded(await cmq.batchReceiveMessage({ queueName, numOfMsg: 16 }));
    equal(msgInfoList.map((message) => message.msgBody), ['a', 'b', 'c']);
    coded(await cmq.batchDeleteMessage({ queueName, receiptHandle: msgInfoList.map((message) => message.receiptHandle) }));
    equal(coded(await cmq.getQueueAttributes({ queueName })).rewindmsgNum, 4);
  });
  await check(`${mode}: rewind and delete`, async () => {
    coded(await cmq.rewindQueue({ queueName, startConsumeTime: Math.floor(Date.now() / 1000) - 60 }));
    equal(coded(await cmq.getQueueAttributes({ queueName })).activeMsgNum, 4);
    coded(await cmq.deleteQueue({ queueName }));
  });
}

async function topicChecks(mode, cmq) {
  const topicName = unique('kain-topic');
  const queueName = unique('kain-target');
  const subscriptionName = unique('kain-sub');
  await check(`${mode}: topic and subscription control`, async () => {
    coded(await cmq.createQueue({ queueName }));
    coded(await cmq.createTopic({ topicName, filterType: 2 }));
    coded(await cmq.setTopicAttributes({ topicName, maxMsgSize: 65_536 }));
    equal(coded(await cmq.getTopicAttributes({ topicName })).filterType, 2);
    equal(coded(await cmq.listTopic({ searchWord: topicName })).totalCount, 1);
    coded(await cmq.subscribe({ topicName, subscriptionName, protocol: 'queue', endpoint: queueName, bindingKey: ['1.#.0', 'x.*'] }));
    equal(coded(await cmq.listSubscriptionByTopic({ topicName })).totalCount, 1);
    const reply = coded(await cmq.getSubscriptionAttributes({ topicName, subscriptionName }));
    equal(reply.bindingKey, ['1.#.0', 'x.*']);
  });
  await check(`${mode}: publish by routing key`, async () => {
    for (const routingKey of ['1.2.3.0', '1.0', 'x.y']) {
      coded(await cmq.publishMessage({ topicName, msgBody: routingKey, routingKey }));
    }
    for (const routingKey of ['x.y.z', '1.2']) {
      coded(await cmq.publishMessage({ topicName, msgBody: routingKey, routingKey }), 6030);
    }
    coded(await cmq.batchPublishMessage({ topicName, msgBody: ['p', 'q'], routingKey: 'x.p' }));
    const { msgInfoList } = coded(await cmq.batchReceiveMessage({ queueName, numOfMsg: 16 }));
    equal(msgInfoList.map((message) => message.msgBody), ['1.2.3.0', '1.0', 'x.y', 'p', 'q']);
  });
  await check(`${mode}: changes and end`, async () => {
    coded(await cmq.setSubscriptionAttributes({ topicName, subscriptionName, bindingKey: ['#'] }));
    coded(await cmq.publishMessage({ topicName, msgBody: 'any', routingKey: 'other' }));
    coded(await cmq.unsubscribe({ topicName, subscriptionName }));
    coded(await cmq.deleteTopic({ topicName }));
    coded(await cmq.deleteQueue({ queueName }));
  });
}

const modes = {
  'http sha1': client('HmacSHA1', false),
  'https sha256': client('HmacSHA256', true),
};
for (const [mode, cmq] of Object.entries(modes)) {
  await queueChecks(mode, cmq);
  await topicChecks(mode, cmq);
}

await check('an empty long poll ends within the second that the SDK allows', async () => {
  const cmq = modes['http sha1'];
  const queueName = unique('empty');
  coded(await cmq.createQueue({ queueName }));
  const started = Date.now();
  coded(await cmq.receiveMessage({ queueName, pollingWaitSeconds: 2 }), 7000);
  truth(Date.now() - started >= 1_990 && Date.now() - started < 2_900, 'ended at 2.0 s');
  coded(await cmq.deleteQueue({ queueName }));
});

await check('ClearSubscriptionFilterTags', async () => {
  const cmq = modes['https sha256'];
  const [topicName, queueName, subscriptionName] = [unique('t'), unique('q'), unique('s')];
  coded(await cmq.createQueue({ queueName }));
  coded(await cmq.createTopic({ topicName }));
  coded(await cmq.subscribe({ topicName, subscriptionName, protocol: 'queue', endpoint: queueName, filterTag: ['x'] }));
  coded(await cmq.publishMessage({ topicName, msgBody: 'no', msgTag: ['y'] }));
  coded(await cmq.clearSubscriptionFilterTags({ topicName, subscriptionName }));
  coded(await cmq.publishMessage({ topicName, msgBody: 'yes', msgTag: ['y'] }));
  await sleep(100);
  equal(coded(await cmq.receiveMessage({ queueName })).msgBody, 'yes');
});

finish();
