import { DEFAULT_MQTT_SETTINGS, type MqttSettings } from '../../protocols/mqtt/settings.ts';
import type { Config } from './config.ts';

/** The part of the configuration that MQTT takes. */
export function mqttSettings(config: Config): MqttSettings {
  return {
    ...DEFAULT_MQTT_SETTINGS,
    product: config.serverProduct,
    version: config.serverVersion,
    defaultVhost: config.defaultVhost,
    connectTimeoutMs: config.handshakeTimeout,
  };
}
