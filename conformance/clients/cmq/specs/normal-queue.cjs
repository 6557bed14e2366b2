// Makes the queue that the specs subscribe with.
const { createRequire } = require('node:module');
const { CMQ } = createRequire(`${process.env.CMQ_MODULES}/`)('cmq-sdk');

const { SECRETID: secretId, SECRETKEY: secretKey, REGION: region } = process.env;
const client = CMQ.NEW({
  path: '/v2/index.php',
  signatureMethod: 'HmacSHA256',
  extranet: true,
  secretId,
  secretKey,
  region,
});

client.createQueue({ queueName: 'normal' }).then(({ code, message }) => {
  if (code === 0 || code === 4460) return;
  console.log(`not ok the queue normal: ${code} ${message}`);
  process.exitCode = 1;
});
