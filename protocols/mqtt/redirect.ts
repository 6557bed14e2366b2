/** Sending clients elsewhere: Use another server (0x9C), Server moved (0x9D), and where (4.11). */
import { truncateText } from '../../src/base/byte-writer.ts';
import type { MqttSettings } from './settings.ts';
import type { PropertyValues } from './spec/properties.ts';
import {
  REASON_SERVER_MOVED,
  REASON_SERVER_SHUTTING_DOWN,
  REASON_USE_ANOTHER_SERVER,
} from './spec/reason-codes.ts';

/** Bytes of a reason in words: names of the client's are in it, which may fill a field alone. */
const REASON_BYTES_MAX = 1_024;

/** The code to refuse a CONNECT with; undefined while this server takes clients. */
export function redirectCode({ redirect, serverReference }: MqttSettings): number | undefined {
  if (serverReference === undefined || redirect === 'at-stop') return undefined;
  return redirect === 'permanent' ? REASON_SERVER_MOVED : REASON_USE_ANOTHER_SERVER;
}

/** The code that ends connections when this server stops. */
export function stopCode({ serverReference }: MqttSettings): number {
  return serverReference === undefined ? REASON_SERVER_SHUTTING_DOWN : REASON_USE_ANOTHER_SERVER;
}

/** A reason as it is told and logged. */
export function shortReason(text: string): string {
  return truncateText(text, REASON_BYTES_MAX);
}

/** What CONNACK and DISCONNECT say beside their code. */
export function explanation(
  code: number,
  text: string,
  { serverReference }: MqttSettings,
): PropertyValues {
  const isRedirect = code === REASON_USE_ANOTHER_SERVER || code === REASON_SERVER_MOVED;
  return {
    ...(text !== '' && { reasonString: shortReason(text) }),
    ...(isRedirect && serverReference !== undefined && { serverReference }),
  };
}
