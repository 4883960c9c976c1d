/**
 * A command as a person or a script calls it, in this process; and an HTTP server that plays the broker. Test thread.
 *
 * Always true: the server answers what the test says and notes every request; it is gone when the test ends.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';

import { runCli } from '../../src/cli/cli.js';
import type { CliIo } from '../../src/cli/io.js';
import type { Scope } from '../harness/scope.js';

/** What a command wrote and how it ended. */
export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command. `io` replaces parts of its world. */
export async function run(argv: readonly string[], io: Partial<CliIo> = {}): Promise<Outcome> {
  let out = '';
  let err = '';
  const code = await runCli(
    argv,
    {
      env: {},
      input: new PassThrough().end(),
      ...io,
      out: (text) => {
        out += text;
        io.out?.(text);
      },
      err: (text) => (err += text),
    },
    () => Promise.reject(new Error('started')),
  );
  return { code, out, err };
}

/** Standard input that holds `text`. */
export function piped(text: string): PassThrough {
  return new PassThrough().end(text);
}

/** Standard input of a person who answers with `text`. */
export function typed(text: string): PassThrough & { isTTY: boolean } {
  return Object.assign(piped(text), { isTTY: true });
}

/** A request that was made. */
export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly authorization: string | undefined;
  readonly body: unknown;
}

/** What is answered: a status and a body; text is sent as it is, anything else as JSON. */
export type Answer = readonly [status: number, body?: unknown];

/** Serves `answer` until the scope ends; `env` leads a command to it. */
export async function serve(
  scope: Scope,
  answer: (asked: Asked) => Answer | undefined,
): Promise<{ readonly asked: Asked[]; readonly url: string; readonly env: Record<string, string> }> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      const one: Asked = {
        method: request.method ?? '',
        url: request.url ?? '',
        authorization: request.headers.authorization,
        body: text === '' ? undefined : JSON.parse(text),
      };
      asked.push(one);
      const given = answer(one);
      // Undefined: no answer, ever.
      if (given === undefined) return;
      const [status, body] = given;
      response.writeHead(status, status === 302 ? { location: String(body) } : {});
      response.end(body === undefined || typeof body === 'string' ? body : JSON.stringify(body));
    });
  }).listen(0, '127.0.0.1');
  scope.add(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { asked, url, env: { SLUICE_API_URL: url } };
}

/** The body of a failed request. */
export function failure(code: string, message: unknown): { code: string; message: unknown } {
  return { code, message };
}
