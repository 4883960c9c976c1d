/**
 * The REST API as commands call it. Runs in the process of the command, over node:http or node:https.
 *
 * Always true: a call ends within its time limit, from connecting to the last byte; an answer above 256 MB is refused; no
 * redirect is followed, because it would carry the secret elsewhere; a path is sent as it was made, `.` and `..` in it are
 * names. What fails is a `CommandError` with the exit code that fits: nobody answered, the broker refused, or it failed.
 * Source: docs/rest-api.md.
 */
import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { urlToHttpOptions } from 'node:url';

import { CommandError, exitCode } from './io.js';

/** Where the API is and who asks. */
export interface ApiTarget {
  /** Origin and, behind a proxy, a path; `/api/v5` is added. */
  readonly url: URL;
  /** Value of the header `Authorization`. */
  readonly authorization?: string | undefined;
  /** Limit of one call, ms. */
  readonly timeoutMs: number;
  /** Certificate authorities, PEM. */
  readonly ca?: Buffer | undefined;
  /** True: certificates are not checked. */
  readonly insecure?: boolean;
}

/** What a call is sent with. */
export interface Call {
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly body?: unknown;
  /** Message instead of the broker's own for 404. */
  readonly notFound?: string;
  /** What to do about 404. */
  readonly hint?: string;
}

/** An answer that was no failure. */
interface Answer {
  readonly status: number;
  readonly text: string;
}

/** What the broker says to a path that it does not have. */
const noRoute = 'No such route';
const answerBytesMax = 256 * 1024 * 1024;
/** The longest that a timer of Node waits. */
const timerMsMax = 2 ** 31 - 1;

/** See the file header. */
export class ApiClient {
  readonly target: ApiTarget;
  /** Path of the API. */
  readonly #root: string;
  readonly #agent: HttpAgent;

  constructor(target: ApiTarget) {
    this.target = target;
    this.#root = `${target.url.pathname.replace(/\/+$/, '').replace(/\/api\/v5$/, '')}/api/v5`;
    const tls = { ca: target.ca, rejectUnauthorized: target.insecure !== true };
    this.#agent =
      target.url.protocol === 'https:'
        ? new HttpsAgent({ keepAlive: true, ...tls })
        : new HttpAgent({ keepAlive: true });
  }

  /** Answers the body of a GET; the broker is trusted to send what its OpenAPI document says. */
  get<T>(path: string, call: Call = {}): Promise<T> {
    return this.call<T>('GET', path, call);
  }

  /** Answers the parsed body, undefined when there is none. */
  async call<T>(method: string, path: string, call: Call = {}): Promise<T> {
    const { text } = await this.#send(method, path, call);
    if (text === '') return undefined as T;
    try {
      return JSON.parse(text) as T;
    } catch {
      throw this.#foreign(path);
    }
  }

  /** Ends the connections that are kept for the next call. */
  close(): void {
    this.#agent.destroy();
  }

