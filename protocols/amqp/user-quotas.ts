import { BrokerError } from '../../src/base/errors.ts';
import type { User } from '../../src/engine/access/user.ts';
import type { ChannelQuota } from './channel-table.ts';

interface Usage {
  connectionCount: number;
  channelCount: number;
}

/** What each login has open, against its limits (RabbitMQ user limits). */
export class UserQuotas {
  readonly #usage: Map<User, Usage>;

  constructor() {
    this.#usage = new Map();
  }

  /** @throws BrokerError NOT_ALLOWED (connection) */
  takeConnection(user: User, vhost: string): void {
    const usage = this.#of(user);
    const max = user.limits.maxConnections;
    if (max !== undefined && usage.connectionCount >= max) {
      throw new BrokerError(
        'NOT_ALLOWED',
        `connection to vhost '${vhost}' refused for user '${user.name}': user connection ` +
          `limit (${max}) is reached`,
      );
    }
    usage.connectionCount += 1;
  }

  giveConnection(user: User): void {
    const usage = this.#of(user);
    usage.connectionCount -= 1;
    if (usage.connectionCount === 0) this.#usage.delete(user);
  }

  /** The channel quota of a login, shared by its connections. */
  channels(user: User): ChannelQuota {
    return {
      take: () => {
        const usage = this.#of(user);
        const max = user.limits.maxChannels;
        if (max !== undefined && usage.channelCount >= max) {
          throw new BrokerError(
            'NOT_ALLOWED',
            `number of channels opened for user '${user.name}' has reached the maximum ` +
              `allowed user limit of (${max})`,
          );
        }
        usage.channelCount += 1;
      },
      give: () => {
        this.#of(user).channelCount -= 1;
      },
    };
  }

  #of(user: User): Usage {
    let usage = this.#usage.get(user);
    if (usage === undefined) {
      usage = { connectionCount: 0, channelCount: 0 };
      this.#usage.set(user, usage);
    }
    return usage;
  }
}
