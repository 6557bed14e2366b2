import type { AcceptTransport } from '../net/transport.ts';
import type { WebSocketRoute } from '../net/websocket-routes.ts';

/** AMQP frames in binary messages. `@cloudamqp/amqp-client` offers no token, so none is needed. */
export function amqpRoute(accept: AcceptTransport): WebSocketRoute {
  return {
    protocol: 'amqp',
    paths: ['/ws/amqp', '/ws', '/'],
    tokens: ['amqp'],
    acceptsNoToken: true,
    isText: false,
    accept,
  };
}
