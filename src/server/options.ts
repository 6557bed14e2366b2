/**
 * Every option, once: its name, type, default and meaning. Flags, environment variables, file
 * keys, help and docs/CONFIG.md all come from this table:
 *
 *     amqp-port      file key (or `port` in a section `[amqp]`)
 *     --amqp-port    flag
 *     TRIBUTARY_AMQP_PORT
 */
import { totalmem } from 'node:os';
import {
  CHANNEL_COUNT_MAX,
  CONSUMER_TIMEOUT_MS_DEFAULT,
  FRAME_BYTES_DEFAULT,
  FRAME_BYTES_MIN,
  HANDSHAKE_MS_MAX,
  HEARTBEAT_SECONDS_DEFAULT,
  LIFETIME_MS_MAX,
  MESSAGE_BYTES_DEFAULT,
  MESSAGE_BYTES_MAX,
} from '../base/limits.ts';
import { CMQ_OPTIONS } from './cmq-options.ts';
import { TOKEN_ALGORITHMS } from './jwt/algorithms.ts';
import { type Option, option } from './option-row.ts';
import {
  bytes,
  bytesOrShare,
  CIDR,
  choice,
  duration,
  formatBytes,
  integer,
  listOf,
  optionalText,
  ORIGIN,
  PORT,
  SWITCH,
  text,
  VERSION,
} from './option-types.ts';
import { VHOSTS_BY_CERTIFICATE, VHOSTS_BY_PORT } from './vhost-map.ts';
import { PUSH_OPTIONS } from './push-options.ts';

/** Memory this process may use: the container's limit when there is one. */
const TOTAL_MEMORY_BYTES = Math.min(totalmem(), process.constrainedMemory() || Infinity);

