import { BrokerError } from '../../src/base/errors.ts';
import type { User } from '../../src/engine/access/user.ts';
import type { ChannelQuota } from './channel-table.ts';

/** What each login has open, against its limits (RabbitMQ user limits). */
export class UserQuotas {
  /** Of logins with a channel open. */
  readonly #channelCounts: Map<User, number>;

  constructor() {
    this.#channelCounts = new Map();
  }

  /** @throws BrokerError NOT_ALLOWED (connection) */
  takeConnection(user: User, vhost: string): void {
    if (!user.mayConnect) {
      const max = user.limits.maxConnections;
      throw new BrokerError(
        'NOT_ALLOWED',
        `connection to vhost '${vhost}' refused for user '${user.name}': user connection ` +
          `limit (${max}) is reached`,
      );
    }
    user.connectionCount += 1;
  }

  giveConnection(user: User): void {
    user.connectionCount -= 1;
  }

  /** The channel quota of a login, shared by its connections. */
  channels(user: User): ChannelQuota {
    return {
      take: () => {
        const count = this.#channelCounts.get(user) ?? 0;
        const max = user.limits.maxChannels;
        if (max !== undefined && count >= max) {
          throw new BrokerError(
            'NOT_ALLOWED',
            `number of channels opened for user '${user.name}' has reached the maximum ` +
              `allowed user limit of (${max})`,
          );
        }
        this.#channelCounts.set(user, count + 1);
      },
      give: () => {
        const count = this.#channelCounts.get(user) ?? 0;
        if (count > 1) this.#channelCounts.set(user, count - 1);
        else this.#channelCounts.delete(user);
      },
    };
  }
}
