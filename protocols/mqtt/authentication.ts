/** Who a CONNECT logs in as: by user name and password, by client certificate, or as nobody. */
import type { User } from '../../src/engine/access/user.ts';
import type { Broker } from '../../src/engine/broker.ts';
import type { VHost } from '../../src/engine/vhost.ts';
import type { PeerInfo } from '../../src/net/transport.ts';
import type { ConnectPacket } from './connect-packet.ts';
import type { MqttSettings } from './settings.ts';
import { REASON_BAD_USER_OR_PASSWORD, REASON_NOT_AUTHORIZED } from './spec/reason-codes.ts';

export interface Login {
  readonly user: User;
  readonly vhost: VHost;
}

/** A login, or the reason code it was refused with. */
export type LoginDone = (result: Login | number) => void;

/** The vhost of a client that names none: its certificate's, its port's, or the default. */
export function unnamedVhost(settings: MqttSettings, peer: PeerInfo): string {
  const { certificateSubject, localPort } = peer;
  const { vhostsByCertificate, vhostsByPort, defaultVhost } = settings;
  const ofCertificate =
    certificateSubject === undefined ? undefined : vhostsByCertificate.get(certificateSubject);
  return ofCertificate ?? vhostsByPort.get(String(localPort)) ?? defaultVhost;
}

/** Names the vhost and the user in `vhost:user`; a name without a colon is a user's. */
export function splitUserName(text: string, unnamed: string): [vhost: string, user: string] {
  const at = text.lastIndexOf(':');
  return at < 0 ? [unnamed, text] : [text.slice(0, at), text.slice(at + 1)];
}

/** Checks the login of a CONNECT; `done` runs now or in a later turn. */
export function logIn(
  broker: Broker,
  settings: MqttSettings,
  peer: PeerInfo,
  connect: ConnectPacket,
  done: LoginDone,
): void {
  const { username, password } = connect;
  const { access } = broker;
  const finish = (user: User | undefined, vhost: string): void =>
    done(admit(broker, peer, user, vhost));
  if (username === undefined || username === '') {
    const name = peer.certificateSubject ?? settings.anonymousUser;
    if (name === undefined || password !== undefined) done(REASON_NOT_AUTHORIZED);
    else finish(access.user(name), unnamedVhost(settings, peer));
    return;
  }
  const [vhost, name] = splitUserName(username, unnamedVhost(settings, peer));
  if (password === undefined) {
    // A name alone is only good for the one the certificate proves.
    finish(peer.certificateSubject === name ? access.user(name) : undefined, vhost);
    return;
  }
  const { remoteAddress } = peer;
  access.authenticate(name, password, (user) => finish(user, vhost), remoteAddress);
}

/** Whether a user whose password was checked may be here: the login, or a reason code. */
export function admit(
  broker: Broker,
  peer: PeerInfo,
  user: User | undefined,
  vhostName: string,
): Login | number {
  if (user === undefined) return REASON_BAD_USER_OR_PASSWORD;
  if (!broker.access.mayConnectFrom(user, peer.isLoopback)) return REASON_NOT_AUTHORIZED;
  const vhost = broker.vhost(vhostName);
  if (vhost === undefined) return REASON_BAD_USER_OR_PASSWORD;
  if (!broker.access.mayOpenVhost(user, vhostName)) return REASON_NOT_AUTHORIZED;
  return { user, vhost };
}
