#!/usr/bin/env node
import process from 'node:process';

// Whoever reloads a server that is only just being loaded does not mean to end it. There is nothing
// to do: certificates are read later.
process.on('SIGHUP', () => undefined);

const { run } = await import('./server/run.ts');
await run(process.argv.slice(2));
