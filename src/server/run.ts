/**
 * The process: arguments, configuration, start, and the ways it ends.
 *
 * Exit codes: 0 stopped in order, or a command succeeded; 1 could not start, had to stop, or a
 * command failed, with the reason on stderr (before the log exists) or in the log.
 */
import { resolve } from 'node:path';
import { env, stderr, stdout } from 'node:process';
import { formatBanner } from './banner.ts';
import { type CommandLine, parseCommandLine } from './command-line.ts';
import { readInput, runAdminCommand, writeOutput } from './commands/run-command.ts';
import { type Config, formatConfig, type LoadedConfig } from './config.ts';
import { ConfigError, loadConfig } from './config-loader.ts';
import { createDataDirectory, explainOpening, watchRoom } from './data-directory.ts';
import { findDefinitionsProblems } from './definitions-file.ts';
import { findKeyFileProblems } from './jwt/key-source.ts';
import { createProcessLog, type ProcessLog } from './process-log.ts';
import { readProductVersion } from './product.ts';
import { Server } from './server.ts';
import { obeySignals } from './signals.ts';
import { readTlsFiles } from './tls-files.ts';
import { SqliteStore } from '../store/sqlite/sqlite-store.ts';

/** Does what the arguments say: a command, or to serve. */
export async function run(argv: readonly string[]): Promise<void> {
  const version = readProductVersion();
  const ports = { environment: env, version, write: writeOutput, writeError, readInput };
  const exitCode = await runAdminCommand(argv, ports);
  if (exitCode !== undefined) {
    process.exitCode = exitCode;
    return;
  }
  let commandLine: CommandLine;
  let loaded: LoadedConfig;
  try {
    commandLine = parseCommandLine(argv, version);
    if (commandLine.command === 'exit') return;
    loaded = loadConfig({ ...commandLine, environment: env });
    if (loaded.config.tlsCert !== undefined) checkTls(loaded.config);
    if (commandLine.command === 'check-config') await checkFiles(loaded.config);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const problem of error.problems) stderr.write(`tributary: ${problem}\n`);
    process.exitCode = 1;
    return;
  }
  if (commandLine.command === 'check-config') {
    stdout.write(formatConfig(loaded));
    return;
  }
  await serve(loaded.config, version);
}

function checkTls(config: Config): void {
  try {
    readTlsFiles(config);
  } catch (error) {
    throw new ConfigError([(error as Error).message]);
  }
}

/** What a start reads besides; it checks definitions against what is there as well. */
async function checkFiles({ loadDefinitions, tokenJwks }: Config): Promise<void> {
  const problems = [
    ...(loadDefinitions === undefined ? [] : findDefinitionsProblems(loadDefinitions)),
    ...(tokenJwks === undefined ? [] : await findKeyFileProblems(tokenJwks)),
  ];
  if (problems.length > 0) throw new ConfigError(problems);
}

function writeError(text: string): void {
  stderr.write(text);
}

async function serve(config: Config, version: string): Promise<void> {
  const startedAtMs = performance.now();
  const log = createProcessLog(config.logLevel);
  process.once('exit', () => log.flushAtEnd());
  exitOnSurprise(log);
  const dataDirectory = resolve(config.dataDir);
  const starting = start(config, dataDirectory, log);
  const isStopping = obeySignals(starting, log, config.shutdownTimeout);
  let server: Server;
  try {
    server = await starting;
  } catch (error) {
    exitUnstarted(log, error as Error);
  }
  if (isStopping()) return;
  const { listeners } = server;
  const startMs = Math.round(performance.now() - startedAtMs);
  const { durability } = config;
  log.ready({ listeners, version, dataDirectory, durability, startMs, pid: process.pid });
  if (stderr.isTTY) {
    stderr.write(formatBanner({ version, listeners, dataDirectory, durability, startMs }));
  }
}

async function start(config: Config, dataDirectory: string, log: ProcessLog): Promise<Server> {
  const started: { server?: Server } = {};
  createDataDirectory(dataDirectory);
  const store = await explainOpening(
    dataDirectory,
    SqliteStore.open({
      directory: dataDirectory,
      durability: config.durability,
      onDamage: (report) => log.error({ ...report }, 'damage in the data file'),
      onFull: watchRoom(
        dataDirectory,
        () => started.server,
        (error) => exitUnstarted(log, error),
      ),
    }),
  );
  started.server = await Server.start({
    config,
    logger: log,
    store,
    storeMetrics: () => store.metrics(),
    backup: (directory) => store.backup(directory),
    onFatal: (error) => exitWith(log, error, 'storage failed, nothing more is confirmed'),
  });
  return started.server;
}

/** A broken invariant must not become a lost message: log it and let a supervisor restart. */
function exitOnSurprise(log: ProcessLog): void {
  process.on('uncaughtException', (error) => exitWith(log, error, 'unexpected failure'));
  process.on('unhandledRejection', (reason) => {
    const error = reason instanceof Error ? reason : new Error(String(reason));
    exitWith(log, error, 'unexpected failure');
  });
}

/** The reason is an operator's: a port or directory in use, a bad file. A stack would hide it. */
function exitUnstarted(log: ProcessLog, error: Error): never {
  log.error({ error: error.message }, 'start failed');
  log.debug({ stack: error.stack }, 'start failed here');
  stderr.write(`tributary: ${error.message}\n`);
  process.exit(1);
}

function exitWith(log: ProcessLog, error: Error, message: string): never {
  log.error({ error: error.message, stack: error.stack }, message);
  stderr.write(`tributary: ${message}: ${error.message}\n`);
  process.exit(1);
}
