/**
 * Requests that offer to go on in another protocol than WebSocket: answered as if they had not. Main thread.
 *
 * Always true: such a request, with its body, and all that follow on its connection are read by the same server again; only the
 * headers of the offer are gone. Clients of HTTP/2 make the offer `h2c` with any request, and RFC 9110 7.8 lets a server ignore it;
 * but before Node 24.9 every offer is handed over once a server listens for one. Gives up: the time to read a request twice; the
 * server announces the connection again, so who counts connections must know those that it has seen.
 */
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';

const offers = new Set(['upgrade', 'http2-settings']);

/** Gives a request whose upgrade is not wanted back to `server`; `head` is what was read behind its headers. */
export function ignoreUpgrade(server: Server, request: IncomingMessage, socket: Socket, head: Buffer): void {
  const { method = '', url = '', httpVersion, rawHeaders } = request;
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!;
    const value = withoutOffer(name.toLowerCase(), rawHeaders[at + 1]!);
    if (value !== undefined) lines.push(`${name}: ${value}`);
  }
  // Header bytes are Latin-1 on both ways.
  const bytes = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  socket.unshift(Buffer.concat([bytes, head]));
  server.emit('connection', socket);
  socket.resume();
}

/** The value without what belongs to the offer; undefined when nothing is left of the header. */
function withoutOffer(name: string, value: string): string | undefined {
  if (offers.has(name)) return undefined;
  if (name !== 'connection') return value;
  const rest = value
    .split(',')
    .map((token) => token.trim())
    .filter((token) => !offers.has(token.toLowerCase()));
  return rest.length === 0 ? undefined : rest.join(', ');
}
