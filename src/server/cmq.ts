import type { CmqDeps, CmqHandlers } from '../../protocols/cmq/dispatcher.ts';
import { type CmqAcceptor, createCmqAcceptor } from '../../protocols/cmq/listener.ts';
import { messageHandlers } from '../../protocols/cmq/message-actions.ts';
import { queueHandlers } from '../../protocols/cmq/queue-actions.ts';
import { subscriptionHandlers } from '../../protocols/cmq/subscription-actions.ts';
import { topicHandlers } from '../../protocols/cmq/topic-actions.ts';
import { systemClock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { Broker } from '../engine/broker.ts';
import { cmqSettings } from './cmq-settings.ts';
import type { Config } from './config.ts';
import { systemRandom } from './system-random.ts';

/** Makes the CMQ side of the HTTP ports, with every handler. */
export function createCmq(broker: Broker, config: Config, logger: Logger): CmqAcceptor {
  const settings = cmqSettings(config);
  const deps: CmqDeps = { broker, clock: systemClock, random: systemRandom, settings, logger };
  const handlers: CmqHandlers = new Map([
    ...queueHandlers(deps),
    ...messageHandlers(deps),
    ...topicHandlers(deps),
    ...subscriptionHandlers(deps),
  ]);
  return createCmqAcceptor({ ...deps, handlers, closeTimeoutMs: config.shutdownTimeout });
}
