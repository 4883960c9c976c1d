/**
 * Starts a server on a port or on a Unix socket. Main thread.
 *
 * Always true: it resolves when connections are accepted and rejects with ERR_LISTEN otherwise; later faults of single
 * accepts (out of file descriptors) do not end the server. A socket file that nobody listens on is replaced, one that
 * somebody answers on is not. Gives up: telling apart two starts at the same moment on one stale file.
 */
import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { connect, type AddressInfo, type Server } from 'node:net';

import { OperationalError } from '../base/error.js';

/** A port of an address, or the path of a Unix socket. */
export type Place =
  | { readonly host: string; readonly port: number }
  | { readonly path: string; readonly mode: number };

/** Connections that the kernel may keep until they are accepted. */
const backlog = 4096;

/** Resolves with the address; for a Unix socket with its path. `onFault` gets what goes wrong later. */
export async function startServer(
  server: Server,
  place: Place,
  onFault: (error: Error) => void,
): Promise<AddressInfo | string> {
  if ('path' in place) await removeStale(place.path);
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void => {
      const reason = cause instanceof Error ? cause.message : String(cause);
      reject(new OperationalError('ERR_LISTEN', `cannot listen on ${placeText(place)}: ${reason}`, cause));
    };
    server.once('error', fail);
    const options = 'path' in place ? { path: place.path } : { host: place.host, port: place.port };
    server.listen({ ...options, backlog }, () => {
      try {
        if ('path' in place) chmodSync(place.path, place.mode);
      } catch (error) {
        server.close();
        fail(error);
        return;
      }
      server.removeListener('error', fail);
      server.on('error', onFault);
      resolve('path' in place ? place.path : (server.address() as AddressInfo));
    });
  });
}

/** `host:port` or the path. */
export function placeText(place: Place): string {
  return 'path' in place ? place.path : `${place.host}:${place.port}`;
}

async function removeStale(path: string): Promise<void> {
  try {
    if (!lstatSync(path).isSocket()) return;
  } catch {
    return;
  }
  const isStale = await new Promise<boolean>((resolve) => {
    const probe = connect(path);
    probe.on('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.on('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
  });
  if (isStale) unlinkSync(path);
}
