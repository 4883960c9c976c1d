/**
 * Whether a broker is up, asked through its REST API. Runs in the short-lived process of `sluice ctl status`.
 *
 * Always true: an answer comes within the timeout, whatever the other side does. Only a 200 of the status
 * route counts as running, so that container health checks do not mistake another server for the broker.
 */

/** What `sluice ctl status` found. `detail` is one line for people. */
export interface BrokerStatus {
  readonly running: boolean;
  readonly detail: string;
}

/** Where the API of a broker with this configuration is reached from the same machine. */
export function statusUrl(httpHost: string, httpPort: number): string {
  // An address that means "all interfaces" is not one to connect to.
  const host = httpHost === '0.0.0.0' ? '127.0.0.1' : httpHost === '::' ? '::1' : httpHost;
  return `http://${host.includes(':') ? `[${host}]` : host}:${httpPort}/api/v5/status`;
}

/** Asks once. Never rejects. */
export async function askStatus(url: string, timeoutMs: number): Promise<BrokerStatus> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) });
    await response.body?.cancel();
    return response.status === 200
      ? { running: true, detail: `running, ${url}` }
      : { running: false, detail: `not running: ${url} answered ${response.status}` };
  } catch (error) {
    return { running: false, detail: `not running: ${url}: ${reason(error)}` };
  }
}

/** `fetch` hides what happened in the cause. */
function reason(error: unknown): string {
  const { cause = error } = error as { cause?: unknown };
  const { code, message } = cause as { code?: unknown; message?: unknown };
  return typeof code === 'string' ? code : String(message);
}
