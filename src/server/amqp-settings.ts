import { type AmqpSettings, DEFAULT_AMQP_SETTINGS } from '../../protocols/amqp/settings.ts';
import type { Config } from './config.ts';
import { readProductVersion } from './product.ts';

/** The part of the configuration that AMQP takes. */
export function amqpSettings(config: Config): AmqpSettings {
  return {
    ...DEFAULT_AMQP_SETTINGS,
    product: config.serverProduct,
    version: config.serverVersion,
    gatewayVersion: readProductVersion(),
    clusterName: config.clusterName,
    frameMaxBytes: config.frameMax,
    channelMax: config.channelMax,
    heartbeatSeconds: Math.ceil(config.heartbeat / 1000),
    maxMessageBytes: config.maxMessageSize,
    mechanisms: config.authMechanisms,
    loopbackUsers: config.loopbackUsers,
    anonymousUser: config.anonymousUser,
    consumerTimeoutMs: config.consumerTimeout,
    handshakeTimeoutMs: config.handshakeTimeout,
    closeTimeoutMs: config.shutdownTimeout,
  };
}
