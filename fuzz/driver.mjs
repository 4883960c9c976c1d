/**
 * Plays a case: one connection, its writes, its end. Runs in the fuzzer.
 *
 * Always true: it ends within a bounded time whatever the broker does, and never throws; what the broker answers is
 * read and thrown away. Writes of one case leave in turns of their own, so that most arrive as they were cut.
 */
import net from 'node:net';
import tls from 'node:tls';

const playMsMax = 400;
/** A handshake takes its time when the machine is busy. */
const securePlayMsMax = 2000;
const waitMs = 20;

/**
 * Plays at a place: `{ port, preface, isSecure }`. Resolves to 'answered', 'silent' when nothing came back, or
 * 'refused' when there was no connection to play on.
 */
export function play({ writes, end }, { port, preface, isSecure }) {
  return new Promise((resolve) => {
    const wire = net.connect({ host: '127.0.0.1', port, noDelay: true });
    const socket = isSecure ? tls.connect({ socket: wire, rejectUnauthorized: false }) : wire;
    let outcome = 'refused';
    const watchdog = setTimeout(() => socket.destroy(), isSecure ? securePlayMsMax : playMsMax);
    socket.on('error', () => {});
    wire.on('error', () => {});
    socket.on('data', () => {
      outcome = 'answered';
    });
    socket.once('close', () => {
      clearTimeout(watchdog);
      // The end of TLS does not end what it runs over when the handshake was not done.
      wire.destroy();
      resolve(outcome);
    });
    socket.once(isSecure ? 'secureConnect' : 'connect', () => {
      outcome = 'silent';
      if (preface !== undefined) socket.write(preface);
      writeFrom(socket, writes, 0, () => {
        if (end === 'finish') socket.end();
        else if (end === 'reset') (isSecure ? wire : socket).resetAndDestroy();
        else setTimeout(() => socket.destroy(), waitMs);
      });
    });
  });
}

function writeFrom(socket, writes, at, done) {
  if (socket.destroyed) return;
  if (at >= writes.length) {
    done();
    return;
  }
  socket.write(writes[at], () => setImmediate(writeFrom, socket, writes, at + 1, done));
}
