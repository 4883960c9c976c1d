/**
 * A process that opens many connections, a fixed number of them at a time, and keeps them.
 *
 * Message from the parent: `{ host, port, count }`; answers `{ connected }` now and then and once
 * `{ done, connected, passedMs, failures }`. Always true: a connection counts when CONNACK has come.
 */
import { LoadClient, nowMs } from './client.mjs';

const AT_ONCE = 100;
const FAILURES_MAX = 5;

process.on('message', ({ host, port, count }) => {
  const startedMs = nowMs();
  const failures = [];
  let opened = 0;
  let connected = 0;
  const onFailure = (error) => {
    if (failures.length < FAILURES_MAX) failures.push(error.message);
  };
  const openNext = async () => {
    while (opened < count && failures.length === 0) {
      opened += 1;
      const client = new LoadClient(onFailure);
      const clientId = `idle-${process.pid}-${opened}`;
      const accepted = await client.connect({ host, port, clientId, protocolVersion: 4 }).then(
        () => true,
        () => false,
      );
      if (accepted) connected += 1;
      if (connected % 500 === 0) process.send({ connected });
    }
  };
  void Promise.all(Array.from({ length: AT_ONCE }, openNext)).then(() =>
    process.send({ done: true, connected, passedMs: nowMs() - startedMs, failures }),
  );
});
process.on('disconnect', () => process.exit(0));
