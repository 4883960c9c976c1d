/**
 * Settings that are read again while the broker runs (SIGHUP). Main thread.
 *
 * Always true: a faulty file, or one that contradicts itself, changes nothing and is told with all its faults; of a sound one
 * the live settings are in force when `run` returns, and every other one that differs is named as waiting for a restart.
 * A setting that REST has changed meanwhile (levels of the log) stays unless the file itself says something new.
 */
import type { Config, Environment } from '../config/config.js';
import { ConfigError, loadConfig } from '../config/config.js';
import { readEnvironment } from '../config/env-file.js';
import { changedSettings, type SettingChange } from '../config/live.js';
import type { LogLevels } from '../telemetry/log-levels.js';
import type { Logger } from '../telemetry/logger.js';

/** What settings are read from, and whom they reach. */
export interface SettingsReloadOptions {
  /** As the broker was started with. */
  readonly config: Config;
  /** The environment without the settings of its file. */
  readonly env: Environment;
  readonly levels: Pick<LogLevels, 'change'>;
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>;
  /** Puts changed live settings in force. */
  readonly apply: (changes: readonly SettingChange[]) => void;
}

/** See the file header. */
export class SettingsReload {
  readonly #options: SettingsReloadOptions;
  #running: Config;

  constructor(options: SettingsReloadOptions) {
    this.#options = options;
    this.#running = options.config;
  }

  /** False when the settings are faulty; nothing was changed then. */
  run(): boolean {
    const { env, logger, apply } = this.#options;
    let next: Config;
    try {
      next = loadConfig(readEnvironment(env));
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      const faults = error.faults.map(({ variable, message }) => `${variable}: ${message}`);
      logger.error({ faults }, 'the settings are faulty; none of them was changed');
      return false;
    }
    const changes = changedSettings(this.#running, next);
    const live = changes.filter((change) => change.live);
    const waiting = changes.filter((change) => !change.live).map(({ variable }) => variable);
    this.#applyLevels(live, next);
    apply(live);
    this.#running = Object.freeze({ ...this.#running, ...valuesOf(live) });
    if (live.length > 0) {
      const changed = live.map(({ variable, value }) => `${variable}=${JSON.stringify(value)}`);
      logger.info({ changed }, 'settings have changed');
    }
    if (waiting.length > 0) logger.warn({ settings: waiting }, 'these settings change with the next start');
    return true;
  }

  #applyLevels(live: readonly SettingChange[], { logLevel, logLevels }: Config): void {
    if (live.some(({ field }) => field === 'logLevel')) this.#options.levels.change({ default: logLevel });
    if (!live.some(({ field }) => field === 'logLevels')) return;
    const gone = Object.keys(this.#running.logLevels).map((module) => [module, 'default'] as const);
    this.#options.levels.change({ modules: { ...Object.fromEntries(gone), ...logLevels } });
  }
}

/** Live settings by their fields. */
export function valuesOf(changes: readonly SettingChange[]): Partial<Config> {
  return Object.fromEntries(changes.map(({ field, value }) => [field, value]));
}
