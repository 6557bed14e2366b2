import { encodeHeader } from '../../protocols/amqp/content-header.ts';
import {
  DEFAULT_STOMP_SETTINGS,
  type MessageHeaders,
  type StompSettings,
} from '../../protocols/stomp/settings.ts';
import { putU64 } from '../base/byte-writer.ts';
import type { Config } from './config.ts';

/** The part of the configuration that STOMP takes. */
export function stompSettings(config: Config): StompSettings {
  return {
    ...DEFAULT_STOMP_SETTINGS,
    server: `${config.serverProduct}/${config.serverVersion}`,
    maxMessageBytes: config.maxMessageSize,
    acceptsCertificates: config.authMechanisms.includes('EXTERNAL'),
    loginTimeoutMs: config.handshakeTimeout,
    closeTimeoutMs: config.shutdownTimeout,
  };
}

/** Offset of the body size in a content header (AMQP 0-9-1, 4.2.6.1). */
const BODY_SIZE_AT = 4;

/** The engine's header format, for a protocol that must not know AMQP. */
export const MESSAGE_HEADERS: MessageHeaders = {
  encode: encodeHeader,
  putBodySize: (bytes, start, bodyBytes) => {
    putU64(bytes, start + BODY_SIZE_AT, bodyBytes);
  },
};
