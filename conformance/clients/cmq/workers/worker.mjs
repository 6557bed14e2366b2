// A worker on qcloudapi-sdk: squares numbers until it is killed.
import { gateway, load, secretId, secretKey, sleep } from '../js/common.mjs';

const QcloudApi = load('qcloudapi-sdk');
const { TASKS: tasks, RESULTS: results } = process.env;
const capi = new QcloudApi({ SecretId: secretId, SecretKey: secretKey, Region: 'gz' });
const call = (Action, parameters) =>
  new Promise((resolve, reject) => {
    const place = { host: gateway.host, protocol: 'http' };
    capi.request({ Action, ...parameters }, place, (error, body) => (error ? reject(error) : resolve(body)));
  });

for (;;) {
  const { code, msgBody, receiptHandle } = await call('ReceiveMessage', { queueName: tasks, pollingWaitSeconds: 5 });
  if (code !== 0) {
    await sleep(50);
    continue;
  }
  const number = Number(msgBody);
  const sent = await call('SendMessage', { queueName: results, msgBody: `${number} ${number * number} javascript` });
  if (sent.code === 0) await call('DeleteMessage', { queueName: tasks, receiptHandle });
}
