/**
 * The subset of rabbitmq.conf that has a meaning here (`key = value` lines, `#` comments), turned
 * into our own keys. Anything else is an error: a setting that is silently dropped is worse.
 */
import { nearestOf } from './nearest.ts';
import type { OptionKey } from './options.ts';

/** What a file said: values by our keys, and what is wrong with it. */
export interface FileSettings {
  readonly values: Map<OptionKey, unknown>;
  /** What a key of ours is called in the file, where that is another name. */
  readonly names?: ReadonlyMap<OptionKey, string>;
  readonly problems: string[];
}

/** rabbitmq.conf keys that are ours under another name. */
const SAME_MEANING: Readonly<Record<string, OptionKey>> = {
  'ssl_options.cacertfile': 'tls-ca',
  'ssl_options.certfile': 'tls-cert',
  'ssl_options.keyfile': 'tls-key',
  'ssl_options.password': 'tls-passphrase',
  ssl_cert_login_from: 'tls-client-name',
  default_user: 'default-user',
  default_pass: 'default-password',
  default_vhost: 'default-vhost',
  anonymous_login_user: 'anonymous-user',
  heartbeat: 'heartbeat',
  frame_max: 'frame-max',
  channel_max: 'channel-max',
  max_message_size: 'max-message-size',
  'disk_free_limit.absolute': 'disk-free-limit',
  'vm_memory_high_watermark.absolute': 'memory-limit',
  'tcp_listen_options.backlog': 'backlog',
  connection_max: 'max-connections',
  proxy_protocol: 'proxy-protocol',
  cluster_name: 'cluster-name',
  load_definitions: 'load-definitions',
  'management.load_definitions': 'load-definitions',
  'definitions.local.path': 'load-definitions',
};

/** Keys with their own rule below, and the options they set; `*` stands for a name or number. */
const SPECIAL: Readonly<Record<string, readonly OptionKey[]>> = {
  'listeners.tcp': ['amqp-port'],
  'listeners.tcp.*': ['amqp-port', 'host'],
  'listeners.ssl': ['amqps-port'],
  'listeners.ssl.*': ['amqps-port', 'host'],
  'ssl_options.verify': ['tls-client-certificate'],
  'ssl_options.fail_if_no_peer_cert': ['tls-client-certificate'],
  'ssl_options.versions.*': ['tls-min-version'],
  'vm_memory_high_watermark.relative': ['memory-limit'],
  handshake_timeout: ['handshake-timeout'],
  consumer_timeout: ['consumer-timeout'],
  loopback_users: ['loopback-users'],
  'loopback_users.*': ['loopback-users'],
  'auth_mechanisms.*': ['auth-mechanisms'],
  'log.level': ['log-level'],
  'log.console.level': ['log-level'],
};

/** rabbitmq.conf keys that are understood and the options they set, for the documentation. */
export const RABBITMQ_KEYS: ReadonlyMap<string, readonly OptionKey[]> = new Map([
  ...Object.entries(SAME_MEANING).map(([key, option]) => [key, [option]] as const),
  ...Object.entries(SPECIAL),
]);

const LOG_LEVELS: Readonly<Record<string, string>> = {
  debug: 'debug',
  info: 'info',
  warning: 'warn',
  error: 'error',
  critical: 'fatal',
  none: 'silent',
};

const BOOLEANS = ['true', 'false'];
/** The older ones may be listed: nothing below 1.2 is served. */
const TLS_VERSIONS = ['tlsv1.3', 'tlsv1.2', 'tlsv1.1', 'tlsv1'];

/** Reads the text of a rabbitmq.conf. */
export function parseRabbitmqConf(text: string): FileSettings {
  const reader = new Reader();
  let lineNumber = 0;
  for (const line of text.split(/\r?\n/)) {
    lineNumber += 1;
    const content = line.trim();
    if (content === '' || content.startsWith('#')) continue;
    const match = /^([A-Za-z0-9_.-]+)\s*=\s*(.*)$/.exec(content);
    if (match === null) reader.problems.push(`line ${lineNumber}: expected \`key = value\``);
    else reader.take(match[1]!, valueIn(match[2]!), `line ${lineNumber}`);
  }
  return reader.finish();
}

/** Without a comment behind it, and without quotes, between which a `#` begins no comment. */
function valueIn(text: string): string {
  const quoted = /^'([^']*)'\s*(?:#.*)?$/.exec(text)?.[1];
  return quoted ?? text.replace(/\s+#.*$/, '');
}

class Reader {
  readonly values: Map<OptionKey, unknown>;
  readonly names: Map<OptionKey, string>;
  readonly problems: string[];
  readonly #hosts: Set<string>;
  readonly #loopbackUsers: Set<string>;
  readonly #mechanisms: string[];
  readonly #tlsVersions: string[];
  #verifiesPeer: boolean | undefined;
  #requiresCertificate: boolean;

  constructor() {
    this.values = new Map();
    this.names = new Map();
    this.problems = [];
    this.#hosts = new Set();
    this.#loopbackUsers = new Set(['guest']);
    this.#mechanisms = [];
    this.#tlsVersions = [];
    this.#verifiesPeer = undefined;
    this.#requiresCertificate = false;
  }

