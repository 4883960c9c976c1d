/**
 * `npm start` as a person or a service manager runs it: a ready line, and an ordered stop by SIGTERM.
 *
 * The signal goes to npm, not to the broker: the start script has to pass it on.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, test } from 'vitest';

test('npm start says where it listens, and SIGTERM to npm stops the broker with exit code 0 in under 5 s [broker]', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'sluice-test-'));
  const npm = spawn('npm', ['start'], {
    env: { ...process.env, SLUICE_MQTT_PORT: '0', SLUICE_HTTP_PORT: '0', SLUICE_DATA_DIR: dataDir },
    stdio: ['ignore', 'pipe', 'inherit'],
    // A process group of its own, so that nothing outlives a failure.
    detached: true,
  });
  const ended = once(npm, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  try {
    let output = '';
    const ready = new Promise<void>((resolve) => {
      npm.stdout.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        if (/mqtt=\S+:\d+.*\n/.test(output)) resolve();
      });
    });
    await Promise.race([ready, ended]);
    expect(output).toMatch(/mqtt=127\.0\.0\.1:[1-9]\d* http=127\.0\.0\.1:[1-9]\d* data=\S+ shards=\d+/);
    const stoppedAtMs = performance.now();
    npm.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
    expect(performance.now() - stoppedAtMs).toBeLessThan(5000);
  } finally {
    killGroup(npm.pid);
    await rm(dataDir, { recursive: true, force: true, maxRetries: 5 });
  }
});

function killGroup(leader: number | undefined): void {
  try {
    if (leader !== undefined) process.kill(-leader, 'SIGKILL');
  } catch {
    // The whole group has ended, as it should.
  }
}
