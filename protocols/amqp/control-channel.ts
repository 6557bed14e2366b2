/**
 * Channel 0: the methods of class connection (spec 1.4), for one connection.
 *
 * It leads the handshake, answers close and update-secret, and tells the connection what came of
 * it. Which method may come when is the handshake's to know; frames and endings are the
 * connection's.
 */
import { BrokerError } from '../../src/base/errors.ts';
import type { FieldTable } from '../../src/base/field-value.ts';
import type { ProtocolLogger } from '../../src/base/logger.ts';
import type { User } from '../../src/engine/access/user.ts';
import type { VHost } from '../../src/engine/vhost.ts';
import type { Outbound } from '../../src/net/outbound.ts';
import type { PeerInfo } from '../../src/net/transport.ts';
import { type CloseReason, closeReason } from './amqp-errors.ts';
import {
  type ConnectionMethodSink,
  writeConnectionOpenOk,
  writeConnectionStart,
  writeConnectionTune,
  writeConnectionUpdateSecretOk,
} from './codec.generated.ts';
import type { Handshake, LoginOutcome, Tuning } from './handshake.ts';
import { encodeMechanisms } from './sasl.ts';
import { serverProperties } from './server-properties.ts';
import type { AmqpSettings } from './settings.ts';
import { METHOD_CONNECTION_UPDATE_SECRET } from './spec/constants.ts';

const LOCALES = Buffer.from('en_US');
const VERSION_MAJOR = 0;
const VERSION_MINOR = 9;

/** What channel 0 needs of its connection, and tells it. */
export interface ControlHost {
  readonly id: number;
  readonly outbound: Outbound;
  readonly settings: AmqpSettings;
  readonly peer: PeerInfo;
  readonly logger: ProtocolLogger;
  readonly isHandshaking: boolean;
  readonly isRunning: boolean;
  /** Takes no input until `loginDone`: credentials are being checked. */
  holdForLogin(): void;
  loginDone(): void;
  tuned(tuning: Tuning): void;
  /** @throws BrokerError NOT_ALLOWED (connection) when the user has too many connections */
  opened(user: User, vhost: VHost): void;
  /** @throws BrokerError NOT_ALLOWED (connection) when the vhost is lost */
  recheckRights(): void;
  /** What a method came to after it had returned; `method` as for `closeReason`. */
  failed(error: unknown, method: number): void;
  answerClose(): void;
  close(reason: CloseReason): void;
  drop(reason: string): void;
}

export class ControlChannel implements ConnectionMethodSink {
  readonly #host: ControlHost;
  readonly #handshake: Handshake;
  #user: User | undefined;

  constructor(host: ControlHost, handshake: Handshake) {
    this.#host = host;
    this.#handshake = handshake;
    this.#user = undefined;
  }

  /** The client's protocol header was ours. */
  start(): void {
    const { outbound, settings } = this.#host;
    this.#handshake.stage = 'start-ok';
    writeConnectionStart(
      outbound,
      0,
      VERSION_MAJOR,
      VERSION_MINOR,
      serverProperties(settings),
      encodeMechanisms(settings.mechanisms),
      LOCALES,
    );
  }

  onConnectionStartOk(clientProperties: FieldTable, mechanism: string, response: Buffer): void {
    this.#handshake.expect('start-ok');
    this.#host.holdForLogin();
    this.#handshake.login(clientProperties, mechanism, response, (outcome) => {
      if (!this.#host.isHandshaking) return;
      this.#loggedIn(outcome, mechanism);
      // Within this call the parser only notes it; from a later turn it goes on at once.
      this.#host.loginDone();
    });
  }

  /** Our mechanisms ask no second question. */
  onConnectionSecureOk(): void {
    throw new BrokerError('CHANNEL_ERROR', 'unexpected connection.secure-ok');
  }

  onConnectionTuneOk(channelMax: number, frameMax: number, heartbeat: number): void {
    this.#handshake.expect('tune-ok');
    this.#host.tuned(this.#handshake.tune(channelMax, frameMax, heartbeat));
    this.#handshake.stage = 'open';
  }

  onConnectionOpen(virtualHost: string): void {
    this.#handshake.expect('open');
    const user = this.#user!;
    this.#host.opened(user, this.#handshake.open(virtualHost, user));
    this.#handshake.stage = 'done';
    writeConnectionOpenOk(this.#host.outbound, 0);
    const { remoteAddress, remotePort } = this.#host.peer;
    this.#host.logger.info(
      {
        connection: this.#host.id,
        peer: `${remoteAddress}:${remotePort}`,
        user: user.name,
        vhost: virtualHost,
        name: this.#handshake.connectionName,
      },
      'amqp connection opened',
    );
  }

  onConnectionClose(replyCode: number, replyText: string): void {
    if (replyCode !== SUCCESS_CODE) {
      const fields = { connection: this.#host.id, replyCode, replyText };
      this.#host.logger.info(fields, 'amqp client closed');
    }
    this.#host.answerClose();
  }

  onConnectionCloseOk(): void {
    throw new BrokerError('CHANNEL_ERROR', 'unexpected connection.close-ok');
  }

  /**
   * New credentials: with a token the rights of the login are replaced, then the vhost and the
   * consumers are looked at again. A password user is always told ok (RabbitMQ).
   */
  onConnectionUpdateSecret(newSecret: Buffer): void {
    if (!this.#host.isRunning) {
      throw new BrokerError('CHANNEL_ERROR', 'unexpected connection.update-secret');
    }
    this.#host.holdForLogin();
    this.#handshake.renew(this.#user!, newSecret, (isRenewed) => {
      if (!this.#host.isRunning) return;
      try {
        this.#renewed(isRenewed);
      } catch (error) {
        this.#host.failed(error, METHOD_CONNECTION_UPDATE_SECRET);
      }
      this.#host.loginDone();
    });
  }

  #renewed(isRenewed: boolean): void {
    if (!isRenewed) {
      throw new BrokerError('NOT_ALLOWED', 'New secret was refused by one of the backends');
    }
    this.#host.recheckRights();
    writeConnectionUpdateSecretOk(this.#host.outbound, 0);
  }

  #loggedIn(outcome: LoginOutcome, mechanism: string): void {
    if (outcome.user === undefined) {
      this.#refuse(mechanism, outcome.refusal);
      return;
    }
    this.#user = outcome.user;
    this.#handshake.stage = 'tune-ok';
    const { channelMax, frameMaxBytes, heartbeatSeconds } = this.#host.settings;
    writeConnectionTune(this.#host.outbound, 0, channelMax, frameMaxBytes, heartbeatSeconds);
  }

  #refuse(mechanism: string, refusal: string): void {
    const { id, logger, peer } = this.#host;
    const fields = { connection: id, peer: peer.remoteAddress, mechanism, refusal };
    logger.warn(fields, 'amqp login refused');
    if (!this.#handshake.capabilities.authenticationFailureClose) {
      this.#host.drop('login refused');
      return;
    }
    const text =
      `Login was refused using authentication mechanism ${mechanism}. ` +
      'For details see the broker logfile.';
    this.#host.close(closeReason(new BrokerError('ACCESS_REFUSED', text, 'connection'), 0));
  }
}

/** reply-success of the specification. */
const SUCCESS_CODE = 200;
