/**
 * Connections before MQTT: those whose PROXY header, TLS handshake or HTTP upgrade is under way. Main thread.
 *
 * Always true: each ends in one of two ways, `pass` or `fail`, and a failure is counted once; the time until CONNECT runs
 * from the accept, so that a peer gains nothing by being slow in several stages. Gives up: exactness of that time beyond
 * one sweep.
 */
import type { Socket } from 'node:net';

import type { PeerCertificate } from '../auth/connection-facts.js';
import { slotOf } from '../telemetry/counter-layout.js';
import type { Counters } from '../telemetry/counter.js';
import type { Logger } from '../telemetry/logger.js';
import type { Peer } from './peer.js';

const faultSlots = {
  'proxy-header': slotOf('connectionsRefused', 'proxy-header'),
  'tls-handshake': slotOf('connectionsRefused', 'tls-handshake'),
  'ws-upgrade': slotOf('connectionsRefused', 'ws-upgrade'),
  'connect-timeout': slotOf('connectionsRefused', 'connect-timeout'),
  'address-limit': slotOf('connectionsRefused', 'address-limit'),
  'address-rate': slotOf('connectionsRefused', 'address-rate'),
} as const;

/** Where a connection failed before it spoke MQTT. */
export type HandshakeFault = keyof typeof faultSlots;

/** All handshakes of a gateway. */
export class Handshakes {
  readonly #open = new Set<Handshake>();
  readonly #counters: Counters;
  readonly #logger: Logger;

  constructor(counters: Counters, logger: Logger) {
    this.#counters = counters;
    this.#logger = logger;
  }

  get count(): number {
    return this.#open.size;
  }

  /** Takes an accepted socket; `stage` is what it is in, and what counts when it closes by itself. */
  begin(socket: Socket, peer: Peer, stage: HandshakeFault, nowMs: number): Handshake {
    const handshake = new Handshake(socket, peer, stage, nowMs, (fault, reason) => {
      this.#open.delete(handshake);
      if (fault === undefined) return;
      this.#counters.add(faultSlots[fault], 1);
      this.#logger.debug({ peername: handshake.peer.peername, fault, reason }, 'connection refused');
    });
    this.#open.add(handshake);
    return handshake;
  }

  /** Ends those that are older than `timeoutMs`. */
  sweep(nowMs: number, timeoutMs: number): void {
    for (const handshake of this.#open) {
      if (nowMs - handshake.openedAtMs > timeoutMs) handshake.fail('connect-timeout', 'took too long');
    }
  }

  /** Ends all, uncounted. */
  close(): void {
    for (const handshake of this.#open) {
      handshake.pass();
      handshake.socket.destroy();
    }
  }
}

/** One connection before MQTT. */
export class Handshake {
  readonly socket: Socket;
  readonly openedAtMs: number;
  /** The other end, as far as it is known. */
  peer: Peer;
  /** The verified certificate that it showed to us. */
  certificate: PeerCertificate | undefined;
  /** The stage it is in. */
  stage: HandshakeFault;
  readonly #settled: (fault: HandshakeFault | undefined, reason: string) => void;
  #state: 'open' | 'settled' = 'open';

  constructor(
    socket: Socket,
    peer: Peer,
    stage: HandshakeFault,
    openedAtMs: number,
    settled: (fault: HandshakeFault | undefined, reason: string) => void,
  ) {
    this.socket = socket;
    this.stage = stage;
    this.openedAtMs = openedAtMs;
    this.peer = peer;
    this.#settled = settled;
    socket.on('error', () => undefined);
    socket.on('close', () => this.fail(this.stage, 'closed by the peer'));
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** MQTT begins. */
  pass(): void {
    if (this.#state === 'settled') return;
    this.#state = 'settled';
    this.#settled(undefined, '');
  }

  /** Counts the failure and closes; harmless when it is decided already. */
  fail(fault: HandshakeFault, reason: string): void {
    this.refuse(fault, reason);
    this.socket.destroy();
  }

  /** Counts the failure and leaves the socket to whoever answers it; harmless when it is decided already. */
  refuse(fault: HandshakeFault, reason: string): void {
    if (this.#state === 'settled') return;
    this.#state = 'settled';
    this.#settled(fault, reason);
  }
}
