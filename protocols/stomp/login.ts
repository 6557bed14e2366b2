import type { User } from '../../src/engine/access/user.ts';
import type { Broker } from '../../src/engine/broker.ts';
import type { VHost } from '../../src/engine/vhost.ts';
import type { PeerInfo } from '../../src/net/transport.ts';
import type { Frame } from './frame.ts';
import type { StompSettings } from './settings.ts';
import { type Dialect, STOMP_1_0, VERSIONS } from './spec/headers.ts';
import { StompError } from './stomp-error.ts';

/** What a good CONNECT leads to. */
export interface Login {
  readonly user: User;
  readonly vhost: VHost;
}

const BAD_CONNECT = 'Bad CONNECT';
const DEFAULT_VHOST = '/';

/**
 * The highest version both have; a client that names none speaks 1.0.
 *
 * @throws StompError
 */
export function negotiate(frame: Frame): Dialect {
  const offer = frame.header('accept-version');
  if (offer === undefined) return STOMP_1_0;
  const offered = offer.split(',').map((version) => version.trim());
  for (const dialect of [2, 1, 0] as const) {
    if (offered.includes(VERSIONS[dialect])) return dialect;
  }
  const detail = `Supported versions are ${VERSIONS.join(',')}\n`;
  throw new StompError('Version mismatch', detail);
}

/** Checks who CONNECT is from and which vhost it opens; one of the callbacks runs, now or later. */
export function checkLogin(
  broker: Broker,
  settings: StompSettings,
  peer: PeerInfo,
  frame: Frame,
  done: (login: Login) => void,
  refused: (error: StompError) => void,
): void {
  const name = frame.header('login');
  const vhostName = frame.header('host') ?? DEFAULT_VHOST;
  const finish = (user: User | undefined, shown: string): void => {
    const login = judge(broker, peer, user, shown, vhostName);
    if (login instanceof StompError) refused(login);
    else done(login);
  };
  const subject = peer.certificateSubject;
  if (name === undefined && settings.acceptsCertificates && subject !== undefined) {
    finish(broker.access.user(subject), subject);
    return;
  }
  const login = name ?? '';
  const passcode = frame.header('passcode') ?? '';
  const { remoteAddress } = peer;
  broker.access.authenticate(login, passcode, (user) => finish(user, login), remoteAddress);
}

function judge(
  broker: Broker,
  peer: PeerInfo,
  user: User | undefined,
  shown: string,
  vhostName: string,
): Login | StompError {
  if (user === undefined) {
    return new StompError(BAD_CONNECT, `Access refused for user '${shown}'`);
  }
  if (!broker.access.mayConnectFrom(user, peer.isLoopback)) {
    return new StompError(BAD_CONNECT, 'non-loopback access denied');
  }
  const vhost = broker.vhost(vhostName);
  if (vhost === undefined || !broker.access.mayOpenVhost(user, vhostName)) {
    return new StompError(BAD_CONNECT, `Virtual host '${vhostName}' access denied`);
  }
  return { user, vhost };
}
