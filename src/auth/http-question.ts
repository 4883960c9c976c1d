/**
 * One question over HTTP: the status and the body of the answer, within a time limit and a bound. Main thread.
 *
 * Always true: the question ends, by its answer, at its time limit or when its asker closes; no more than the bound
 * is kept, whatever the other side announces or sends; a redirect is an answer, and is not followed. Made with `node:http`,
 * as the signal of a `fetch` may be collected before it ends anything (nodejs/node#57736).
 * Gives up: bodies that are not UTF-8, whose bad bytes become U+FFFD.
 */
import { once } from 'node:events';
import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';

/** What is asked; the method is GET without a body and POST with one. */
export interface Question {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
  readonly timeoutMs: number;
  readonly answerBytesMax: number;
  /** Aborted when the asker closes. */
  readonly closing: AbortSignal;
}

/** An answer, whatever its status. */
export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** Rejects with an `Error` when no answer comes in time, when it is too long, or when `closing` is aborted. */
export async function ask(question: Question): Promise<Answer> {
  const { url, headers, body, timeoutMs, answerBytesMax, closing } = question;
  closing.throwIfAborted();
  const deadlineMs = performance.now() + timeoutMs;
  const send = url.startsWith('https:') ? requestHttps : requestHttp;
  const request = send(url, { method: body === undefined ? 'GET' : 'POST', headers });
  let response: IncomingMessage | undefined;
  const end = (reason: Error) => {
    response?.destroy(reason);
    request.destroy(reason);
  };
  // Told by the promise below; with an answer under way, by the answer.
  request.on('error', () => {});
  const timer = setTimeout(() => end(new Error(`timeout after ${timeoutMs} ms`)), timeoutMs);
  const onClosing = () => end(closing.reason as Error);
  closing.addEventListener('abort', onClosing);
  try {
    request.end(body);
    [response] = (await once(request, 'response')) as [IncomingMessage];
    return { status: response.statusCode!, text: await boundedText(response, answerBytesMax) };
  } catch (error) {
    // The other side had closed the idle connection: no answer of its own (Node's advice for kept connections).
    const isStale = request.reusedSocket && (error as NodeJS.ErrnoException).code === 'ECONNRESET';
    if (isStale && response === undefined) {
      return await ask({ ...question, timeoutMs: Math.max(1, Math.ceil(deadlineMs - performance.now())) });
    }
    throw causeOf(error as Error);
  } finally {
    clearTimeout(timer);
    closing.removeEventListener('abort', onClosing);
  }
}

/** The body as text. Rejects with an `Error` when it is longer than `bytesMax`. */
async function boundedText(response: IncomingMessage, bytesMax: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    // Leaving the loop ends the connection.
    if (length > bytesMax) throw new Error(`the answer is longer than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length).toString('utf8');
}

/** A host with several addresses fails with one error for each, and no message of its own. */
function causeOf(error: Error): Error {
  return error instanceof AggregateError ? (error.errors[0] as Error) : error;
}
