/**
 * One socket of the load: connects, says CONNECT, hands on packets. Runs in the load processes.
 *
 * Always true: reads go into one reused buffer (`onread`), so a chunk costs no allocation; a socket that
 * closes before `close` was called is a failure of the run and is reported once.
 */
import net from 'node:net';
import { CONNACK, connectPacket, DISCONNECT_BYTES, PacketReader } from './wire.mjs';

const READ_BUFFER_BYTES = 256 * 1024;

/** Milliseconds since the epoch with the resolution of the monotonic clock. */
export function nowMs() {
  return performance.timeOrigin + performance.now();
}

/** Base of publisher and consumer. Subclasses give `onPacket` and `onChunkEnd`. */
export class LoadClient {
  socket;
  #ending = false;
  #onFailure;

  constructor(onFailure) {
    this.#onFailure = onFailure;
  }

  /** Resolves when the broker accepted the connection. */
  connect({ host, port, clientId, protocolVersion }) {
    return new Promise((resolve, reject) => {
      const reader = new PacketReader((firstByte, buffer, start, end) => {
        if ((firstByte & 0xf0) === CONNACK) {
          const code = buffer[start + 1];
          if (code === 0) resolve();
          else reject(new Error(`${clientId}: CONNACK ${code}`));
        } else this.onPacket(firstByte, buffer, start, end);
      });
      this.socket = net.connect({
        host,
        port,
        noDelay: true,
        onread: {
          buffer: Buffer.allocUnsafe(READ_BUFFER_BYTES),
          callback: (length, chunk) => {
            reader.push(chunk, length);
            this.onChunkEnd();
            return true;
          },
        },
      });
      this.socket.on('connect', () => this.socket.write(connectPacket(clientId, protocolVersion)));
      const fail = (error) => {
        if (this.#ending) return;
        this.#ending = true;
        const failure = new Error(`${clientId}: ${error?.message ?? 'connection closed by the broker'}`);
        reject(failure);
        this.#onFailure(failure);
      };
      this.socket.on('error', fail);
      this.socket.on('close', () => fail());
    });
  }

  onPacket() {}

  onChunkEnd() {}

  /** Says DISCONNECT and ends the socket. */
  close() {
    if (this.#ending) return;
    this.#ending = true;
    this.socket.end(DISCONNECT_BYTES);
  }
}
