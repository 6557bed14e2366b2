// What the Go SDK cannot make itself: `place.mjs make NAME` makes a queue, a tag topic that leads to it
// and a topic of routing keys, all of that name; `place.mjs remove NAME` removes them.
import { coded, gateway, load, secretId, secretKey } from '../js/common.mjs';

const QcloudApi = load('qcloudapi-sdk');
const [what, name] = process.argv.slice(2);
const capi = new QcloudApi({ SecretId: secretId, SecretKey: secretKey, Region: 'gz' });

function call(Action, parameters) {
  return new Promise((resolve, reject) => {
    const place = { host: gateway.host, protocol: 'http', method: 'POST' };
    capi.request({ Action, ...parameters }, place, (error, body) => (error ? reject(error) : resolve(coded(body))));
  });
}

const subscription = { protocol: 'queue', notifyContentFormat: 'SIMPLIFIED', endpoint: name };
if (what === 'make') {
  await call('CreateQueue', { queueName: name, visibilityTimeout: 1 });
  await call('CreateTopic', { topicName: `${name}-tags`, filterType: 1 });
  await call('CreateTopic', { topicName: `${name}-keys`, filterType: 2 });
  await call('Subscribe', { topicName: `${name}-tags`, subscriptionName: 's', ...subscription, 'filterTag.0': 'red' });
  await call('Subscribe', { topicName: `${name}-keys`, subscriptionName: 's', ...subscription, 'bindingKey.0': 'a.#' });
} else {
  for (const topicName of [`${name}-tags`, `${name}-keys`]) {
    await call('Unsubscribe', { topicName, subscriptionName: 's' });
    await call('DeleteTopic', { topicName });
  }
  await call('DeleteQueue', { queueName: name });
}
