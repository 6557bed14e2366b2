/**
 * From the protocol header to open-ok (spec 2.2.4).
 *
 *     HEADER -> STARTING -> (checking the login) -> TUNING -> OPENING -> done
 *
 * Until open-ok the peer is nobody: frames are at most 8 KiB, the whole exchange has a deadline,
 * and errors other than those a client can act on drop the socket without a word, as RabbitMQ
 * does. The login check may finish in a later turn; the parser is paused meanwhile, so no frame
 * overtakes it.
 */
import { BrokerError } from '../../src/base/errors.ts';
import type { FieldTable } from '../../src/base/field-value.ts';
import { isTable } from '../../src/base/field-value.ts';
import { FRAME_BYTES_MIN } from '../../src/base/limits.ts';
import type { User } from '../../src/engine/access/user.ts';
import type { Broker } from '../../src/engine/broker.ts';
import type { VHost } from '../../src/engine/vhost.ts';
import type { PeerInfo } from '../../src/net/transport.ts';
import type { ClientCapabilities } from './channel-host.ts';
import { parseAmqplain, parseAnonymous, parseExternal, parsePlain } from './sasl.ts';
import type { AmqpSettings } from './settings.ts';

/** Next message expected from the client. */
export type HandshakeStage = 'header' | 'start-ok' | 'login' | 'tune-ok' | 'open' | 'done';

/** What the peers agreed on in tune and tune-ok. */
export interface Tuning {
  readonly channelMax: number;
  readonly frameMaxBytes: number;
  readonly heartbeatSeconds: number;
}

/** How a login attempt ended. */
export interface LoginOutcome {
  /** undefined: refused. */
  readonly user: User | undefined;
  /** Goes to the log when refused; the client is told nothing but the mechanism. */
  readonly refusal: string;
}

/** The decisions of a handshake; what is written and read is the connection's. */
export class Handshake {
  stage: HandshakeStage;
  capabilities: ClientCapabilities;
  /** `connection_name` of client-properties, for logs and lists. */
  connectionName: string;
  readonly #broker: Broker;
  readonly #settings: AmqpSettings;
  readonly #peer: PeerInfo;

  constructor(broker: Broker, settings: AmqpSettings, peer: PeerInfo) {
    this.stage = 'header';
    this.capabilities = NO_CAPABILITIES;
    this.connectionName = '';
    this.#broker = broker;
    this.#settings = settings;
    this.#peer = peer;
  }

  /** @throws BrokerError CHANNEL_ERROR (connection) when another method is due */
  expect(stage: HandshakeStage): void {
    if (this.stage === stage) return;
    throw new BrokerError('CHANNEL_ERROR', `unexpected method in connection state ${this.stage}`);
  }

  /**
   * start-ok: notes what the client understands and checks the login; `done` runs now or later.
   *
   * @throws BrokerError COMMAND_INVALID, SYNTAX_ERROR (connection)
   */
  login(
    clientProperties: FieldTable,
    mechanism: string,
    response: Buffer,
    done: (outcome: LoginOutcome) => void,
  ): void {
    this.capabilities = capabilitiesOf(clientProperties);
    const name = clientProperties.get('connection_name');
    this.connectionName = typeof name === 'string' ? name : '';
    if (!this.#settings.mechanisms.includes(mechanism)) {
      throw new BrokerError('COMMAND_INVALID', `unsupported mechanism ${mechanism}`);
    }
    this.stage = 'login';
    const finish = (user: User | undefined): void => done(this.#judge(user));
    if (mechanism === 'PLAIN' || mechanism === 'AMQPLAIN') {
      const { user, password } =
        mechanism === 'PLAIN' ? parsePlain(response) : parseAmqplain(response);
      this.#broker.access.authenticate(user, password, finish, this.#peer.remoteAddress);
    } else if (mechanism === 'EXTERNAL') {
      finish(this.#externalUser(parseExternal(response)));
    } else {
      parseAnonymous(response);
      finish(this.#broker.access.user(this.#settings.anonymousUser));
    }
  }

  /** update-secret: `done` runs now or later. */
  renew(user: User, secret: Buffer, done: (isRenewed: boolean) => void): void {
    this.#broker.access.renew(user, secret, done);
  }

  /** The answer to tune. @throws BrokerError NOT_ALLOWED (connection) */
  tune(channelMax: number, frameMax: number, heartbeatSeconds: number): Tuning {
    checkLimit('frame_max', frameMax, this.#settings.frameMaxBytes);
    if (frameMax !== 0 && frameMax < FRAME_BYTES_MIN) {
      throw new BrokerError(
        'NOT_ALLOWED',
        `negotiated frame_max = ${frameMax} is lower than the minimum allowed value ` +
          `(${FRAME_BYTES_MIN})`,
      );
    }
    checkLimit('channel_max', channelMax, this.#settings.channelMax);
    return { channelMax, frameMaxBytes: frameMax, heartbeatSeconds };
  }

  /** The vhost the client opens. @throws BrokerError NOT_ALLOWED (connection) */
  open(name: string, user: User): VHost {
    const vhost = this.#broker.vhost(name);
    if (vhost === undefined) throw new BrokerError('NOT_ALLOWED', `vhost ${name} not found`);
    this.#broker.access.authorizeVhost(user, name);
    return vhost;
  }

  /** EXTERNAL: the name in the verified certificate; a client may repeat it, not change it. */
  #externalUser(claimed: string): User | undefined {
    const subject = this.#peer.certificateSubject;
    if (subject === undefined || (claimed !== '' && claimed !== subject)) return undefined;
    return this.#broker.access.user(subject);
  }

  #judge(user: User | undefined): LoginOutcome {
    if (user === undefined) return { user, refusal: 'invalid credentials' };
    if (!this.#broker.access.mayConnectFrom(user, this.#peer.isLoopback)) {
      return { user: undefined, refusal: 'user may only connect via localhost' };
    }
    return { user, refusal: '' };
  }
}

const NO_CAPABILITIES: ClientCapabilities = {
  authenticationFailureClose: false,
  consumerCancelNotify: false,
  connectionBlocked: false,
};

function capabilitiesOf(clientProperties: FieldTable): ClientCapabilities {
  const table = clientProperties.get('capabilities');
  if (table === undefined || !isTable(table)) return NO_CAPABILITIES;
  return {
    authenticationFailureClose: table.get('authentication_failure_close') === true,
    consumerCancelNotify: table.get('consumer_cancel_notify') === true,
    connectionBlocked: table.get('connection.blocked') === true,
  };
}

/** A client may lower a limit; 0 means none and is above every limit of ours. */
function checkLimit(name: string, value: number, offer: number): void {
  if (offer === 0 || (value !== 0 && value <= offer)) return;
  const text =
    value === 0
      ? `negotiated ${name} = 0 (no limit) is higher than the maximum allowed value (${offer})`
      : `negotiated ${name} = ${value} is higher than the maximum allowed value (${offer})`;
  throw new BrokerError('NOT_ALLOWED', text);
}
