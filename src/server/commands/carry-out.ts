import type { Broker } from '../../engine/broker.ts';
import { CommandError, type Order, type Outcome, usageText, type WorkFacts } from './command.ts';
import { BROKER_COMMANDS } from './command-list.ts';

/**
 * Carries out an order on the broker that serves; what it changed is on disk when this resolves.
 *
 * @throws CommandError; nothing was changed then
 */
export async function carryOutLive(
  broker: Broker,
  order: Order,
  facts: WorkFacts,
): Promise<Outcome> {
  const command = BROKER_COMMANDS.find(({ name }) => name === order.command);
  if (command === undefined) {
    throw new CommandError(`the server, version ${facts.version}, has no ${order.command}`);
  }
  const [least, most] = command.words;
  const { length } = order.words;
  if (length < least || length > most) throw new CommandError(usageText(command));
  const outcome = await command.work(broker, order, facts);
  await new Promise<void>((resolve) => broker.hold(broker.ticket, resolve));
  return outcome;
}
