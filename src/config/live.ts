/**
 * What differs between two configurations, and which of it may change while the broker runs. Main thread; pure.
 *
 * Always true: a setting is live when its entry in the schema says so; whoever reads a live setting reads it at use, or when a
 * connection begins, from the object that `applySettings` writes to. Settings of the queue system are changed by REST while
 * the broker runs; in the environment they are the lowest layer, and that is read at the start only.
 */
import { isDeepStrictEqual } from 'node:util';

import type { Config } from './config.js';
import { sections } from './schema.js';

/** One setting that differs. */
export interface SettingChange {
  /** Name of its environment variable. */
  readonly variable: string;
  /** Field of `Config`, or of `Config.mq`. */
  readonly field: string;
  readonly value: unknown;
  /** It may be changed while the broker runs. */
  readonly live: boolean;
}

/** Settings of `next` that are not those of `running`, in the order of the schema. */
export function changedSettings(running: Config, next: Config): SettingChange[] {
  return sections.flatMap(({ parent, fields }) => {
    const before = (parent === undefined ? running : running[parent]) as unknown as Record<string, unknown>;
    const after = (parent === undefined ? next : next[parent]) as unknown as Record<string, unknown>;
    return Object.entries(fields).flatMap(([field, { name, live }]) => {
      const value = after[field];
      if (isDeepStrictEqual(before[field], value)) return [];
      return [{ variable: name, field, value, live: live === true && parent === undefined }];
    });
  });
}
