/**
 * The dashboard's own way to MQTT: WebSocket upgrades of `/mqtt` on the port of the REST API. Main thread.
 *
 * Always true: only a page of this very origin gets through, and only with the token of a signed-in account that may write,
 * so that opening the REST port does not open MQTT to anybody else. What follows is a connection like any other: MQTT's own
 * authentication, limits and access rules apply. The token travels as a second subprotocol, because that is the one header
 * that a page may set. Offers of other protocols are ignored. Gives up: ending the connection when the account signs out.
 */
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

import { type RestErrorCode, restErrors } from './error.js';
import { ignoreUpgrade } from './ignored-upgrade.js';

/** What stands before the token in the name of the second subprotocol. */
const tokenPrefix = 'sluice-token.';
const path = '/mqtt';

/** Options for the server: where Node asks, it is told to ignore other offers; `ignoreUpgrade` does it for older versions. */
export const upgradeOptions: object = { shouldUpgradeCallback: isWebSocket };

/** Takes a WebSocket request that is let in. */
export type UpgradeTaker = (request: IncomingMessage, socket: Socket, head: Buffer) => void;

/** What the door is guarded by. */
export interface MqttUpgradeOptions {
  readonly take: UpgradeTaker;
  /** True when the token belongs to a signed-in account that may write. */
  readonly mayUse: (token: string) => boolean;
}

/** Listens for upgrades of the server. */
export function listenForUpgrades(server: Server, { take, mayUse }: MqttUpgradeOptions): void {
  server.on('upgrade', (request, socket: Duplex, head) => {
    if (!isWebSocket(request)) {
      ignoreUpgrade(server, request, socket as Socket, head);
      return;
    }
    const fault = faultOf(request, mayUse);
    if (fault === undefined) take(request, socket as Socket, head);
    else refuse(socket, ...fault);
  });
}

function isWebSocket({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket';
}

function faultOf(
  { url = '', method, headers }: IncomingMessage,
  mayUse: (token: string) => boolean,
): readonly [RestErrorCode, string] | undefined {
  if (method !== 'GET' || url.split('?', 1)[0] !== path) return ['NOT_FOUND', 'Nothing to upgrade to here'];
  const { origin, host } = headers;
  if (origin === undefined || !URL.canParse(origin) || new URL(origin).host !== host) {
    return ['FORBIDDEN', 'Only the dashboard may connect here; use a WebSocket listener'];
  }
  const token = (headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map((name) => name.trim())
    .find((name) => name.startsWith(tokenPrefix))
    ?.slice(tokenPrefix.length);
  if (token === undefined || !mayUse(token)) {
    return ['BAD_TOKEN', 'Sign in to the dashboard as an administrator'];
  }
  return undefined;
}

function refuse(socket: Duplex, code: RestErrorCode, message: string): void {
  socket.on('error', () => undefined);
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const body = JSON.stringify({ code, message });
  socket.once('finish', () => socket.destroy());
  socket.end(
    `HTTP/1.1 ${restErrors[code].status} ${code}\r\nConnection: close\r\nContent-Type: application/json; charset=utf-8\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
