import type { User } from './access/user.ts';
import type { VHost } from './vhost.ts';

/** Who asks: a login on a vhost, and the connection that owns its exclusive queues. */
export interface Actor {
  readonly user: User;
  readonly vhost: VHost;
  /** Unique in this process; owner of exclusive queues. */
  readonly connectionId: number;
}
