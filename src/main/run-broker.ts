/**
 * The life of a broker process: settings in, ready line, signals, exit code. Main thread. Loaded by `sluice start` alone.
 *
 * Always true: SIGTERM and SIGINT drain and end with 0; a second one ends at once with 1. A broken invariant or an
 * unhandled rejection is logged and ends the process with 70, because going on could acknowledge what is not stored.
 * The ready line is written after all listeners accept. SIGHUP reads settings, certificates, passwords, keys and rules again.
 */
import { ApiKeys } from '../auth/api-key.js';
import { startBroker } from '../broker/broker.js';
import { SettingsReload } from '../broker/reload.js';
import { packageVersion } from '../cli/version.js';
import { ignoredVariables, type Config, type Environment } from '../config/config.js';
import { makeFirstAccount, openHttpAccess } from '../http/access.js';
import { startHttpServer } from '../http/server.js';
import type { BoundListener } from '../net/listener.js';
import { Counters, MAIN_BLOCK } from '../telemetry/counter.js';
import { createLogging, type Logger } from '../telemetry/logger.js';

const EXIT_SOFTWARE = 70;

/** Runs a broker until a signal has stopped it; resolves to the exit code. */
export async function runBroker(config: Config, env: Environment): Promise<number> {
  const logging = createLogging({
    level: config.logLevel,
    levels: config.logLevels,
    format: config.logFormat,
    repeatsMax: config.logRepeatsMax,
  });
  const { logger } = logging;
  const die = (error: unknown): void => {
    logging.flush();
    logger.fatal({ err: error }, 'an invariant is broken; the process ends');
    process.exit(EXIT_SOFTWARE);
  };
  process.on('uncaughtException', die);
  process.on('unhandledRejection', die);
  const stopRequested = firstSignal();

  const version = packageVersion();
  const ignored = ignoredVariables(env);
  if (ignored.length > 0) logger.warn({ variables: ignored }, 'these EMQX settings have no meaning here');
  const httpLogger = logger.child({ module: 'http' });
  const apiKeys =
    config.apiKeysFile === undefined ? ApiKeys.none() : ApiKeys.load(config.apiKeysFile, httpLogger);
  const broker = await startBroker({ config, env, logger, version });
  try {
    const access = openHttpAccess({
      directory: broker.dataDir,
      apiKeys,
      banned: broker.banned,
      counters: new Counters(broker.counterMemory, MAIN_BLOCK),
      auditLogger: logger.child({ module: 'audit' }),
      now: Date.now,
      settings: config,
    });
    announceFirstAccount(await makeFirstAccount(access.accounts, config), logger);
    const http = await startHttpServer({
      admin: broker.admin,
      access,
      takeUpgrade: (request, socket, head) => broker.takeUpgrade(request, socket, head),
      counterMemory: broker.counterMemory,
      logging,
      monitoring: { queuesMax: config.metricsQueuesMax, dataDir: broker.dataDir },
      host: config.httpHost,
      port: config.httpPort,
      drainTimeoutMs: config.drainTimeoutMs,
      version,
      logger: httpLogger,
    });
    if (access.letsLocalIn) {
      httpLogger.warn(
        'no API keys are configured (SLUICE_API_KEYS_FILE): the REST API answers requests from this machine only',
      );
    }
    const { mqtt, ...others } = listenerTexts(broker.listeners);
    logger.info(
      {
        ...(mqtt !== undefined && { mqtt }),
        http: addressText(http.address),
        data: broker.dataDir,
        shards: config.shards,
        durability: config.durability,
        store: config.store,
        ...others,
      },
      'Sluice is ready',
    );
    const settings = new SettingsReload({
      config,
      env: process.env,
      levels: logging.levels,
      logger,
      apply: (changes) => broker.applySettings(changes),
    });
    const onHangup = (): void => {
      logger.info('settings, certificates, passwords, keys and rules are read again');
      settings.run();
      apiKeys.reload();
      broker.reload().catch((error: unknown) => logger.error({ err: error }, 'the reload failed'));
    };
    process.on('SIGHUP', onHangup);
    const signal = await stopRequested;
    logger.info({ signal }, 'stopping');
    await Promise.all([http.close(), broker.stop()]);
    logging.flush();
    logger.info('stopped');
    return 0;
  } catch (error) {
    await broker.stop();
    throw error;
  }
}

/** The password of a new installation is told once: in the log, or past it when the log is too quiet for that. */
function announceFirstAccount(made: Awaited<ReturnType<typeof makeFirstAccount>>, logger: Logger): void {
  if (made === undefined) return;
  const { username, madeUp } = made;
  const secret =
    madeUp === undefined ? 'the password that was set' : `the password ${madeUp} (shown this once)`;
  const text = `the dashboard has got its first account: ${username} with ${secret}`;
  if (logger.isLevelEnabled('info')) logger.info(text);
  else process.stderr.write(`${text}\n`);
}

/** Resolves with the first SIGTERM or SIGINT; the second one ends the process. */
function firstSignal(): Promise<string> {
  return new Promise((resolve) => {
    let count = 0;
    const onSignal = (signal: string): void => {
      if (++count > 1) process.exit(1);
      resolve(signal);
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}

/** `mqtt`, `ws` and so on with their addresses, as they stand in the ready line. */
function listenerTexts(listeners: readonly BoundListener[]): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const { kind, name, text } of listeners) {
    const key = kind === 'tcp' ? 'mqtt' : kind === 'tls' ? 'mqtts' : kind;
    texts[key in texts ? name : key] = text;
  }
  return texts;
}

function addressText({ address, port, family }: { address: string; port: number; family: string }): string {
  return family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`;
}
