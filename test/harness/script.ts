/**
 * A client program as a child process, read line by line. Runs in the test process.
 *
 * Always true: the process ends with the scope; each line keeps the time written at its start by the
 * program itself, so that a busy test process does not distort what is measured.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Scope } from './scope.js';
import { until, within } from './wait.js';

/** One line of output. `atMs`: the program's own time stamp (`2025-01-31 10:00:00,123 …`), or that of its arrival. */
export interface Line {
  readonly atMs: number;
  readonly text: string;
}

/** A running program. */
export class Script {
  readonly lines: Line[] = [];
  readonly #child: ChildProcess;
  readonly #exit: Promise<number | null>;

  constructor(scope: Scope, command: string, args: readonly string[]) {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, PYTHONUNBUFFERED: '1' },
    });
    this.#child = child;
    this.#exit = new Promise((resolve) => {
      child.once('close', (code) => resolve(code));
      child.once('error', (error) => this.lines.push({ atMs: Date.now(), text: error.message }));
    });
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (text) => this.lines.push(stamped(text)));
    }
    scope.add(() => this.stop());
  }

  /** Lines that match, in order. */
  matching(pattern: RegExp): Line[] {
    return this.lines.filter(({ text }) => pattern.test(text));
  }

  /** Resolves when `count` lines match. */
  async waitFor(pattern: RegExp, count = 1, timeoutMs?: number): Promise<Line[]> {
    await until(
      () => this.matching(pattern).length >= count,
      () =>
        `${count} lines like ${pattern}; the last lines were:\n${this.lines
          .slice(-10)
          .map(({ text }) => text)
          .join('\n')}`,
      timeoutMs,
    );
    return this.matching(pattern);
  }

  /** Resolves to the exit code when the program ends by itself. */
  finished(timeoutMs: number): Promise<number | null> {
    return within(this.#exit, 'the program to end', timeoutMs);
  }

  /** Ends the program. */
  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL');
    await this.#exit;
  }
}

function stamped(text: string): Line {
  const parts = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)[,.](\d{3}) /.exec(text);
  const atMs = parts === null ? Date.now() : new Date(`${parts[1]}T${parts[2]}.${parts[3]}`).getTime();
  return { atMs, text };
}
