import { HANDSHAKE_MS_MAX, MESSAGE_BYTES_DEFAULT } from '../../src/base/limits.ts';
import type { CommonProperties } from '../../src/engine/ports.ts';

/** What an operator may set about STOMP; the composition root fills it from the configuration. */
export interface StompSettings {
  /** `server` of CONNECTED, as product/version. */
  readonly server: string;
  /** Largest body accepted. */
  readonly maxMessageBytes: number;
  /** A verified client certificate is a login when CONNECT names none. */
  readonly acceptsCertificates: boolean;
  /** Time from connect to login. */
  readonly loginTimeoutMs: number;
  /** Time a peer has to take an ERROR frame or the last receipt before the socket is dropped. */
  readonly closeTimeoutMs: number;
}

export const DEFAULT_STOMP_SETTINGS: StompSettings = {
  server: 'Tributary/0.0.0',
  maxMessageBytes: MESSAGE_BYTES_DEFAULT,
  acceptsCertificates: false,
  loginTimeoutMs: HANDSHAKE_MS_MAX,
  closeTimeoutMs: 5_000,
};

/** How messages of the engine's format begin: the part of the AMQP codec that sending needs. */
export interface MessageHeaders {
  /** A header with these properties, owned; no text of them is longer than 255 bytes. */
  encode(properties: CommonProperties, bodyBytes: number): Buffer;
  /** Writes the body size into the header at `start` of `bytes`. */
  putBodySize(bytes: Buffer, start: number, bodyBytes: number): void;
}