export const OPTIONS = {
  'data-dir': option(
    'General',
    text('dir'),
    './data',
    'Directory of the database. One process at a time may use it; it is created when missing.',
  ),
  durability: option(
    'General',
    choice('full', 'relaxed'),
    'full',
    '`full`: a confirm follows an fsync and survives power loss. `relaxed`: it follows the write ' +
      'and survives the death of the process only.',
  ),
  'log-level': option(
    'General',
    choice('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
    'info',
    'Least severe lines that are logged.',
  ),
  'shutdown-timeout': option(
    'General',
    duration(0, 300_000),
    '5s',
    'How long a client has to answer when the server closes its connection, at a stop or after ' +
      'an error.',
  ),
  host: option(
    'Listeners',
    listOf(text('host')),
    'none',
    'Addresses to listen on. Without one: 127.0.0.1 and ::1, or all addresses once a user ' +
      'other than `guest` exists.',
  ),
  'amqp-port': option('Listeners', PORT, '5672', 'AMQP 0-9-1.'),
  'amqps-port': option(
    'Listeners',
    PORT,
    'off',
    'AMQP 0-9-1 over TLS, usually 5671; needs `tls-cert` and `tls-key`.',
  ),
  'mqtt-port': option('Listeners', PORT, '1883', 'MQTT 3.1, 3.1.1 and 5.0.'),
  'mqtts-port': option(
    'Listeners',
    PORT,
    'off',
    'MQTT over TLS, usually 8883; needs `tls-cert` and `tls-key`.',
  ),
  'stomp-port': option('Listeners', PORT, '61613', 'STOMP 1.0, 1.1 and 1.2.'),
  'stomps-port': option(
    'Listeners',
    PORT,
    'off',
    'STOMP over TLS, usually 61614; needs `tls-cert` and `tls-key`.',
  ),
  'http-port': option(
    'Listeners',
    PORT,
    '15672',
    'HTTP and WebSocket: AMQP, MQTT and STOMP for browsers (docs/WEBSOCKET.md).',
  ),
  'https-port': option(
    'Listeners',
    PORT,
    'off',
    'HTTP and WebSocket over TLS, usually 15671; needs `tls-cert` and `tls-key`.',
  ),
  'web-mqtt-port': option(
    'Listeners',
    PORT,
    'off',
    'MQTT over WebSocket alone, at `/ws`, where RabbitMQ has it: usually 15675.',
  ),
  'serve-examples': option(
    'Listeners',
    SWITCH,
    'false',
    'Serve the pages of `examples/` under `/examples/` on the HTTP port. For development.',
  ),
  'allowed-origins': option(
    'Listeners',
    listOf(ORIGIN),
    'none',
    'Origins of web pages that may open WebSockets besides those of this server, such as ' +
      '`https://app.example.com`; `*` lets all in.',
  ),
  'metrics-port': option(
    'Listeners',
    PORT,
    'off',
    'Prometheus metrics at /metrics and health at /healthz, usually 15692. No login: keep it ' +
      'on a trusted network.',
  ),
  backlog: option(
    'Listeners',
    integer(1, 65_535),
    '1024',
    'Connections the kernel holds until they are accepted.',
  ),
  'max-connections': option(
    'Listeners',
    integer(1, 1_000_000),
    '65536',
    'Connections open at a time, over all listeners; more are dropped as they come.',
  ),
  'proxy-protocol': option(
    'Listeners',
    SWITCH,
    'false',
    'Expect a PROXY protocol header (v1 or v2) at the start of each connection, but for those ' +
      'to the HTTP ports.',
  ),
  'proxy-trusted': option(
    'Listeners',
    listOf(CIDR),
    'none',
    'Address blocks of the balancers whose PROXY headers are believed; others are dropped.',
  ),
  'tls-cert': option(
    'TLS',
    optionalText('file'),
    '',
    'Server certificate chain, PEM. Read again when it changes and on SIGHUP; a bad new one ' +
      'leaves the old one in service.',
  ),
  'tls-key': option('TLS', optionalText('file'), '', 'Private key of the certificate, PEM.'),
  'tls-ca': option(
    'TLS',
    optionalText('file'),
    '',
    'Authorities that client certificates are verified against, PEM; the public ones are not ' +
      'among them.',
  ),
  'tls-passphrase': option('TLS', optionalText('text'), '', 'Passphrase of the private key.', {
    isSecret: true,
  }),
  'tls-passphrase-file': option(
    'TLS',
    optionalText('file'),
    '',
    'File that holds the passphrase; a line end after it is ignored.',
  ),
  'tls-client-certificate': option(
    'TLS',
    choice('none', 'optional', 'required'),
    'none',
    'Whether clients are asked for a certificate; needs `tls-ca`. A verified one gives the user ' +
      'name for SASL EXTERNAL.',
  ),
  'tls-client-name': option(
    'TLS',
    choice('distinguished-name', 'common-name'),
    'distinguished-name',
    'Part of a verified client certificate that is its user name.',
  ),
  'tls-min-version': option('TLS', choice('1.2', '1.3'), '1.2', 'Oldest TLS version accepted.'),
  'server-product': option(
    'AMQP',
    text('text'),
    'RabbitMQ',
    '`product` in server-properties. Clients switch on it: kombu picks per-consumer prefetch ' +
      'only for RabbitMQ 4, so this says RabbitMQ by default.',
  ),
  'server-version': option(
    'AMQP',
    VERSION,
    '4.3.6',
    '`version` in server-properties: the RabbitMQ version whose behaviour is served.',
  ),
  'cluster-name': option(
    'AMQP',
    text('text'),
    'tributary@localhost',
    '`cluster_name` in server-properties.',
  ),
  heartbeat: option(
    'AMQP',
    duration(0, 65_535_000),
    `${HEARTBEAT_SECONDS_DEFAULT}s`,
    'Interval proposed to clients; 0 proposes none. The client has the last word.',
  ),
  'frame-max': option(
    'AMQP',
    bytes(FRAME_BYTES_MIN, 16 * 1024 * 1024),
    formatBytes(FRAME_BYTES_DEFAULT),
    'Largest frame proposed to clients.',
  ),
  'channel-max': option(
    'AMQP',
    integer(1, 65_535),
    String(CHANNEL_COUNT_MAX),
    'Channels per connection proposed to clients.',
  ),
  'max-message-size': option(
    'AMQP',
    bytes(1_024, MESSAGE_BYTES_MAX),
    formatBytes(MESSAGE_BYTES_DEFAULT),
    'Largest message body accepted.',
  ),
  'handshake-timeout': option(
    'AMQP',
    duration(100, 600_000),
    `${HANDSHAKE_MS_MAX / 1000}s`,
    'Time a client has from connect to login.',
  ),
  'consumer-timeout': option(
    'AMQP',
    duration(0, 31_536_000_000),
    `${CONSUMER_TIMEOUT_MS_DEFAULT / 1000}s`,
    'Time to settle a delivery of a quorum queue, where neither the queue (`x-consumer-timeout`) ' +
      'nor the consumer says; then it goes back and the consumer is cancelled.',
  ),
  'mqtt-anonymous-user': option(
    'MQTT',
    optionalText('name'),
    '',
    'User that clients without a user name log in as. Without one they are refused.',
  ),
  'mqtt-port-vhosts': option(
    'MQTT',
    VHOSTS_BY_PORT,
    'none',
    'Virtual hosts of clients that name none, by the port they connect to. Otherwise it is ' +
      '`default-vhost`.',
  ),
  'mqtt-certificate-vhosts': option(
    'MQTT',
    VHOSTS_BY_CERTIFICATE,
    'none',
    'The same by the user name in their verified certificate; it comes before the port.',
  ),
  'mqtt-disconnect-unauthorized': option(
    'MQTT',
    SWITCH,
    'true',
    'A publish without the right to it ends the connection where no acknowledgement can tell of ' +
      'it (3.x, QoS 0); `false` drops it and acknowledges.',
  ),
  'mqtt-session-expiry-max': option(
    'MQTT',
    duration(0, LIFETIME_MS_MAX),
    '86400s',
    'Sessions outlive their connection by this at most; 0: as long as the client says.',
  ),
  'mqtt-keep-alive-max': option(
    'MQTT',
    duration(0, 65_535_000),
    '0s',
    'Longest keep-alive granted to 5.0 clients; 0: what they ask for.',
  ),
  'mqtt-receive-maximum': option(
    'MQTT',
    integer(1, 65_535),
    '1000',
    'QoS 1 and 2 publishes a client may have under way.',
  ),
  'mqtt-topic-alias-maximum': option(
    'MQTT',
    integer(0, 65_535),
    '16',
    'Topic aliases a client may set, and that it is sent if it allows them.',
  ),
  'mqtt-max-packet-size': option(
    'MQTT',
    bytes(1_024, 256 * 1024 * 1024),
    formatBytes(16 * 1024 * 1024),
    'Largest packet accepted once logged in.',
  ),
  'mqtt-exchange': option(
    'MQTT',
    text('name'),
    'amq.topic',
    'Topic exchange of every vhost that MQTT clients publish to and subscribe at. Another one ' +
      'than `amq.topic` must be declared.',
  ),
  'mqtt-check-payload-format': option(
    'MQTT',
    SWITCH,
    'false',
    'Refuse messages of 5.0 clients that say they are text (Payload Format 1) and are not UTF-8.',
  ),
  'mqtt-response-information': option(
    'MQTT',
    optionalText('topic'),
    'response/{client_id}',
    'Told to 5.0 clients that ask for it: the topic under which to expect answers; `{client_id}` ' +
      'and `{username}` are filled in, percent-encoded. Empty: nothing is told.',
  ),
  'mqtt-server-reference': option(
    'MQTT',
    optionalText('servers'),
    '',
    'Where 5.0 clients find another server: `host` or `host:port`, several with spaces between ' +
      'them. Told to those connected when this server stops, or as `mqtt-redirect` says.',
  ),
  'mqtt-redirect': option(
    'MQTT',
    choice('at-stop', 'temporary', 'permanent'),
    'at-stop',
    '`temporary`, `permanent`: every CONNECT is refused with `mqtt-server-reference`, as Use ' +
      'another server (0x9C) or Server moved (0x9D).',
  ),
  ...CMQ_OPTIONS,
  ...PUSH_OPTIONS,
  'auth-mechanisms': option(
    'Users',
    listOf(choice('PLAIN', 'AMQPLAIN', 'EXTERNAL', 'ANONYMOUS')),
    'PLAIN, AMQPLAIN',
    'SASL mechanisms offered. EXTERNAL needs verified client certificates.',
  ),
  'anonymous-user': option(
    'Users',
    text('name'),
    'guest',
    'User that SASL ANONYMOUS logs in as, when it is offered.',
  ),
  'loopback-users': option(
    'Users',
    listOf(text('name')),
    'guest',
    'Users who may log in from this machine only; `none` lifts that.',
  ),
  'default-user': option('Users', text('name'), 'guest', 'User created on the first start.'),
  'default-password': option('Users', text('text'), 'guest', 'Password of that user.', {
    isSecret: true,
  }),
  'default-password-file': option(
    'Users',
    optionalText('file'),
    '',
    'File that holds that password; a line end after it is ignored.',
  ),
  'default-vhost': option(
    'Users',
    text('name'),
    '/',
    'Virtual host created on the first start, where the default user may do everything.',
  ),
  'load-definitions': option(
    'Users',
    optionalText('file'),
    '',
    'Users, vhosts, permissions, policies, queues, exchanges and bindings to add at each start: ' +
      'a JSON file in the format RabbitMQ exports. With it, no default user or virtual host is ' +
      'created.',
  ),
  'token-jwks': option(
    'Tokens',
    optionalText('location'),
    '',
    'JSON Web Key Set with the public keys of an issuer: a file, or an http or https URL. With ' +
      'it, JSON Web Tokens are taken in the place of passwords (docs/OPERATIONS.md).',
  ),
  'token-issuer': option('Tokens', optionalText('text'), '', 'What `iss` of a token must be.'),
  'token-audience': option(
    'Tokens',
    optionalText('name'),
    '',
    'What `aud` of a token must be or contain: the `resource_server_id` of RabbitMQ.',
  ),
  'token-scope-prefix': option(
    'Tokens',
    optionalText('text'),
    '',
    'How the scopes meant for this broker begin; `none` when they have no prefix. Without it: ' +
      '`token-audience` and a dot, as with RabbitMQ.',
  ),
  'token-scope-claims': option(
    'Tokens',
    listOf(text('claim')),
    'scope',
    'Claims that hold scopes; dots lead into objects, as in `realm_access.roles`.',
  ),
  'token-user-claim': option('Tokens', text('claim'), 'sub', 'Claim that holds the user name.'),
  'token-algorithms': option(
    'Tokens',
    listOf(choice(...TOKEN_ALGORITHMS)),
    TOKEN_ALGORITHMS.join(', '),
    'Signatures that are accepted. There are none with a shared secret.',
  ),
  'token-clock-skew': option(
    'Tokens',
    duration(0, 300_000),
    '5s',
    'How far the clock of the issuer may be ahead when `nbf` is checked. Expiry is strict.',
  ),
  'token-refresh': option(
    'Tokens',
    duration(1_000, 86_400_000),
    '10m',
    'How often keys are read from a URL again, besides when a token names an unknown one.',
  ),
  'memory-limit': option(
    'Limits',
    bytesOrShare(TOTAL_MEMORY_BYTES),
    '60%',
    'Resident memory above which publishers are blocked until it falls again. Independently, ' +
      'they are blocked when the JavaScript heap is nearly full.',
  ),
  'disk-free-limit': option(
    'Limits',
    bytes(0, Number.MAX_SAFE_INTEGER),
    '256MiB',
    'Free space of the data directory below which publishers are blocked.',
  ),
} as const;

export type OptionKey = keyof typeof OPTIONS;

export const OPTION_KEYS = Object.keys(OPTIONS) as OptionKey[];

/** The environment variable of an option. */
export function environmentName(key: string): string {
  return `TRIBUTARY_${key.toUpperCase().replaceAll('-', '_')}`;
}

/** The table row of `key`, with its value type erased. */
export function optionOf(key: OptionKey): Option<unknown> {
  return OPTIONS[key];
}
