import { DEFAULT_MQTT_SETTINGS, type MqttSettings } from '../../protocols/mqtt/settings.ts';
import type { Config } from './config.ts';
import { readProductVersion } from './product.ts';

/** The part of the configuration that MQTT takes. */
export function mqttSettings(config: Config): MqttSettings {
  const expirySeconds = Math.ceil(config.mqttSessionExpiryMax / 1000);
  return {
    ...DEFAULT_MQTT_SETTINGS,
    product: 'Tributary',
    version: readProductVersion(),
    defaultVhost: config.defaultVhost,
    vhostsByPort: config.mqttPortVhosts,
    vhostsByCertificate: config.mqttCertificateVhosts,
    anonymousUser: config.mqttAnonymousUser,
    disconnectsUnauthorized: config.mqttDisconnectUnauthorized,
    sessionExpirySecondsMax: expirySeconds === 0 ? Infinity : expirySeconds,
    keepAliveSecondsMax: Math.ceil(config.mqttKeepAliveMax / 1000),
    receiveMaximum: config.mqttReceiveMaximum,
    topicAliasMax: config.mqttTopicAliasMaximum,
    outgoingAliasMax: config.mqttTopicAliasMaximum,
    maxPacketBytes: config.mqttMaxPacketSize,
    connectTimeoutMs: config.handshakeTimeout,
    checksPayloadFormat: config.mqttCheckPayloadFormat,
    responseInformation: config.mqttResponseInformation,
    serverReference: config.mqttServerReference,
    redirect: config.mqttRedirect,
  };
}