  async #send(method: string, path: string, call: Call): Promise<Answer> {
    const answer = await this.#exchange(method, `${this.#root}${path}${queryOf(call.query)}`, call.body);
    if (answer.status < 300) return answer;
    throw this.#refusal(answer, path, call);
  }

  #exchange(method: string, path: string, body: unknown): Promise<Answer> {
    const { url, authorization, timeoutMs } = this.target;
    const text = body === undefined ? undefined : JSON.stringify(body);
    const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
    return new Promise((resolve, reject) => {
      const sent = request({
        ...urlToHttpOptions(new URL(url.origin)),
        // Not as a URL, which would take the names `.` and `..` for steps.
        path,
        method,
        agent: this.#agent,
        headers: {
          accept: 'application/json',
          ...(authorization !== undefined && { authorization }),
          ...(text !== undefined && {
            'content-type': 'application/json',
            'content-length': Buffer.byteLength(text),
          }),
        },
      });
      let isUnderWay = false;
      sent.once('finish', () => (isUnderWay = method !== 'GET'));
      const timer = setTimeout(
        () => sent.destroy(isUnderWay ? this.#unfinished() : this.#silent()),
        Math.min(timeoutMs, timerMsMax),
      );
      const fail = (error: Error): void => {
        clearTimeout(timer);
        reject(error instanceof CommandError ? error : this.#unreachable(error));
      };
      sent.on('error', fail);
      sent.on('response', (response) => {
        collect(response)
          .then((answer) => {
            clearTimeout(timer);
            resolve(answer);
          })
          .catch(fail);
      });
      sent.end(text);
    });
  }

  #refusal({ status, text }: Answer, path: string, { notFound, hint }: Call): CommandError {
    const { code, message } = errorBody(text);
    if (code === undefined || (status === 404 && message === noRoute)) return this.#foreign(path, status);
    if (status >= 500) {
      return new CommandError(exitCode.failed, `the broker could not do it: ${message}`, {
        code,
        hint: 'its log says why; "sluice status" shows whether it is well',
      });
    }
    if (status === 404)
      return new CommandError(exitCode.refused, notFound ?? message, {
        code,
        ...(hint !== undefined && { hint }),
      });
    const next = refusalHints[status];
    return new CommandError(exitCode.refused, message, { code, ...(next !== undefined && { hint: next }) });
  }

  #foreign(path: string, status?: number): CommandError {
    const what =
      status === undefined
        ? 'no JSON'
        : `HTTP ${status} to a request that every broker of this version knows`;
    return new CommandError(
      exitCode.unreachable,
      `${this.target.url.origin}${this.#root}${path} answered ${what}`,
      {
        hint: 'the address leads to another server, or to a broker of another version; see --url and SLUICE_API_URL',
      },
    );
  }

  #unreachable(error: NodeJS.ErrnoException): CommandError {
    const reason = error.code ?? error.message;
    const isTls = /CERT|SELF_SIGNED|UNABLE_TO|ERR_TLS|EPROTO|SSL/.test(reason);
    return new CommandError(exitCode.unreachable, `${this.target.url.origin} is not reachable: ${reason}`, {
      hint: isTls
        ? 'name the certificate authority by --cafile, or the right scheme by --url'
        : 'is the broker running? Start it with "sluice start", or name another address by --url or SLUICE_API_URL',
    });
  }

  /** The broker has the request, so another exit code than for one that never came there. */
  #unfinished(): CommandError {
    return new CommandError(
      exitCode.failed,
      `${this.target.url.origin} has the request and did not answer within ${this.target.timeoutMs} ms; the work may still be under way`,
      { code: 'TIMEOUT', hint: 'look whether it is done before you ask again; wait longer with --timeout' },
    );
  }

  #silent(): CommandError {
    return new CommandError(
      exitCode.unreachable,
      `${this.target.url.origin} did not answer within ${this.target.timeoutMs} ms`,
      { hint: 'wait longer with --timeout, or look at the log of the broker' },
    );
  }
}

const refusalHints: Readonly<Record<number, string>> = {
  401: 'give an API key by --key and --secret, or by SLUICE_API_KEY and SLUICE_API_SECRET',
  403: 'use a key whose role allows it; without keys the broker answers its own machine only, over a loopback address',
};

function queryOf(query: Call['query'] = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) search.set(name, String(value));
  }
  return search.size === 0 ? '' : `?${search.toString()}`;
}

async function collect(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > answerBytesMax) throw new CommandError(exitCode.failed, 'the answer is larger than 256 MB');
    chunks.push(chunk);
  }
  return { status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') };
}

/** `code` is undefined when the body is not that of an error of this API. */
function errorBody(text: string): { code?: string; message: string } {
  try {
    const { code, message } = JSON.parse(text) as { code?: unknown; message?: unknown };
    if (typeof code !== 'string') return { message: '' };
    if (typeof message === 'string') return { code, message };
    const { path, reason } = message as { path?: unknown; reason?: unknown };
    return {
      code,
      message: typeof reason === 'string' ? `${String(path)}: ${reason}` : JSON.stringify(message),
    };
  } catch {
    return { message: '' };
  }
}
