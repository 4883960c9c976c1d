/**
 * What lies in a data directory beside the shards. Main thread; offline too.
 *
 * Always true: a file of the broker is a plain file right below the data directory; whoever keeps one replaces it as a
 * whole, so that a read at any time finds a whole one. Backups take those of the list, and a restore writes and replaces
 * no others: what somebody else put there is his. A broker that keeps one more file adds its name here.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { OperationalError } from '../base/error.js';

/** Tells that a restore has begun and not ended; a broker does not start then. */
export const RESTORE_MARK = 'RESTORING';
/** What `lockDirectory` makes. */
export const OWNER_FILE = 'OWNER';

/** The files that a broker keeps beside the shards. */
const NAMES: ReadonlySet<string> = new Set([
  'accounts.json',
  'api-keys.json',
  'banned.json',
  'mq-config.json',
]);
/** Names in backups: those before took along every plain file but these, which belong to shards, restores and locks. */
const NEVER_KEPT = /^(layout\.json.*|RESTORING|OWNER|.*\.(tmp|new|part)|.*~)$/;
const PLAIN_NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$/;
/** Shards with those that were given up, layout, and what was left of a file that was being replaced. */
const OF_SHARDS = /^(shard-\d+(\..*)?|layout\.json(\..*)?)$/;
const ASIDE = /\.tmp$/;

/** True for a name under which a broker keeps a file of its own, and that may be written by a restore. */
export function isDataFile(name: string): boolean {
  return NAMES.has(name);
}

/** True for a name that a whole backup may hold; what is no data file is left out by a restore. */
export function mayBeInBackup(name: string): boolean {
  return PLAIN_NAME.test(name) && !NEVER_KEPT.test(name);
}

/** True for what a broker made right below its data directory, and a restore replaces. */
export function isReplaced(name: string): boolean {
  return OF_SHARDS.test(name) || isDataFile(name.replace(ASIDE, ''));
}

/** Files that a backup takes along, by name. */
export function dataFiles(dataDir: string): string[] {
  return readdirSync(dataDir, { withFileTypes: true })
    .filter((entry) => entry.isFile() && isDataFile(entry.name))
    .map(({ name }) => name)
    .toSorted();
}

/** Throws ERR_RESTORE when a restore into the directory was cut off. */
export function refuseUnfinishedRestore(dataDir: string): void {
  if (!existsSync(join(dataDir, RESTORE_MARK))) return;
  throw new OperationalError(
    'ERR_RESTORE',
    `a restore into ${dataDir} did not come to its end; run "sluice restore" again, or empty the directory`,
  );
}
