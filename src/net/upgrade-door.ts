/**
 * The door for WebSockets that come in through another HTTP server of the process: the MQTT client of the dashboard. Main thread.
 *
 * Always true: such a connection has the limits, the clocks, the counters and the authentication of one that came through a
 * listener, and counts for the address that the socket tells. Who may come this way at all is the other server's business.
 * Gives up: PROXY headers and certificates, which that server does not take.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

import { slot, slotOf } from '../telemetry/counter-layout.js';
import type { ListenerHost } from './listener.js';
import { factsOf, peerOf } from './peer.js';
import { WebSocketStage } from './websocket-stage.js';
import { WebSocketTransport } from './websocket-transport.js';

/** The path of the door; the same that WebSocket listeners have by default. */
export const doorPath = '/mqtt';

/** What logs and access rules call a connection that came through the door. */
export const doorName = 'dashboard';

const refusedBy = {
  'address-limit': slotOf('connectionsRefused', 'address-limit'),
  'address-rate': slotOf('connectionsRefused', 'address-rate'),
} as const;

/** See the file header. One per gateway. */
export class UpgradeDoor {
  readonly #host: ListenerHost;
  readonly #stage: WebSocketStage;
  #state: 'open' | 'closed' = 'open';

  constructor(host: ListenerHost) {
    this.#host = host;
    const { config, counters } = host;
    const messageBytesMax = Math.max(config.wsMessageBytesMax, config.maximumPacketSize);
    const onProtocolFault = (): void => counters.add(slot.webSocketFaults, 1);
    this.#stage = new WebSocketStage(
      { path: doorPath, messageBytesMax, origins: [] },
      (webSocket, socket, handshake) => {
        const facts = factsOf({ name: doorName, identity: 'none' }, handshake.peer);
        handshake.pass();
        host.open(
          new WebSocketTransport(webSocket, socket, socket, facts, onProtocolFault),
          handshake.openedAtMs,
        );
      },
    );
  }

  /** Takes a request to upgrade, with what the server has read behind it; the socket is the door's from here on. */
  take(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const host = this.#host;
    const peer = peerOf(socket, false);
    if (this.#state === 'closed' || !host.admits() || !this.#enters(socket, peer.peername)) {
      socket.on('error', () => undefined);
      socket.destroy();
      return;
    }
    const handshake = host.handshakes.begin(socket, peer, 'ws-upgrade', host.nowMs());
    this.#stage.takeUpgrade(request, socket, head, handshake);
  }

  /** Takes nothing any more. Connections stay. */
  close(): void {
    this.#state = 'closed';
  }

  #enters(socket: Socket, name: string): boolean {
    const { admission, counters } = this.#host;
    const fault = admission.enter(name, 1, this.#host.nowMs());
    if (fault !== undefined) {
      counters.add(refusedBy[fault], 1);
      return false;
    }
    socket.on('close', () => admission.leave(name));
    return this.#host.isInTime(1);
  }
}
