/**
 * What lies in a data directory beside the shards. Main thread; offline too.
 *
 * Always true: a file of the broker is a plain file right below the data directory; whoever keeps one replaces it as a
 * whole, so that a read at any time finds a whole one. Backups take them all by this rule, not by a list of names.
 * Gives up: folders other than those of the shards.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { OperationalError } from '../base/error.js';

/** Tells that a restore has begun and not ended; a broker does not start then. */
export const RESTORE_MARK = 'RESTORING';
/** What `lockDirectory` makes. */
export const OWNER_FILE = 'OWNER';

/** Belongs to the shards, to a restore or to a lock, or is what a writer that was cut off left. */
const NOT_KEPT = /^(layout\.json.*|RESTORING|OWNER|.*\.(tmp|new|part)|.*~)$/;
const PLAIN_NAME = /^[A-Za-z0-9._-]{1,200}$/;

/** True for a name under which a broker keeps a file of its own, and that may be written by a restore. */
export function isDataFile(name: string): boolean {
  return PLAIN_NAME.test(name) && !name.startsWith('.') && !NOT_KEPT.test(name);
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
