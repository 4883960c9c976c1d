/**
 * One network connection: transport, decoder, outbox, and the clocks that end it. Main thread.
 *
 *   open ──(quiesce)──▶ quiet ──end() or fault──▶ ending (FIN sent, input discarded) ──▶ closed
 *
 * Always true: bytes are decoded within the read callback, so the read buffer is shared by all connections;
 * reading stops while the decoder holds a packet back or the outbox is over its bound, which is how a slow
 * ring or a slow reader slows its peer down. After our FIN the input is read and thrown away until the peer
 * has closed: closing with unread bytes would reset the connection and lose the last packet.
 */
import type { ConnectionFacts } from '../auth/connection-facts.js';
import { ProtocolError } from '../base/error.js';
import { Decoder } from '../mqtt/decoder.js';
import type { DecoderState } from '../mqtt/decoder.js';
import type { ProtocolVersion } from '../mqtt/packet-type.js';
import { reasonCode } from '../mqtt/reason-code.js';
import { Client } from '../session/client.js';
import type { GatewayContext } from '../session/context.js';
import type { Wire } from '../session/wire.js';
import { slot, slotOf } from '../telemetry/counter-layout.js';
import type { BlockPool } from './block-pool.js';
import { SocketOutbox, type OutboxOwner } from './outbox.js';
import { limitsPublishes, PublishRate } from './publish-rate.js';
import type { Supervised } from './supervision.js';
import type { Transport, TransportUser } from './transport.js';
import type { Resumable, Turn } from './turn.js';

/** What the connections of a gateway share. */
export interface ConnectionHost {
  readonly context: GatewayContext;
  readonly pool: BlockPool;
  readonly turn: Turn;
  /** Gateway clock as of the last sweep. */
  readonly coarseNowMs: number;
  newClientId(): string;
  /** Its clocks are to be looked at when `dueMs` is over. */
  lookBy(connection: Connection, dueMs: number): void;
  onClosed(connection: Connection): void;
}

/** Packets of one connection per turn: a bound for floods of tiny packets; a full read is far less. */
const packetsPerSliceMax = 4096;
/** Acknowledgements may exceed the outbox bound by so much before reading stops. */
const ackSlackBytes = 64 * 1024;
/** Time for the peer to close after our FIN. */
const lingerMs = 2000;
/** So often within its time limit it is looked for a write that stalls. */
const stallLooks = 4;
const connectTimeout = slotOf('connectionsRefused', 'connect-timeout');

/** See the file header. */
export class Connection implements Wire, OutboxOwner, Resumable, Supervised, TransportUser {
  dueTick = -1;
  readonly facts: ConnectionFacts;
  readonly outbox: SocketOutbox;
  readonly client: Client;
  bytesReceived = 0;
  bytesSent = 0;
  readonly #host: ConnectionHost;
  readonly #transport: Transport;
  readonly #decoder: Decoder;
  /** Present where publishes are limited. */
  readonly #rate: PublishRate | undefined;
  #state: 'open' | 'quiet' | 'ending' | 'closed' = 'open';
  #reading: 'on' | 'held' | 'outbox-full' = 'on';
  #goesOn: 'no' | 'booked' = 'no';
  /** Bytes read since it last waited for its turn. */
  #sliceBytes = 0;
  readonly #openedAtMs: number;
  #lastPacketAtMs: number;
  #endedAtMs = 0;
  #stalledSinceMs = -1;
  #bytesAtStall = 0;
  #keepAliveMs = 0;

