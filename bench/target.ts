/** The broker a bench runs against: a URL that was given, or our gateway on a fresh directory. */
import { Gateway, type GatewayOptions } from './gateway.ts';
import { pidListeningOn } from './load/process-stats.ts';

export interface Target {
  readonly url: string;
  /** 0 when the broker is not on this machine. */
  readonly pid: number;
  /** Undefined for a broker that was running already. */
  readonly gateway: Gateway | undefined;
  close(): Promise<void>;
}

export async function openTarget(
  url: string | undefined,
  options: GatewayOptions = {},
): Promise<Target> {
  if (url !== undefined) {
    const pid = pidListeningOn(Number(new URL(url).port || 5672)) ?? 0;
    return { url, pid, gateway: undefined, close: async () => {} };
  }
  const gateway = await Gateway.start(options);
  return {
    url: gateway.url,
    pid: gateway.pid,
    gateway,
    close: async () => {
      await gateway.stop();
      gateway.remove();
    },
  };
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

export function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
