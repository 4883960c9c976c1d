/**
 * Levels of the log by part of the broker, to be changed while it runs. Main thread.
 *
 * Always true: a part without a level of its own has that of all; a logger below one of a part has that part's level. A
 * level that is not logged costs an empty call, as from the start. Gives up: levels by connection or client.
 */
import type { Logger } from 'pino';

import { logModules, type LogLevel, type ModuleLevels } from '../config/log-settings.js';

/** What is in force. */
export interface LevelSettings {
  readonly default: LogLevel;
  /** Level in force of every part. */
  readonly modules: ModuleLevels;
}

/** What is to change; what is left out stays. `default` for a part takes its own level away. */
export interface LevelChange {
  readonly default?: LogLevel;
  readonly modules?: Readonly<Record<string, LogLevel | 'default'>>;
}

/** See the file header. */
export class LogLevels {
  #default: LogLevel;
  readonly #own = new Map<string, LogLevel>();
  readonly #loggers = new Map<string, Logger[]>();

  constructor(level: LogLevel, modules: ModuleLevels) {
    this.#default = level;
    for (const [module, own] of Object.entries(modules)) this.#own.set(module, own);
    for (const module of logModules) this.#loggers.set(module, []);
  }

  /** The logger of a part: it has the level of the part from now on. */
  register(module: string, logger: Logger): void {
    const loggers = this.#loggers.get(module);
    if (loggers === undefined) this.#loggers.set(module, [logger]);
    else loggers.push(logger);
    logger.level = this.#levelOf(module);
  }

  /** True for parts that may be given a level. */
  has(module: string): boolean {
    return this.#loggers.has(module);
  }

  /** What is in force, parts in order of their names. */
  get current(): LevelSettings {
    const modules: Record<string, LogLevel> = {};
    for (const module of [...this.#loggers.keys()].toSorted()) modules[module] = this.#levelOf(module);
    return { default: this.#default, modules };
  }

  /** Changes levels at once. Parts must be known, see `has`. */
  change({ default: level, modules = {} }: LevelChange): void {
    this.#default = level ?? this.#default;
    for (const [module, own] of Object.entries(modules)) {
      if (own === 'default') this.#own.delete(module);
      else this.#own.set(module, own);
    }
    for (const [module, loggers] of this.#loggers) {
      for (const logger of loggers) logger.level = this.#levelOf(module);
    }
  }

  #levelOf(module: string): LogLevel {
    return this.#own.get(module) ?? this.#default;
  }
}