  take(key: string, value: string, where: string): void {
    const ours = Object.hasOwn(SAME_MEANING, key) ? SAME_MEANING[key] : undefined;
    if (ours !== undefined) this.names.set(ours, key);
    if (ours === 'tls-client-name') this.values.set(ours, value.replaceAll('_', '-'));
    else if (ours !== undefined) this.values.set(ours, value);
    else if (!this.#takeSpecial(key, value, where)) this.#reportUnknown(key, where);
  }

  finish(): FileSettings {
    const { values } = this;
    if (this.#hosts.size > 0) values.set('host', [...this.#hosts]);
    if (this.#mechanisms.length > 0) values.set('auth-mechanisms', this.#mechanisms);
    if (this.#loopbackUsers.size !== 1 || !this.#loopbackUsers.has('guest')) {
      values.set('loopback-users', [...this.#loopbackUsers]);
    }
    if (this.#verifiesPeer !== undefined) {
      const wanted = this.#requiresCertificate ? 'required' : 'optional';
      values.set('tls-client-certificate', this.#verifiesPeer ? wanted : 'none');
    }
    if (this.#tlsVersions.length > 0) {
      const isModern = this.#tlsVersions.every((version) => version === 'tlsv1.3');
      values.set('tls-min-version', isModern ? '1.3' : '1.2');
    }
    return { values, names: this.names, problems: this.problems };
  }

  #takeSpecial(key: string, value: string, where: string): boolean {
    const [first, second] = key.split('.');
    switch (key) {
      case 'ssl_options.verify':
        this.#verifiesPeer =
          this.#takeWord(['verify_peer', 'verify_none'], key, value, where) === 'verify_peer';
        return true;
      case 'ssl_options.fail_if_no_peer_cert':
        this.#requiresCertificate = this.#takeWord(BOOLEANS, key, value, where) === 'true';
        return true;
      case 'vm_memory_high_watermark.relative':
        if (Number(value) > 0) this.values.set('memory-limit', `${Number(value) * 100}%`);
        else this.problems.push(`${where}: \`${key}\` is a share such as 0.6, not ${value}`);
        return true;
      case 'handshake_timeout':
        this.#takeMs('handshake-timeout', key, value, where);
        return true;
      case 'consumer_timeout':
        this.#takeMs('consumer-timeout', key, value, where);
        return true;
      case 'log.level':
      case 'log.console.level':
        this.values.set('log-level', LOG_LEVELS[value] ?? value);
        return true;
      case 'loopback_users':
        this.#takeWord(['none'], key, value, where);
        this.#loopbackUsers.clear();
        return true;
      default:
    }
    if (first === 'listeners' && (second === 'tcp' || second === 'ssl')) {
      this.#takeListener(second, value, where);
    } else if (first === 'loopback_users' && second !== undefined) {
      // `loopback_users.1 = name` names the user on the right.
      if (!/^\d+$/.test(second)) this.#takeWord(BOOLEANS, key, value, where);
      this.#takeLoopbackUser(second, value);
    } else if (first === 'auth_mechanisms' && second !== undefined) {
      this.#mechanisms.push(value);
    } else if (key.startsWith('ssl_options.versions.')) {
      this.#tlsVersions.push(this.#takeWord(TLS_VERSIONS, key, value, where));
    } else {
      return false;
    }
    return true;
  }

  /** Anything else is a mistake: what is misspelt must not become the laxer of two settings. */
  #takeWord(words: readonly string[], key: string, value: string, where: string): string {
    if (!words.includes(value)) {
      this.problems.push(`${where}: \`${key}\`: expected ${words.join(' or ')}, not "${value}"`);
    }
    return value;
  }

  #takeMs(ours: OptionKey, key: string, value: string, where: string): void {
    if (/^\d+$/.test(value)) this.values.set(ours, `${value}ms`);
    else this.problems.push(`${where}: \`${key}\` is a number of milliseconds, not ${value}`);
  }

  /** `none`, a port, or an address and a port. */
  #takeListener(kind: 'tcp' | 'ssl', value: string, where: string): void {
    const key = kind === 'tcp' ? 'amqp-port' : 'amqps-port';
    if (value === 'none') {
      this.values.set(key, 'off');
      return;
    }
    const match = /^(?:\[?(.+?)\]?:)?(\d+)$/.exec(value);
    const port = match?.[2] ?? value;
    const earlier = this.values.get(key);
    if (earlier !== undefined && earlier !== port) {
      const text = `${where}: all listeners of a kind must use one port`;
      this.problems.push(`${text} (${String(earlier)} and ${port})`);
    }
    this.values.set(key, port);
    if (match?.[1] !== undefined) this.#hosts.add(match[1]);
  }

  /** `loopback_users.guest = false`, or `loopback_users.1 = name`. */
  #takeLoopbackUser(name: string, value: string): void {
    if (value === 'false') this.#loopbackUsers.delete(name);
    else this.#loopbackUsers.add(value === 'true' ? name : value);
  }

  #reportUnknown(key: string, where: string): void {
    const nearest = nearestOf(key, [...RABBITMQ_KEYS.keys()]);
    const hint = nearest === undefined ? '' : `; did you mean \`${nearest}\`?`;
    this.problems.push(`${where}: \`${key}\` is not a rabbitmq.conf key known here${hint}`);
  }
}
