import { setTimeout as sleep } from 'node:timers/promises';
import type { ConnectionOptions } from 'node:tls';

import { expect, test } from 'vitest';

import { slotOf } from '../../src/telemetry/counter-layout.js';
import { until } from '../harness/wait.js';
import { authority, openTls, startTransports } from '../net/transports.js';

const dayMs = 86_400_000;
/** Certificates count whole seconds. */
const lifeMs = 3000;

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  'a session of %s that began with a good certificate is not resumed once that has expired [broker]',
  async (version) => {
    const at = await startTransports({ env: { SLUICE_TLS_CLIENT_AUTH: 'require' } });
    const endsAtMs = Date.now() + lifeMs;
    const pem = authority.issue({ commonName: 'device-1', days: [-1, lifeMs / dayMs] });
    const options: ConnectionOptions = { ...pem, minVersion: version, maxVersion: version };
    let session: Buffer | undefined;
    const first = await openTls(at, 'tls', { tls: options });
    first.on('session', (ticket: Buffer) => (session = ticket));
    first.resume();
    if (version === 'TLSv1.2') session = first.getSession();
    await until(() => session !== undefined, 'a ticket');
    await sleep(endsAtMs + 1500 - Date.now());
    const counted = slotOf('connectionsRefused', 'tls-handshake');
    const before = at.target.counters.total(counted);
    // With TLS 1.3 the client's side of the handshake is done before it is refused.
    const late = await openTls(at, 'tls', { tls: { ...options, session: session! } }).catch(() => undefined);
    late?.on('error', () => undefined).resume();
    await until(() => late?.destroyed !== false, 'the end of the connection');
    await until(() => at.target.counters.total(counted) === before + 1, 'its count');
    expect(at.target.gateway.connectionCount).toBe(1);
  },
);