  /** `openedAtMs` is when it was accepted, by the clock of the context. */
  constructor(transport: Transport, host: ConnectionHost, openedAtMs: number) {
    const { context } = host;
    this.#host = host;
    this.#transport = transport;
    this.facts = transport.facts;
    this.#openedAtMs = openedAtMs;
    this.#lastPacketAtMs = openedAtMs;
    this.outbox = new SocketOutbox(transport, host.pool, host.turn, context.memory.outboxes, this);
    this.client = new Client(context, this, () => host.newClientId());
    if (limitsPublishes(context.config)) {
      this.#rate = new PublishRate(this.client, context, () => this.resume());
    }
    this.#decoder = new Decoder(this.#rate ?? this.client, {
      maximumPacketSize: context.config.maximumPacketSize,
      topicAliasMaximum: context.config.topicAliasMaximum,
      maximumQos: context.config.maximumQos,
      packetsPerSliceMax,
      pool: host.pool,
    });
    transport.attach(this);
    host.lookBy(this, openedAtMs + context.config.connectTimeoutMs);
  }

  get state(): 'open' | 'quiet' | 'ending' | 'closed' {
    return this.#state;
  }

  get peername(): string {
    return this.facts.peername;
  }

  /** Takes what was read: `chunk[0, length)` is valid during the call only. */
  onRead(chunk: Buffer, length: number): void {
    if (this.#state !== 'open') return;
    this.bytesReceived += length;
    this.#host.context.counters.add(slot.bytesReceived, length);
    const carried = this.#decoder.carriedBytes;
    let state: DecoderState;
    try {
      state = this.#decoder.write(chunk, 0, length);
    } catch (error) {
      this.#fault(error);
      return;
    }
    // Bytes of an unfinished packet are no sign of life [MQTT-3.1.2-22].
    if (this.#decoder.carriedBytes !== carried + length) this.#lastPacketAtMs = this.#host.coarseNowMs;
    this.#sliceBytes += length;
    if (state !== 'ready' || this.outbox.bytesWaiting > this.outbox.bytesMax) this.#afterDecoding(state);
    else if (this.#sliceBytes > this.#transport.sliceBytesMax) this.#afterDecoding('slice-used');
    this.#host.context.shards.pump();
  }

  setVersion(version: ProtocolVersion): void {
    this.#decoder.setVersion(version);
  }

  setKeepAlive(milliseconds: number): void {
    this.#keepAliveMs = milliseconds;
    const aliveMs = milliseconds === 0 ? Number.POSITIVE_INFINITY : milliseconds;
    this.#host.lookBy(this, this.#lastPacketAtMs + Math.min(aliveMs, this.#stallLookMs));
  }

  endRelays(): void {
    this.#host.turn.endRelays();
  }

  hold(): void {
    this.#decoder.stop();
  }

  resume(): void {
    if (this.#goesOn === 'booked') return;
    this.#goesOn = 'booked';
    this.#host.turn.resumeLater(this);
  }

  goOn(): void {
    this.#goesOn = 'no';
    this.#sliceBytes = 0;
    if (this.#state !== 'open') return;
    let state = this.#decoder.state;
    if (state === 'held' || state === 'stopped' || state === 'slice-used') {
      try {
        state = this.#decoder.resume();
      } catch (error) {
        this.#fault(error);
        return;
      }
      this.#lastPacketAtMs = this.#host.coarseNowMs;
    }
    this.#afterDecoding(state);
  }

  onEnd(): void {
    this.client.lost();
    this.end();
  }

  onFault(error: Error): void {
    this.#host.context.logger.debug({ peername: this.peername, err: error }, 'transport error');
  }

  onClosed(): void {
    this.#state = 'closed';
    this.#decoder.close();
    this.#rate?.close();
    this.outbox.close();
    this.client.lost();
    this.#host.onClosed(this);
  }

  notifyWhenDrained(): void {
    this.outbox.wantDrain();
  }

  onDrained(): void {
    if (this.#reading === 'outbox-full') this.resume();
    this.client.drained();
  }

  onBytesOut(bytes: number): void {
    this.bytesSent += bytes;
    this.#host.context.counters.add(slot.bytesSent, bytes);
    this.#host.context.counters.add(slot.socketWrites, 1);
  }

  end(): void {
    if (this.#state === 'ending' || this.#state === 'closed') return;
    this.#state = 'ending';
    this.#endedAtMs = this.#host.context.clock.nowMs();
    this.#host.lookBy(this, this.#endedAtMs + lingerMs);
    this.#decoder.close();
    this.outbox.flushLast();
    this.#transport.end();
    this.#transport.resume();
  }

  /** Stops taking packets, for a gateway that drains; what is under way settles. */
  quiesce(): void {
    if (this.#state !== 'open') return;
    this.#state = 'quiet';
    this.#decoder.stop();
    this.#transport.pause();
  }

  /** Ends at once, without the last packets. */
  destroy(): void {
    this.#transport.destroy();
  }

  sweep(nowMs: number, slackMs: number): number {
    if (this.#state === 'ending') {
      if (nowMs - this.#endedAtMs >= lingerMs) this.destroy();
      // Until it is closed: whatever it waits for then, it is not kept from ending.
      return nowMs + lingerMs;
    }
    if (this.#state === 'closed') return Number.POSITIVE_INFINITY;
    const idleUntilMs = nowMs + this.#stallLookMs;
    if (this.#state !== 'open') return idleUntilMs;
    const { context } = this.#host;
    if (this.client.state !== 'connected') {
      const untilMs = this.#openedAtMs + context.config.connectTimeoutMs;
      if (nowMs <= untilMs) return untilMs;
      context.counters.add(connectTimeout, 1);
      this.destroy();
      return idleUntilMs;
    }
    if (this.#isStalled(nowMs)) {
      context.counters.add(slot.writeStalls, 1);
      this.destroy();
      return idleUntilMs;
    }
    // While it writes, each tick says whether anything has moved.
    const nextMs = this.outbox.isWriting ? nowMs + slackMs : idleUntilMs;
    // A connection that we do not read from cannot show that it is alive.
    if (this.#keepAliveMs === 0 || this.#reading !== 'on') return nextMs;
    const aliveUntilMs = this.#lastPacketAtMs + this.#keepAliveMs + slackMs;
    if (nowMs <= aliveUntilMs) return Math.min(nextMs, aliveUntilMs);
    context.counters.add(slot.keepAliveTimeouts, 1);
    this.client.close(reasonCode.keepAliveTimeout);
    return nowMs + lingerMs;
  }

  get #stallLookMs(): number {
    return this.#host.context.config.writeStallTimeoutMs / stallLooks;
  }

  #isStalled(nowMs: number): boolean {
    if (!this.outbox.isWriting) {
      this.#stalledSinceMs = -1;
      return false;
    }
    const queued = this.outbox.bytesQueued;
    if (this.#stalledSinceMs < 0 || queued !== this.#bytesAtStall) {
      this.#stalledSinceMs = nowMs;
      this.#bytesAtStall = queued;
      return false;
    }
    return nowMs - this.#stalledSinceMs > this.#host.context.config.writeStallTimeoutMs;
  }

  #afterDecoding(state: DecoderState): void {
    if (state === 'slice-used') {
      this.#pause('held');
      this.resume();
    } else if (state === 'held' || state === 'stopped') {
      this.#pause('held');
    } else if (this.outbox.bytesWaiting > this.outbox.bytesMax + ackSlackBytes) {
      this.#pause('outbox-full');
      this.outbox.wantDrain();
    } else if (this.#reading !== 'on' && this.#state === 'open') {
      this.#reading = 'on';
      this.#lastPacketAtMs = this.#host.coarseNowMs;
      this.#transport.resume();
    }
  }

  #pause(why: 'held' | 'outbox-full'): void {
    if (this.#reading === 'on') this.#transport.pause();
    this.#reading = why;
  }

  #fault(error: unknown): void {
    if (error instanceof ProtocolError) {
      this.client.fail(error, this.#decoder.connectVersion);
    } else {
      // Our own fault ends this connection too, not the broker.
      this.#host.context.logger.error({ err: error, peername: this.peername }, 'connection failed');
      this.client.close(reasonCode.unspecifiedError);
    }
    this.end();
  }
}
