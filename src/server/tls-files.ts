import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import type { TlsOptions } from '../net/tls.ts';
import type { Config } from './config.ts';

/** Certificates change a few times a year; what counts is that a renewal needs no restart. */
const WATCH_INTERVAL_MS = 5_000;
/**
 * Certificate and key are two files: who sees one changed waits this long for the other, so that a
 * renewal is one reload and no alarm.
 */
const SETTLE_MS = 1_000;

/**
 * Reads the TLS files of a configuration that has `tls-cert` and `tls-key`.
 *
 * @throws Error with a sentence that names the file, or what does not fit together
 */
export function readTlsFiles(config: Config): TlsOptions {
  const options: TlsOptions = {
    cert: readPem('tls-cert', config.tlsCert ?? ''),
    key: readPem('tls-key', config.tlsKey ?? ''),
    clientCertificate: config.tlsClientCertificate,
    clientName: config.tlsClientName,
    minVersion: `TLSv${config.tlsMinVersion}`,
    ...(config.tlsCa === undefined ? {} : { ca: readPem('tls-ca', config.tlsCa) }),
    ...(config.tlsPassphrase === undefined ? {} : { passphrase: config.tlsPassphrase }),
  };
  const { cert, key, ca, passphrase } = options;
  use('tls-cert', { cert });
  use('tls-key, tls-passphrase', { key, passphrase });
  if (ca !== undefined) use('tls-ca', { ca });
  use('tls-cert, tls-key', { cert, key, passphrase });
  return options;
}

/** @throws Error that names the options whose files cannot be used, alone or together */
function use(keys: string, options: SecureContextOptions): void {
  try {
    createSecureContext(options);
  } catch (error) {
    const text = (error as Error).message;
    throw new Error(`${keys}: unusable: ${text}`, { cause: error });
  }
}

function readPem(key: string, fileName: string): Buffer {
  try {
    return readFileSync(fileName);
  } catch (error) {
    const text = (error as Error).message;
    throw new Error(`${key}: cannot be read: ${text}`, { cause: error });
  }
}

/** Calls `onChange` when TLS files were replaced or rewritten; returns how to stop. */
export function watchTlsFiles(config: Config, onChange: () => void): () => void {
  const files = [config.tlsCert, config.tlsKey, config.tlsCa].filter((name) => name !== undefined);
  // Polling sees renewals by rename and by symbolic link alike, unlike a watch on the file.
  const options = { interval: WATCH_INTERVAL_MS, persistent: false };
  const quiet = new QuietCall(onChange, SETTLE_MS);
  const listener = (): void => quiet.ask();
  for (const name of files) watchFile(name, options, listener);
  return () => {
    for (const name of files) unwatchFile(name, listener);
    quiet.cancel();
  };
}

/** Calls once when nobody has asked for a while. */
export class QuietCall {
  readonly #call: () => void;
  readonly #quietMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(call: () => void, quietMs: number) {
    this.#call = call;
    this.#quietMs = quietMs;
    this.#timer = undefined;
  }

  ask(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#call, this.#quietMs).unref();
  }

  cancel(): void {
    clearTimeout(this.#timer);
  }
}
