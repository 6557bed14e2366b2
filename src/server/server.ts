/**
 * The composition root: makes every part, connects them, starts and stops them in order.
 *
 *     start:  store -> broker (recovery) -> turn -> monitors -> acceptor -> listeners -> orders
 *             -> ready
 *     stop:   orders -> polls, pushes -> listeners -> connections (320, 0x8B) -> monitors -> turn
 *             -> store (marked)
 *
 * Nothing is reachable before recovery is complete, and nothing can be confirmed after the store
 * began to close.
 */
import { resolve } from 'node:path';
import { createAmqpAcceptor } from '../../protocols/amqp/listener.ts';
import type { CmqAcceptor } from '../../protocols/cmq/listener.ts';
import { createStompAcceptor, type StompAcceptor } from '../../protocols/stomp/listener.ts';
import { createMqttAcceptor, type MqttAcceptor } from '../../protocols/mqtt/listener.ts';
import { systemClock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { Broker } from '../engine/broker.ts';
import type { Store } from '../engine/ports.ts';
import { recoverBroker } from '../engine/recover.ts';
import { FlushSet } from '../net/flush-set.ts';
import type { TlsOptions } from '../net/tls.ts';
import type { AcceptTransport, TransportHandler } from '../net/transport.ts';
import { WebSocketListener } from '../net/websocket-listener.ts';
import type { WebSocketRoute } from '../net/websocket-routes.ts';
import type { StoreMetrics } from '../store/sqlite/sqlite-store.ts';
import { amqpSettings } from './amqp-settings.ts';
import { createCmq } from './cmq.ts';
import { cmqSamples } from './cmq-metrics.ts';
import { defineConfiguredKey } from './cmq-settings.ts';
import { carryOutLive } from './commands/carry-out.ts';
import type { Config } from './config.ts';
import { ControlSocket } from './control-socket.ts';
import { loadDefinitionsFile } from './definitions-file.ts';
import { createExamplePages } from './example-pages.ts';
import { createHttpPages } from './http-pages.ts';
import { startTokens } from './jwt/tokens.ts';
import {
  chooseHosts,
  type ListenHosts,
  type ListenRequest,
  type ListenerInfo,
  listenOnAll,
  METRICS_PROTOCOL,
  openOnAll,
  type OpenListener,
} from './listeners.ts';
import { createMessageFormats } from './message-formats.ts';
import { Metrics } from './metrics.ts';
import { MetricsListener } from './metrics-listener.ts';
import { ResourceMonitor } from './resource-monitor.ts';
import { MESSAGE_HEADERS, stompSettings } from './stomp-settings.ts';
import { systemRandom } from './system-random.ts';
import { mqttSettings } from './mqtt-settings.ts';
import { readProductVersion } from './product.ts';
import { createPush } from './push.ts';
import type { OutgoingPush } from './push-transport.ts';
import { readTlsFiles, watchTlsFiles } from './tls-files.ts';
import { Turn } from './turn.ts';
import { amqpRoute, mqttRoute, stompRoute } from './websocket-routing.ts';

type AmqpAcceptor = ReturnType<typeof createAmqpAcceptor>;

export interface ServerDeps {
  readonly config: Config;
  readonly logger: Logger;
  /** Opened, not yet recovered; the server closes it. */
  readonly store: Store;
  /** Figures of the store's files, for metrics. */
  readonly storeMetrics?: () => StoreMetrics;
  /** Makes a data directory of what is in the store; for `tributary backup`. */
  readonly backup?: (directory: string) => Promise<void>;
  /** Called once when the process must not go on: what is on disk is no longer known. */
  readonly onFatal: (error: Error) => void;
}

/** Bytes a WebSocket message may hold beyond the largest message body. */
const WEBSOCKET_OVERHEAD_BYTES = 1024 * 1024;
const WEB_MQTT_PROTOCOL = 'http/web-mqtt';
const CLOSE_TEXT = "broker forced connection closure with reason 'shutdown'";

const TLS_PROTOCOLS: ReadonlySet<string> = new Set(['amqps', 'mqtts', 'stomps', 'https']);

const REFUSED_HANDLER: TransportHandler = {
  onChunk: () => undefined,
  onDrain: () => undefined,
  onClosed: () => undefined,
};

/** A serving broker. */
export class Server {
  readonly broker: Broker;
  readonly #config: Config;
  readonly #logger: Logger;
  readonly #turn: Turn;
  readonly #acceptor: AmqpAcceptor;
  readonly #mqtt: MqttAcceptor;
  readonly #stomp: StompAcceptor;
  /** Undefined when CMQ is off. */
  readonly #cmq: CmqAcceptor | undefined;
  /** The way out of push subscriptions. */
  readonly #push: OutgoingPush;
  readonly #monitor: ResourceMonitor;
  readonly #listeners: OpenListener[];
  readonly #storeMetrics: (() => StoreMetrics) | undefined;
  readonly #backup: (directory: string) => Promise<void>;
  #metrics: Metrics | undefined;
  #metricsListeners: readonly OpenListener[];
  #control: ControlSocket | undefined;
  #stopWatchingTls: (() => void) | undefined;
  #stopTokens: (() => void) | undefined;
  #stopping: Promise<void> | undefined;

  private constructor(deps: ServerDeps, broker: Broker, turn: Turn, flushSet: FlushSet) {
    const { config, logger } = deps;
    this.broker = broker;
    this.#config = config;
    this.#logger = logger;
    this.#turn = turn;
    const settings = amqpSettings(config);
    this.#acceptor = createAmqpAcceptor({ broker, flushSet, settings, logger });
    this.#mqtt = createMqttAcceptor({ broker, flushSet, settings: mqttSettings(config), logger });
    this.#stomp = createStompAcceptor({
      broker,
      flushSet,
      settings: stompSettings(config),
      headers: MESSAGE_HEADERS,
      logger,
    });
    this.#cmq = config.cmq ? createCmq(broker, config, logger) : undefined;
    this.#push = createPush(config, logger);
    const limits = {
      directory: config.dataDir,
      memoryLimitBytes: config.memoryLimit,
      diskFreeLimitBytes: config.diskFreeLimit,
    };
    const setAlarm = (name: 'memory' | 'disk', isOn: boolean) => broker.setAlarm(name, isOn);
    this.#monitor = new ResourceMonitor(limits, setAlarm, logger);
    this.#listeners = [];
    this.#storeMetrics = deps.storeMetrics;
    this.#backup = deps.backup ?? (() => Promise.reject(new Error('the store has no files')));
    this.#metrics = undefined;
    this.#metricsListeners = [];
    this.#control = undefined;
    this.#stopWatchingTls = undefined;
    this.#stopTokens = undefined;
    this.#stopping = undefined;
  }

  /**
   * Recovers, and serves once this resolves.
   *
   * @throws Error with a sentence for the operator: the address is in use, a file is bad
   */
  static async start(deps: ServerDeps): Promise<Server> {
    const { store, onFatal } = deps;
    store.onFailure = onFatal;
    const turn = new Turn();
    const flushSet = new FlushSet(turn.request);
    const broker = await recover(deps, turn.request);
    turn.start(broker, flushSet);
    // What the first start or a file defined is on disk before anyone can rely on it.
    await new Promise<void>((done) => broker.hold(broker.ticket, done));
    const server = new Server(deps, broker, turn, flushSet);
    try {
      await server.#monitor.start();
      const { config, logger } = deps;
      server.#stopTokens = await startTokens(config, broker.access, systemClock, logger);
      await server.#listen();
      broker.push.open(server.#push);
      await server.#takeOrders();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  /** What is reachable, for the ready line. */
  get listeners(): readonly ListenerInfo[] {
    const open = [...this.#listeners, ...this.#metricsListeners];
    return open.map(({ protocol, listener }) => ({ protocol, ...listener.address }));
  }

  /** Client connections that are open. */
  get connectionCount(): number {
    const acceptors = [this.#acceptor, this.#mqtt, this.#stomp];
    return acceptors.reduce((sum, { connectionCount }) => sum + connectionCount, 0);
  }

  /** Reads the certificates again; bad ones are logged and change nothing. */
  reloadTls(): void {
    const tlsListeners = this.#listeners.filter(({ protocol }) => TLS_PROTOCOLS.has(protocol));
    if (tlsListeners.length === 0) return;
    try {
      const options = readTlsFiles(this.#config);
      for (const { listener } of tlsListeners) listener.replaceTls(options);
      this.#logger.info({ certificate: this.#config.tlsCert }, 'certificate reloaded');
    } catch (error) {
      const { message } = error as Error;
      this.#logger.error({ error: message }, 'new certificate is unusable, the old one stays');
    }
  }

  /** The store found no room for a commit, or has some again. */
  storeFull(isFull: boolean): void {
    this.#monitor.storeFull(isFull);
  }

  /** Closes everything in order. Further calls wait for the first. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#stopWatchingTls?.();
    this.#stopTokens?.();
    await this.#control?.close();
    await this.#cmq?.closeAll();
    await this.#push.close();
    for (const { listener } of this.#listeners) await listener.close();
    await this.#acceptor.closeAll(CLOSE_TEXT);
    await this.#mqtt.closeAll();
    await this.#stomp.closeAll(CLOSE_TEXT);
    for (const { listener } of this.#metricsListeners) await listener.close();
    this.#metrics?.stop();
    this.#monitor.stop();
    this.broker.settleMarks();
    this.#turn.stop();
    await this.broker.store.close();
  }

  async #listen(): Promise<void> {
    const config = this.#config;
    const logger = this.#logger;
    const userNames = [...this.broker.access.users()].map(({ name }) => name);
    const hosts = chooseHosts(config.host, userNames);
    const accept = this.#limitConnections(this.#turn.wrap(this.#acceptor.accept));
    const base = { ...hosts, config, logger };
    const acceptMqtt = this.#limitConnections(this.#turn.wrap(this.#mqtt.accept));
    const acceptStomp = this.#limitConnections(this.#turn.wrap(this.#stomp.accept));
    await this.#listenTcp({ ...base, protocol: 'amqp' }, config.amqpPort, accept);
    await this.#listenTcp({ ...base, protocol: 'amqps' }, config.amqpsPort, accept);
    await this.#listenTcp({ ...base, protocol: 'mqtt' }, config.mqttPort, acceptMqtt);
    await this.#listenTcp({ ...base, protocol: 'mqtts' }, config.mqttsPort, acceptMqtt);
    await this.#listenTcp({ ...base, protocol: 'stomp' }, config.stompPort, acceptStomp);
    await this.#listenTcp({ ...base, protocol: 'stomps' }, config.stompsPort, acceptStomp);
    const routes = [amqpRoute(accept), mqttRoute(acceptMqtt), stompRoute(acceptStomp)];
    if (config.httpPort !== 'off') {
      await this.#serveHttp('http', config.httpPort, hosts, routes);
    }
    if (config.httpsPort !== 'off') {
      await this.#serveHttp('https', config.httpsPort, hosts, routes, readTlsFiles(config));
    }
    if (config.webMqttPort !== 'off') {
      await this.#serveHttp(WEB_MQTT_PROTOCOL, config.webMqttPort, hosts, [mqttRoute(acceptMqtt)]);
    }
    if (this.#listeners.some(({ protocol }) => TLS_PROTOCOLS.has(protocol))) {
      this.#stopWatchingTls = watchTlsFiles(config, () => this.reloadTls());
    }
    if (config.metricsPort !== 'off') await this.#serveMetrics(config.metricsPort, hosts);
  }

  async #listenTcp(
    base: Omit<ListenRequest, 'port' | 'tls'>,
    port: number | 'off',
    accept: AcceptTransport,
  ): Promise<void> {
    if (port === 'off') return;
    const isTls = TLS_PROTOCOLS.has(base.protocol);
    const tls = isTls ? { tls: readTlsFiles(this.#config) } : {};
    this.#listeners.push(...(await listenOnAll({ ...base, port, ...tls }, accept)));
  }

  async #serveHttp(
    protocol: string,
    port: number,
    hosts: ListenHosts,
    routes: readonly WebSocketRoute[],
    tls?: TlsOptions,
  ): Promise<void> {
    const config = this.#config;
    const logger = this.#logger;
    // Who opens the port of one wire to the world does not mean to open the others.
    const isOneWire = protocol === WEB_MQTT_PROTOCOL;
    const options = {
      routes,
      allowedOrigins: config.allowedOrigins,
      messageBytesMax: config.maxMessageSize + WEBSOCKET_OVERHEAD_BYTES,
      backlog: config.backlog,
      connectionsMax: config.maxConnections,
      onRequest: createHttpPages({
        troubles: () => [...this.broker.alarms].map((name) => `${name} alarm`),
        paths: new Map(routes.map((route) => [route.protocol, route.paths])),
        examples: config.serveExamples && !isOneWire ? createExamplePages() : undefined,
        cmq: isOneWire ? undefined : this.#cmq,
      }),
      onRefused: (reason: string, remoteAddress: string) =>
        logger.warn({ protocol, reason, remoteAddress }, 'connection refused'),
      ...(tls === undefined ? {} : { tls }),
    };
    const request = { ...hosts, config, logger, protocol, port };
    const open = await openOnAll(request, (host, boundPort, isV6Only) =>
      WebSocketListener.listen({ ...options, host, port: boundPort, isV6Only }),
    );
    this.#listeners.push(...open);
  }

  async #serveMetrics(port: number, hosts: ListenHosts): Promise<void> {
    const { broker } = this;
    const metrics = new Metrics({
      broker,
      connectionCount: () => this.connectionCount,
      storeMetrics: this.#storeMetrics,
      labelledSamples: () => [
        ...(this.#cmq === undefined ? [] : cmqSamples(broker, this.#cmq)),
        ...this.#push.samples(),
      ],
    });
    this.#metrics = metrics;
    const pages = {
      metrics: () => metrics.render(),
      troubles: () => [...broker.alarms].map((name) => `${name} alarm`),
    };
    const base = { config: this.#config, logger: this.#logger, protocol: METRICS_PROTOCOL };
    this.#metricsListeners = await openOnAll(
      { ...hosts, ...base, port },
      (host, boundPort, isV6Only) =>
        MetricsListener.listen({ host, port: boundPort, isV6Only }, pages),
    );
  }

  /** Commands of the operator reach the broker while it serves. */
  async #takeOrders(): Promise<void> {
    const config = this.#config;
    const facts = { config, version: readProductVersion(), backup: this.#backup };
    this.#control = await ControlSocket.listen(
      resolve(config.dataDir),
      (order) => carryOutLive(this.broker, order, facts),
      this.#logger,
    );
  }

  #limitConnections(accept: AcceptTransport): AcceptTransport {
    const max = this.#config.maxConnections;
    return (transport) => {
      if (this.connectionCount < max) return accept(transport);
      const { remoteAddress } = transport.peer;
      this.#logger.warn({ reason: 'max-connections', remoteAddress }, 'connection refused');
      transport.destroy();
      return REFUSED_HANDLER;
    };
  }
}

async function recover({ config, store, logger }: ServerDeps, requestTurn: () => void) {
  const deps = {
    clock: systemClock,
    random: systemRandom,
    store,
    formats: createMessageFormats(),
    requestTurn,
    settings: { loopbackUsers: config.loopbackUsers, topicExchange: config.mqttExchange },
  };
  const { defaultVhost: vhost, defaultUser: user, defaultPassword: password } = config;
  const { loadDefinitions } = config;
  // As RabbitMQ: whoever loads definitions does not want the defaults.
  const firstStart = loadDefinitions === undefined ? { vhost, user, password } : 'empty';
  // After a failed recovery the store is left as it is: closing would mark it as clean.
  const { broker } = await recoverBroker(deps, firstStart);
  try {
    if (loadDefinitions !== undefined) await loadDefinitionsFile(broker, loadDefinitions, logger);
    defineConfiguredKey(broker, config);
  } catch (error) {
    await store.close();
    throw error;
  }
  return broker;
}
