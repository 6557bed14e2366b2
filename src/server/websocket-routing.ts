import { SUBPROTOCOLS } from '../../protocols/stomp/spec/headers.ts';
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

/** MQTT packets in binary messages [MQTT-6.0.0-1]; browsers' clients offer a token, some do not. */
export function mqttRoute(accept: AcceptTransport): WebSocketRoute {
  return {
    protocol: 'mqtt',
    paths: ['/mqtt', '/ws/mqtt', '/ws'],
    tokens: ['mqtt', 'mqttv3.1'],
    acceptsNoToken: true,
    isText: false,
    isNeverPinged: true,
    accept,
  };
}

/** STOMP frames in text messages, in binary ones when a body is no text. */
export function stompRoute(accept: AcceptTransport): WebSocketRoute {
  return {
    protocol: 'stomp',
    paths: ['/stomp', '/ws/stomp', '/ws'],
    tokens: SUBPROTOCOLS,
    acceptsNoToken: true,
    isText: true,
    accept,
  };
}
