/**
 * One socket of the load: connects, says CONNECT, hands on packets. Runs in the load processes.
 *
 * Always true: all sockets of a process read into one buffer (`onread`), which is used up before the next read, so a
 * chunk costs no allocation and ten thousand idle sockets no memory; a socket that closes before `close` was called is
 * a failure of the run and is reported once.
 */
import net from 'node:net';
import { CONNACK, connectPacket, DISCONNECT_BYTES, PacketReader, receiveMaximumOf } from './wire.mjs';

export { nowMs } from './clock.mjs';

const readBuffer = Buffer.allocUnsafe(256 * 1024);

/** Base of publisher and consumer. Subclasses give `onPacket` and `onChunkEnd`. */
export class LoadClient {
  socket;
  /** What the broker allows this client to have unacknowledged. */
  receiveMaximum = 65535;
  #ending = false;
  #onFailure;

  constructor(onFailure) {
    this.#onFailure = onFailure;
  }

  /** Resolves when the broker accepted the connection. */
  connect({ host, port, clientId, protocolVersion, lasting = false }) {
    this.#ending = false;
    return new Promise((resolve, reject) => {
      const reader = new PacketReader((firstByte, buffer, start, end) => {
        if ((firstByte & 0xf0) === CONNACK) {
          const code = buffer[start + 1];
          if (protocolVersion === 5) this.receiveMaximum = receiveMaximumOf(buffer, start, end);
          if (code === 0) resolve();
          else reject(new Error(`${clientId}: CONNACK ${code}`));
        } else this.onPacket(firstByte, buffer, start, end);
      });
      const socket = net.connect({
        host,
        port,
        noDelay: true,
        onread: {
          buffer: readBuffer,
          callback: (length, chunk) => {
            reader.push(chunk, length);
            this.onChunkEnd();
            return true;
          },
        },
      });
      this.socket = socket;
      socket.on('connect', () => socket.write(connectPacket(clientId, protocolVersion, lasting)));
      const fail = (error) => {
        if (this.#ending || this.socket !== socket) return;
        this.#ending = true;
        const failure = new Error(`${clientId}: ${error?.message ?? 'connection closed by the broker'}`);
        reject(failure);
        this.#onFailure(failure);
      };
      socket.on('error', fail);
      socket.on('close', () => fail());
    });
  }

  onPacket() {}

  onChunkEnd() {}

  /** Says DISCONNECT and ends the socket. */
  close() {
    if (this.#ending || this.socket === undefined) return;
    this.#ending = true;
    this.socket.end(DISCONNECT_BYTES);
  }
}
