/**
 * Which HTTP requests become MQTT connections, whatever engine reads them. Main thread, pure.
 *
 * Always true: only the configured path, the subprotocol `mqtt` (or `mqttv3.1`) and the allowed origins get through
 * [MQTT-6.0.0-3] [MQTT-6.0.0-4]. Gives up: everything else over HTTP on this port.
 */
import { STATUS_CODES } from 'node:http';
import { isIP } from 'node:net';

import { isLoopback } from './peer.js';

/** Names of the subprotocol that clients ask for: that of MQTT 3.1.1 and 5.0, and that of 3.1. */
export const subprotocols = ['mqtt', 'mqttv3.1'] as const;

/** What may differ. */
export interface WebSocketStageOptions {
  readonly path: string;
  readonly messageBytesMax: number;
  /** Origins whose pages may connect; empty: all. */
  readonly origins: readonly string[];
}

/** A request, as far as the rule looks at it. */
export interface UpgradeRequest {
  /** Without query. */
  readonly path: string;
  readonly isUpgrade: boolean;
  /** The header `Sec-WebSocket-Protocol`; empty when there is none. */
  readonly subprotocols: string;
  readonly origin: string | undefined;
}

/** What becomes of a request. */
export type UpgradeRuling =
  | { readonly status: number; readonly statusText: string; readonly reason: string }
  | { readonly subprotocol: string; readonly isForeignPage: boolean };

/** Decides. */
export function judgeUpgrade(options: WebSocketStageOptions, request: UpgradeRequest): UpgradeRuling {
  if (request.path !== options.path) return refusal(404, 'another path');
  if (!request.isUpgrade) return refusal(426, 'no upgrade');
  const asked = new Set(request.subprotocols.split(',').map((name) => name.trim()));
  const subprotocol = subprotocols.find((name) => asked.has(name));
  if (subprotocol === undefined) return refusal(400, 'does not ask for the subprotocol mqtt');
  const { origin } = request;
  if (origin === undefined) return { subprotocol, isForeignPage: false };
  if (options.origins.length > 0 && !options.origins.includes(origin.toLowerCase())) {
    return refusal(403, 'another origin');
  }
  return { subprotocol, isForeignPage: !isLocalOrigin(origin) };
}

function refusal(status: number, reason: string): UpgradeRuling {
  return { status, statusText: `${status} ${STATUS_CODES[status] ?? ''}`, reason };
}

function isLocalOrigin(origin: string): boolean {
  const host = URL.canParse(origin) ? new URL(origin).hostname : '';
  const address = host.replace(/^\[(.*)\]$/, '$1');
  return host === 'localhost' || (isIP(address) !== 0 && isLoopback(address));
}
