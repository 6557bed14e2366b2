import { keyProblem } from '../engine/access/access-key.ts';
import { type Config, camelCase, type Origin } from './config.ts';
import type { OptionKey } from './options.ts';

/** Where clients can connect; metrics alone make no broker. */
const CLIENT_PORTS = [
  'amqp-port',
  'amqps-port',
  'mqtt-port',
  'mqtts-port',
  'stomp-port',
  'stomps-port',
  'http-port',
  'https-port',
  'web-mqtt-port',
] as const;
/** Those that speak TLS. */
const TLS_PORTS = ['amqps-port', 'mqtts-port', 'stomps-port', 'https-port'] as const;

/** What is wrong with options that are fine one by one; one sentence each. */
export function checkConfig(
  config: Config,
  origins: ReadonlyMap<OptionKey, Origin>,
): readonly string[] {
  const problems: string[] = [];
  const isSet = (key: OptionKey): boolean => origins.get(key) !== 'default';
  if (CLIENT_PORTS.every((key) => portOf(config, key) === 'off')) {
    problems.push(`${CLIENT_PORTS.join(', ')}: all are off; at least one listener is needed`);
  }
  const users = new Map<number | 'off', OptionKey>();
  for (const key of [...CLIENT_PORTS, 'metrics-port'] as const) {
    const port = portOf(config, key);
    if (port === 'off' || port === 0) continue;
    const other = users.get(port);
    if (other !== undefined) problems.push(`${other}, ${key}: both are ${port}`);
    users.set(port, key);
  }
  for (const key of TLS_PORTS) {
    const hasCertificate = config.tlsCert !== undefined && config.tlsKey !== undefined;
    if (portOf(config, key) !== 'off' && !hasCertificate) {
      problems.push(`${key}: needs tls-cert and tls-key`);
    }
  }
  if ((config.tlsCert === undefined) !== (config.tlsKey === undefined)) {
    problems.push('tls-cert, tls-key: one is useless without the other');
  }
  if (config.tlsPassphrase !== undefined && config.tlsPassphraseFile !== undefined) {
    problems.push('tls-passphrase, tls-passphrase-file: give one of them');
  }
  // Without authorities of one's own, those that vouch for the web's servers would do.
  if (config.tlsClientCertificate !== 'none' && config.tlsCa === undefined) {
    problems.push('tls-client-certificate: needs tls-ca, the authorities that are believed');
  }
  if (config.mqttRedirect !== 'at-stop' && config.mqttServerReference === undefined) {
    problems.push(`mqtt-redirect: ${config.mqttRedirect} needs mqtt-server-reference`);
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
  problems.push(...checkTokens(config), ...checkKey(config));
  return problems;
}

function checkKey(config: Config): readonly string[] {
  const { cmqSecretId, cmqSecretKey, cmqSecretKeyFile } = config;
  const hasSecret = cmqSecretKey !== undefined || cmqSecretKeyFile !== undefined;
  const problems: string[] = [];
  if ((cmqSecretId !== undefined) !== hasSecret) {
    problems.push('cmq-secret-id, cmq-secret-key: one is useless without the other');
  }
  if (cmqSecretKey !== undefined && cmqSecretKeyFile !== undefined) {
    problems.push('cmq-secret-key, cmq-secret-key-file: give one of them');
  }
  if (cmqSecretId !== undefined && cmqSecretKey !== undefined) {
    const problem = keyProblem({ id: cmqSecretId, secret: cmqSecretKey });
    if (problem !== undefined) problems.push(`cmq-secret-id, cmq-secret-key: ${problem}`);
  }
  return problems;
}

/** A token whose issuer and audience nobody checks could be meant for anyone. */
function checkTokens(config: Config): readonly string[] {
  const { tokenJwks, tokenIssuer, tokenAudience } = config;
  const settings = [tokenJwks, tokenIssuer, tokenAudience];
  const isComplete = settings.every((value) => value !== undefined);
  const isOff = settings.every((value) => value === undefined);
  const problems: string[] = [];
  if (!isComplete && !isOff) {
    problems.push('token-jwks, token-issuer, token-audience: tokens need all three');
  }
  if (config.tokenAlgorithms.length === 0) {
    problems.push('token-algorithms: at least one is needed');
  }
  return problems;
}

function portOf(config: Config, key: OptionKey): number | 'off' {
  return (config as unknown as Readonly<Record<string, number | 'off'>>)[camelCase(key)]!;
}
