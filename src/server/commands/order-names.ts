/** Names in an order: what they may be, and whether what they name is there. */
import { NAME_BYTES_MAX } from '../../base/limits.ts';
import type { Broker } from '../../engine/broker.ts';
import { CommandError, type Order, valueOf } from './command.ts';

/** @throws CommandError for a name that no client could send */
export function checkName(name: string): string {
  const byteCount = Buffer.byteLength(name);
  if (byteCount > 0 && byteCount <= NAME_BYTES_MAX) return name;
  throw new CommandError(`a name has 1 to ${NAME_BYTES_MAX} bytes`);
}

/** The vhost that an order is about; it need not be there. */
export function vhostOf(order: Order): string {
  return valueOf(order, 'vhost') ?? '/';
}

/** @throws CommandError when it is not there */
export function requireUser(broker: Broker, name: string): void {
  if (broker.access.user(name) === undefined) throw new CommandError(`there is no user '${name}'`);
}

/** @throws CommandError when it is not there */
export function requireVHost(broker: Broker, name: string): void {
  if (broker.vhost(name) === undefined) throw new CommandError(`there is no vhost '${name}'`);
}
