/**
 * A backup of the running broker as the body of an answer. Main thread.
 *
 * Always true: the body is whole only when it ends in its `end` frame (broker/backup-format.ts); a fault on the way cuts
 * the connection, so that nobody takes a part for the whole. A reader that takes nothing for STALL_MS is dropped, because
 * a backup keeps disk space of what was deleted since. Only administrators get that far: the guard refuses writes of others.
 */
import { Readable } from 'node:stream';

import Type from 'typebox';

import { answers, type App, operation, type RouteGroup } from './app.js';

/** Time without progress after which a connection is closed, ms; the backup itself says something every few seconds. */
const STALL_MS = 60_000;

const Bytes = Type.Unsafe<Readable>({
  description: 'The backup; whole when "sluice restore" says so, see docs/backup.md.',
  content: { 'application/octet-stream': { schema: Type.String({ format: 'binary' }) } },
});

/** Adds the route. */
export async function backups(app: App, group: RouteGroup): Promise<void> {
  const { admin } = group;

  app.route({
    method: 'POST',
    url: '/data/backup',
    schema: {
      ...operation(group, 'createBackup'),
      summary: 'Download a consistent backup while the broker runs',
      description:
        'Every message that was acknowledged before the request is in it, with all queues, sessions, retained messages, ' +
        'wills, settings, accounts and API keys. Keep it like a password file. `sluice backup` stores it safely.',
      response: answers({ 200: Bytes }, 409, 503),
    },
    handler: async (request, reply) => {
      const { head, bytes } = await admin.beginBackup();
      const stream = Readable.from(bytes, { objectMode: false, highWaterMark: 1 << 20 });
      stream.once('error', (error) => request.log.error({ err: error }, 'a backup failed'));
      dropWhenStalled(stream);
      const name = new Date(head.createdAtMs).toISOString().replace(/[-:]|\.\d+/g, '');
      return await reply
        .type('application/octet-stream')
        .header('content-disposition', `attachment; filename="sluice-${name}.backup"`)
        .header('cache-control', 'no-store')
        .send(stream);
    },
  });
}

/** Ends the stream when nobody has taken anything from it for STALL_MS to twice that. */
function dropWhenStalled(stream: Readable): void {
  let taken = 0;
  let before = -1;
  stream.on('data', (chunk: Buffer) => void (taken += chunk.length));
  // Listening must not start it: whoever sends it does.
  stream.pause();
  const timer = setInterval(() => {
    if (taken === before) stream.destroy(new Error(`the reader of a backup took nothing for ${STALL_MS} ms`));
    before = taken;
  }, STALL_MS).unref();
  stream.once('close', () => clearInterval(timer));
}
