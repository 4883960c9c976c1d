/**
 * Plays a case: one connection, its writes, its end. Runs in the fuzzer.
 *
 * Always true: it ends within `playMsMax` whatever the broker does, and never throws; what the broker answers is
 * read and thrown away. Writes of one case leave in turns of their own, so that most arrive as they were cut.
 */
import net from 'node:net';

const playMsMax = 400;
const waitMs = 20;

/** Resolves to 'played', or 'refused' when there was no connection to play on. */
export function play({ writes, end }, port) {
  return new Promise((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port, noDelay: true });
    let outcome = 'refused';
    const watchdog = setTimeout(() => socket.destroy(), playMsMax);
    socket.on('error', () => {});
    socket.resume();
    socket.once('close', () => {
      clearTimeout(watchdog);
      resolve(outcome);
    });
    socket.once('connect', () => {
      outcome = 'played';
      writeFrom(socket, writes, 0, () => {
        if (end === 'finish') socket.end();
        else if (end === 'reset') socket.resetAndDestroy();
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
