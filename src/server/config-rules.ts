import type { Config, Origin } from './config.ts';
import type { OptionKey } from './options.ts';

/** What is wrong with options that are fine one by one; one sentence each. */
export function checkConfig(
  config: Config,
  origins: ReadonlyMap<OptionKey, Origin>,
): readonly string[] {
  const problems: string[] = [];
  const isSet = (key: OptionKey): boolean => origins.get(key) !== 'default';
  if (config.amqpPort === 'off' && config.amqpsPort === 'off') {
    problems.push('amqp-port, amqps-port: all are off; at least one listener is needed');
  }
  if (config.amqpPort !== 0 && config.amqpPort !== 'off' && config.amqpPort === config.amqpsPort) {
    problems.push(`amqp-port, amqps-port: both are ${config.amqpPort}`);
  }
  if (
    config.amqpsPort !== 'off' &&
    !(config.tlsCert !== undefined && config.tlsKey !== undefined)
  ) {
    problems.push('amqps-port: needs tls-cert and tls-key');
  }
  if ((config.tlsCert === undefined) !== (config.tlsKey === undefined)) {
    problems.push('tls-cert, tls-key: one is useless without the other');
  }
  if (config.tlsPassphrase !== undefined && config.tlsPassphraseFile !== undefined) {
    problems.push('tls-passphrase, tls-passphrase-file: give one of them');
  }
  if (isSet('default-password') && config.defaultPasswordFile !== undefined) {
    problems.push('default-password, default-password-file: give one of them');
  }
  if (config.proxyProtocol && config.proxyTrusted.length === 0) {
    problems.push('proxy-protocol: needs proxy-trusted, the addresses whose headers are believed');
  }
  if (config.authMechanisms.length === 0) {
    problems.push('auth-mechanisms: at least one is needed');
  }
  if (config.authMechanisms.includes('EXTERNAL') && config.tlsClientCertificate === 'none') {
    problems.push('auth-mechanisms: EXTERNAL needs tls-client-certificate optional or required');
  }
  return problems;
}
