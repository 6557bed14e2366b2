import { existsSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { resolve } from 'node:path';
import { systemClock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import { AddressGuard } from '../net/push/address-guard.ts';
import { SystemResolver } from '../net/push/host-resolver.ts';
import { HttpPoster } from '../net/push/http-poster.ts';
import type { Config } from './config.ts';
import { FunctionRunner } from './functions/function-runner.ts';
import { lastKnown } from './last-known.ts';
import { OutgoingPush } from './push-transport.ts';

/** Makes the way out of push subscriptions as the options say. */
export function createPush(config: Config, logger: Logger): OutgoingPush {
  const poster = new HttpPoster({
    guard: new AddressGuard({
      allowedBlocks: config.pushAllow.filter((target) => 'address' in target),
      allowedNames: config.pushAllow.flatMap((target) => ('name' in target ? [target.name] : [])),
      ownAddresses: lastKnown(ownAddresses),
    }),
    resolver: new SystemResolver(),
    clock: systemClock,
    timeoutMs: config.pushTimeout,
    concurrencyMax: config.pushConcurrency,
    endpointConcurrencyMax: config.pushEndpointConcurrency,
    ports: config.pushPorts,
  });
  return new OutgoingPush({ poster, runner: createRunner(config, logger), clock: systemClock });
}

function createRunner(config: Config, logger: Logger): FunctionRunner | undefined {
  if (config.functionsDir === undefined) return undefined;
  const directory = resolve(config.functionsDir);
  // Not fatal: it may be mounted later, and is looked into at each call.
  if (!existsSync(directory)) logger.warn({ directory }, 'functions-dir does not exist');
  return new FunctionRunner({
    directory,
    limits: { timeoutMs: config.functionTimeout, memoryBytes: config.functionMemory },
    concurrencyMax: config.functionConcurrency,
    logger,
  });
}

function ownAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((infos) =>
    (infos ?? []).map(({ address }) => address),
  );
}
