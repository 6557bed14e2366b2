import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { defaultConfig, formatConfig } from '../../src/server/config.ts';
import { ConfigError, type ConfigInput, loadConfig } from '../../src/server/config-loader.ts';

let directory = '';

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'tributary-config-'));
});

afterAll(() => rmSync(directory, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

function load(input: Partial<ConfigInput>) {
  return loadConfig({ flags: new Map(), environment: {}, ...input });
}

function problemsOf(input: Partial<ConfigInput>): readonly string[] {
  try {
    load(input);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe('loadConfig', () => {
  test('without anything gives the defaults', () => {
    expect(load({}).config).toEqual(defaultConfig());
    expect(defaultConfig()).toMatchObject({
      dataDir: './data',
      host: [],
      amqpPort: 5_672,
      amqpsPort: 'off',
      mqttPort: 1_883,
      stompPort: 61_613,
      durability: 'full',
      maxMessageSize: 64 * 1024 * 1024,
      heartbeat: 60_000,
      tlsCert: undefined,
      loopbackUsers: ['guest'],
      authMechanisms: ['PLAIN', 'AMQPLAIN'],
    });
  });

  test('a flag wins over the environment, that over the file, that over the default', () => {
    const path = file('order.toml', 'heartbeat = 1\nchannel-max = 1\nbacklog = 1\n');
    const { config, origins } = load({
      file: path,
      environment: { TRIBUTARY_HEARTBEAT: '2', TRIBUTARY_CHANNEL_MAX: '2' },
      flags: new Map([['heartbeat', '3']]),
    });
    expect(config).toMatchObject({ heartbeat: 3_000, channelMax: 2, backlog: 1 });
    expect(origins.get('heartbeat')).toBe('flag');
    expect(origins.get('channel-max')).toBe('environment');
    expect(origins.get('backlog')).toBe('file');
    expect(origins.get('frame-max')).toBe('default');
  });

  test('a section of a file is a prefix', () => {
    const path = file('section.toml', '[amqp]\nport = 0\n[loopback]\nusers = []\n');
    expect(load({ file: path }).config).toMatchObject({ amqpPort: 0, loopbackUsers: [] });
  });

  test('TRIBUTARY_CONFIG names the file', () => {
    const path = file('named.toml', 'backlog = 7');
    expect(load({ environment: { TRIBUTARY_CONFIG: path } }).config.backlog).toBe(7);
  });

  test('reports every mistake at once, with the nearest name', () => {
    const path = file('bad.toml', 'amqp-prot = 1\nchannel-max = 0\ndurability = "maybe"\n');
    const problems = problemsOf({
      file: path,
      environment: { TRIBUTARY_HEARTBEET: '1', TRIBUTARY_FRAME_MAX: 'large' },
      flags: new Map([['amqp-port', '70000']]),
    });
    expect(problems).toEqual([
      `${path}: no such option \`amqp-prot\`; did you mean \`amqp-port\`?`,
      'TRIBUTARY_HEARTBEET: no such option; did you mean `TRIBUTARY_HEARTBEAT`?',
      `${path}: durability: expected one of full, relaxed, not "maybe"`,
      '--amqp-port: expected a port from 0 to 65535, or `off`, not "70000"',
      'TRIBUTARY_FRAME_MAX: expected a size from 4KiB to 16MiB, such as 1048576 or 64MiB, ' +
        'not "large"',
      `${path}: channel-max: expected a whole number from 1 to 65535, not 0`,
    ]);
  });

  test('does not take the variables of a Kubernetes service for options', () => {
    const environment = {
      TRIBUTARY_SERVICE_HOST: '10.0.0.1',
      TRIBUTARY_SERVICE_PORT: '5672',
      TRIBUTARY_SERVICE_PORT_AMQP: '5672',
      TRIBUTARY_PORT: 'tcp://10.0.0.1:5672',
      TRIBUTARY_PORT_5672_TCP_ADDR: '10.0.0.1',
    };
    expect(problemsOf({ environment })).toEqual([]);
  });

  test('checks what belongs together', () => {
    const flags = new Map([
      ['amqp-port', 'off'],
      ['amqps-port', '15672'],
      ['tls-cert', 'cert.pem'],
      ['proxy-protocol', 'true'],
      ['auth-mechanisms', 'PLAIN,EXTERNAL'],
      ['mqtt-redirect', 'permanent'],
    ]);
    expect(problemsOf({ flags })).toEqual([
      'amqps-port, http-port: both are 15672',
      'amqps-port: needs tls-cert and tls-key',
      'tls-cert, tls-key: one is useless without the other',
      'mqtt-redirect: permanent needs mqtt-server-reference',
      'proxy-protocol: needs proxy-trusted, the addresses whose headers are believed',
      'auth-mechanisms: EXTERNAL needs tls-client-certificate optional or required',
    ]);
    const off = new Map([
      ['amqp-port', 'off'],
      ['mqtt-port', 'off'],
      ['stomp-port', 'off'],
      ['http-port', 'off'],
    ]);
    expect(problemsOf({ flags: off })).toEqual([
      'amqp-port, amqps-port, mqtt-port, mqtts-port, stomp-port, stomps-port, http-port, ' +
        'https-port, web-mqtt-port: all are off; at least one listener is needed',
    ]);
  });

  test('the authorities of the web vouch for no client', () => {
    for (const asked of ['optional', 'required']) {
      const flags = new Map([['tls-client-certificate', asked]]);
      expect(problemsOf({ flags })).toEqual([
        'tls-client-certificate: needs tls-ca, the authorities that are believed',
      ]);
    }
  });

  test('a secret may come from a file, and is never shown', () => {
    const path = file('password', 'hunter2\n');
    const loaded = load({ flags: new Map([['default-password-file', path]]) });
    expect(loaded.config.defaultPassword).toBe('hunter2');
    const text = formatConfig(loaded);
    expect(text).toContain('default-password = ********');
    expect(text).not.toContain('hunter2');
    const both = new Map([
      ['default-password', 'x'],
      ['default-password-file', path],
    ]);
    expect(problemsOf({ flags: both })).toHaveLength(1);
    expect(problemsOf({ flags: new Map([['default-password-file', '/nowhere']]) })[0]).toContain(
      'default-password-file: cannot be read',
    );
  });

  test('names the line of a syntax error', () => {
    const path = file('syntax.toml', 'backlog = 1\nheartbeat = = 2\n');
    expect(problemsOf({ file: path })[0]).toContain('2:');
    expect(problemsOf({ file: '/nowhere.toml' })[0]).toContain('cannot be read');
    expect(problemsOf({ file: file('x.ini', '') })[0]).toContain('.toml');
  });
});

describe('rabbitmq.conf', () => {
  test('the documented subset is understood', () => {
    const path = file(
      'rabbitmq.conf',
      `# comment
listeners.tcp.local = 127.0.0.1:5673
listeners.tcp.second = ::1:5673
listeners.ssl.default = 5671   # trailing comment
ssl_options.cacertfile = /ca.pem
ssl_options.certfile = /cert.pem
ssl_options.keyfile = /key.pem
ssl_options.password = 'secret'
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
ssl_options.versions.1 = tlsv1.3
ssl_cert_login_from = common_name
default_user = admin
default_pass = s3cret
default_vhost = orders
loopback_users.guest = false
loopback_users.1 = local
heartbeat = 30
frame_max = 65536
channel_max = 100
max_message_size = 1048576
disk_free_limit.absolute = 1GB
vm_memory_high_watermark.relative = 0.5
handshake_timeout = 5000
consumer_timeout = 3600000
auth_mechanisms.1 = PLAIN
auth_mechanisms.2 = EXTERNAL
log.level = warning
`,
    );
    expect(load({ file: path }).config).toMatchObject({
      host: ['127.0.0.1', '::1'],
      amqpPort: 5_673,
      amqpsPort: 5_671,
      tlsCa: '/ca.pem',
      tlsCert: '/cert.pem',
      tlsKey: '/key.pem',
      tlsPassphrase: 'secret',
      tlsClientCertificate: 'required',
      tlsMinVersion: '1.3',
      tlsClientName: 'common-name',
      defaultUser: 'admin',
      defaultPassword: 's3cret',
      defaultVhost: 'orders',
      loopbackUsers: ['local'],
      heartbeat: 30_000,
      frameMax: 65_536,
      channelMax: 100,
      maxMessageSize: 1_048_576,
      diskFreeLimit: 1_000_000_000,
      handshakeTimeout: 5_000,
      consumerTimeout: 3_600_000,
      authMechanisms: ['PLAIN', 'EXTERNAL'],
      logLevel: 'warn',
    });
  });

  test('`none` switches off', () => {
    const path = file(
      'none.conf',
      `listeners.tcp = none
listeners.ssl.1 = 5671
ssl_options.certfile = a
ssl_options.keyfile = b
loopback_users = none
`,
    );
    expect(load({ file: path }).config).toMatchObject({ amqpPort: 'off', loopbackUsers: [] });
  });

  test('mistakes are told in the words of the file', () => {
    const path = file(
      'wrong.conf',
      "disk_free_limit.absolute = many\nhandshake_timeout = 5s\nssl_options.password = 'a #b' # c\n" +
        'vm_memory_high_watermark.relative = half\n',
    );
    expect(problemsOf({ file: path })).toEqual([
      `${path}: line 2: \`handshake_timeout\` is a number of milliseconds, not 5s`,
      `${path}: line 4: \`vm_memory_high_watermark.relative\` is a share such as 0.6, not half`,
      `${path}: disk_free_limit.absolute: expected a size at least 0, such as 1048576 or 64MiB, ` +
        'not "many"',
    ]);
  });

  test('a misspelt word never becomes the laxer setting', () => {
    const path = file(
      'misspelt.conf',
      'ssl_options.verify = verify-peer\nssl_options.fail_if_no_peer_cert = yes\n' +
        'ssl_options.versions.1 = 1.3\nloopback_users = guest\nloopback_users.ann = ture\n',
    );
    expect(problemsOf({ file: path })).toEqual([
      `${path}: line 1: \`ssl_options.verify\`: expected verify_peer or verify_none, ` +
        'not "verify-peer"',
      `${path}: line 2: \`ssl_options.fail_if_no_peer_cert\`: expected true or false, not "yes"`,
      `${path}: line 3: \`ssl_options.versions.1\`: expected tlsv1.3 or tlsv1.2 or tlsv1.1 or ` +
        'tlsv1, not "1.3"',
      `${path}: line 4: \`loopback_users\`: expected none, not "guest"`,
      `${path}: line 5: \`loopback_users.ann\`: expected true or false, not "ture"`,
    ]);
  });

  test('a quoted value may have a # in it', () => {
    const path = file('quoted.conf', "default_pass = 'a #b' # comment\n");
    expect(load({ file: path }).config.defaultPassword).toBe('a #b');
  });

  test('anything else is an error', () => {
    const path = file(
      'unknown.conf',
      'heartbaet = 1\nmanagement.tcp.port = 1\nnonsense\n' +
        'listeners.tcp.1 = 1\nlisteners.tcp.2 = 2\n',
    );
    expect(problemsOf({ file: path })).toEqual([
      `${path}: line 1: \`heartbaet\` is not a rabbitmq.conf key known here; ` +
        'did you mean `heartbeat`?',
      `${path}: line 2: \`management.tcp.port\` is not a rabbitmq.conf key known here`,
      `${path}: line 3: expected \`key = value\``,
      `${path}: line 5: all listeners of a kind must use one port (1 and 2)`,
    ]);
  });
});
