/** What the tests of TLS share: a client that is let in, and one that is not. Test process only. */
import tls from 'node:tls';

import { expect } from 'vitest';

import { slotOf } from '../../src/telemetry/counter-layout.js';
import { until } from '../harness/wait.js';
import type { Pem } from './certificate.js';
import { authority, openRaw, openTls, StreamClient, type Transports } from './transports.js';

const failed = slotOf('connectionsRefused', 'tls-handshake');

/** A client that is let in over TLS, with the certificate `pem` or none. */
export async function login(at: Transports, clientId: string, pem?: Pem): Promise<StreamClient> {
  const client = new StreamClient(await openTls(at, 'tls', pem === undefined ? {} : { tls: { ...pem } }));
  await client.login(clientId);
  return client;
}

/**
 * A handshake with `options` is refused, without a byte of MQTT, and counted. With TLS 1.3 a client learns of a refusal only
 * after its own side of the handshake is done.
 */
export async function expectRefused(
  at: Transports,
  kind: 'tls' | 'wss',
  options: tls.ConnectionOptions,
): Promise<void> {
  const before = at.target.counters.total(failed);
  const raw = await openRaw(at, kind);
  const socket = tls.connect({ socket: raw, ca: authority.cert, servername: 'localhost', ...options });
  let got = 0;
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => (got += chunk.length));
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.write(Buffer.from('100d00044d5154540402003c000161', 'hex'));
  await closed;
  expect(got).toBe(0);
  await until(() => at.target.counters.total(failed) === before + 1, 'the count');
}
