import { type Config, defaultConfig } from '../../src/server/config.ts';

/** For a server within a test: on loopback, AMQP alone on any port, no limit of the machine's. */
export function serverConfig(dataDir: string, options: Partial<Config> = {}): Config {
  return {
    ...defaultConfig(),
    dataDir,
    host: ['127.0.0.1'],
    amqpPort: 0,
    mqttPort: 'off',
    stompPort: 'off',
    httpPort: 'off',
    diskFreeLimit: 0,
    memoryLimit: Number.MAX_SAFE_INTEGER,
    shutdownTimeout: 500,
    ...options,
  };
}
