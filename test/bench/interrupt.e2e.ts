/** What a bench leaves behind when it is told to end in the middle of a run: nothing. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ENTRY = fileURLToPath(new URL('../../bench/main.mjs', import.meta.url));
/** Listens, never answers, and leaves a note of where it runs once somebody has spoken to it. */
const SILENT = `import net from 'node:net';
import { writeFileSync } from 'node:fs';
const [port, note] = process.argv.slice(2);
const text = JSON.stringify({ pid: process.pid, directory: process.cwd() });
net.createServer((socket) => socket.on('error', () => {}).on('data', () => writeFileSync(note, text))).listen(Number(port), '127.0.0.1');
`;

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test('told to end in the middle of a run, the bench ends the broker and removes its files [bench]', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-bench-test-'));
  try {
    const [script, note] = [join(folder, 'silent.mjs'), join(folder, 'note')];
    await writeFile(script, SILENT);
    const peer = `silent=${process.execPath} ${script} {port} ${note}`;
    const args = [ENTRY, 'pair', '--only=silent', `--peer=${peer}`];
    const bench = spawn(process.execPath, args, { stdio: 'ignore' });
    const ended = once(bench, 'exit');
    while (!existsSync(note)) {
      expect(bench.exitCode).toBeNull();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
    const { pid, directory } = JSON.parse(await readFile(note, 'utf8')) as { pid: number; directory: string };
    bench.kill('SIGTERM');
    expect(await ended).toEqual([130, null]);
    expect(isAlive(pid)).toBe(false);
    expect(existsSync(directory)).toBe(false);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
