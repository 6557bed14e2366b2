import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/logger.ts';
import type { Access } from '../../engine/access/access.ts';
import type { Config } from '../config.ts';
import { JwtVerifier } from './jwt-verifier.ts';
import { KeySource } from './key-source.ts';

/**
 * Has `access` take tokens in the place of passwords when the configuration asks for it. Returns
 * how to stop reading keys.
 *
 * @throws Error with a sentence for the operator: the file of keys is unusable
 */
export async function startTokens(
  config: Config,
  access: Access,
  clock: Clock,
  logger: Logger,
): Promise<() => void> {
  const { tokenJwks, tokenIssuer: issuer, tokenAudience: audience } = config;
  if (tokenJwks === undefined || issuer === undefined || audience === undefined) return () => {};
  const refreshMs = config.tokenRefresh;
  const keys = await KeySource.open({ location: tokenJwks, refreshMs, clock, logger });
  const settings = {
    issuer,
    audience,
    algorithms: config.tokenAlgorithms,
    userClaim: config.tokenUserClaim,
    scopeClaims: config.tokenScopeClaims,
    scopePrefix: scopePrefix(config.tokenScopePrefix, audience),
    clockSkewMs: config.tokenClockSkew,
  };
  access.tokenVerifier = new JwtVerifier({ settings, getKey: keys.getKey, clock, logger });
  return () => keys.close();
}

/** Without one of its own: that of RabbitMQ, the audience and a dot. */
function scopePrefix(configured: string | undefined, audience: string): string {
  if (configured === undefined) return `${audience}.`;
  return configured === 'none' ? '' : configured;
}
