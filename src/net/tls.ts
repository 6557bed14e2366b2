/**
 * TLS on top of accepted sockets. The certificate can be replaced while connections are open: new
 * handshakes use the new one, and a bad replacement leaves the old one in service.
 */
import type { Socket } from 'node:net';
import {
  createSecureContext,
  createServer,
  type PeerCertificate,
  type Server,
  type TLSSocket,
} from 'node:tls';

/** Certificates and rules of one TLS listener. PEM contents, not file names. */
export interface TlsOptions {
  readonly cert: Buffer | string;
  readonly key: Buffer | string;
  /** Authorities that client certificates are verified against; the system's when absent. */
  readonly ca?: Buffer | string;
  readonly passphrase?: string;
  /** `optional` asks and drops unverified names; `required` refuses clients without a valid one. */
  readonly clientCertificate: 'none' | 'optional' | 'required';
  /** Which part of a verified client certificate is its login name. */
  readonly clientName: 'common-name' | 'distinguished-name';
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
}

/** A handshake that takes longer is dropped. */
const HANDSHAKE_TIMEOUT_MS = 5_000;

/** Turns plain sockets into TLS ones. */
export class TlsAcceptor {
  readonly #server: Server;
  #clientName: TlsOptions['clientName'];

  /**
   * @param onSecure gets each socket after its handshake, with the verified client name if any
   * @param onFailure gets the reason of each failed handshake
   * @throws the TLS library's error when certificate and key are unusable or do not match
   */
  constructor(
    options: TlsOptions,
    onSecure: (socket: TLSSocket, subject: string | undefined) => void,
    onFailure: (error: Error, socket: TLSSocket) => void,
  ) {
    this.#clientName = options.clientName;
    this.#server = createServer(tlsServerOptions(options));
    this.#server.on('secureConnection', (socket) => {
      onSecure(socket, verifiedSubject(socket, this.#clientName));
    });
    this.#server.on('tlsClientError', onFailure);
  }

  /** Starts the handshake on an accepted socket. */
  accept(socket: Socket): void {
    this.#server.emit('connection', socket);
  }

  /**
   * Uses new certificates for handshakes from now on. Whether client certificates are asked for
   * stays as it was at start.
   *
   * @throws the TLS library's error when they are unusable; the old ones stay
   */
  replace(options: TlsOptions): void {
    replaceContext(this.#server, options);
    this.#clientName = options.clientName;
  }
}

/** What Node's TLS and HTTPS servers take of `options`. */
export function tlsServerOptions(options: TlsOptions) {
  return {
    ...contextOptions(options),
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    requestCert: options.clientCertificate !== 'none',
    rejectUnauthorized: options.clientCertificate === 'required',
  };
}

/** As `TlsAcceptor.replace`, for any TLS server. */
export function replaceContext(server: Server, options: TlsOptions): void {
  const context = contextOptions(options);
  createSecureContext(context);
  server.setSecureContext(context);
}

function contextOptions(options: TlsOptions) {
  return {
    cert: options.cert,
    key: options.key,
    minVersion: options.minVersion,
    ...(options.ca === undefined ? {} : { ca: options.ca }),
    ...(options.passphrase === undefined ? {} : { passphrase: options.passphrase }),
  };
}

/** The name in the client certificate of `socket`, when there is one and it was verified. */
export function verifiedSubject(
  socket: TLSSocket,
  clientName: TlsOptions['clientName'],
): string | undefined {
  if (!socket.authorized) return undefined;
  const certificate = socket.getPeerCertificate();
  const subject = certificate?.subject as PeerCertificate['subject'] | undefined;
  if (subject === undefined) return undefined;
  if (clientName === 'common-name') return firstOf(subject.CN);
  return distinguishedName(subject);
}

function firstOf(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

/** The subject as RFC 4514 writes it: most specific part first, special characters escaped. */
export function distinguishedName(
  subject: Readonly<Record<string, string | readonly string[] | undefined>>,
): string {
  const parts: string[] = [];
  for (const [type, value] of Object.entries(subject)) {
    if (value === undefined) continue;
    const values = typeof value === 'string' ? [value] : value;
    for (const one of values) parts.push(`${type}=${escapeName(one)}`);
  }
  return parts.reverse().join(',');
}

function escapeName(value: string): string {
  return value
    .replace(/[",+;<>\\]/g, '\\$&')
    .replace(/^[ #]/, '\\$&')
    .replace(/ $/, '\\ ');
}
