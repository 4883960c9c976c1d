/**
 * Writes a small file as a whole. Runs on every thread.
 *
 * Always true: after a crash at any moment the file holds the old or the new text, never a mixture; when the promise
 * resolves the new one survives a loss of power. Nobody but the owner may read it. Gives up: two writers of one file at
 * once; the caller writes one after the other.
 */
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Replaces `file` by `text`. Rejects with the reason of the file system; the old file is then still there. */
export async function replaceFile(file: string, text: string): Promise<void> {
  const aside = `${file}.tmp`;
  try {
    // What a crash has left has rights of its own.
    await rm(aside, { force: true });
    const handle = await open(aside, 'wx', 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(aside, file);
  } catch (error) {
    await rm(aside, { force: true }).catch(() => undefined);
    throw error;
  }
  // The rename is durable once its folder is; platforms that cannot sync a folder do without.
  const folder = await open(dirname(file), 'r').catch(() => undefined);
  await folder?.sync().catch(() => undefined);
  await folder?.close();
}
