// Preloaded before cmq-sdk, which has its hosts built in: what it sends to them goes to the gateway of
// CMQ_URL over plain HTTP. The Host header stays what the real service would see: bare over https,
// and with the redirected port over http, as with a hosts entry and another port.
const http = require('node:http');
const https = require('node:https');

const gateway = new URL(process.env.CMQ_URL);
const VENDOR = /^cmq-(queue|topic)-[a-z]+\.api\.(qcloud|tencentyun)\.com$/;
const plainRequest = http.request;

function redirect(original, isSecure) {
  return (...given) => {
    const callback = given.findLast((one) => typeof one === 'function');
    const options = {};
    for (const one of given) {
      if (typeof one === 'string' || one instanceof URL) {
        const { protocol, hostname, port, pathname, search } = new URL(one);
        Object.assign(options, { protocol, hostname, port, path: `${pathname}${search}` });
      } else if (one !== null && typeof one === 'object') Object.assign(options, one);
    }
    const host = options.hostname ?? options.host ?? '';
    if (!VENDOR.test(host)) return original(...given);
    return plainRequest(
      {
        ...options,
        protocol: 'http:',
        hostname: gateway.hostname,
        host: gateway.hostname,
        port: gateway.port,
        agent: undefined,
        headers: { ...options.headers, host: isSecure ? host : `${host}:${gateway.port}` },
      },
      callback,
    );
  };
}

http.request = redirect(plainRequest, false);
https.request = redirect(https.request, true);
