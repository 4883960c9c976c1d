import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

/** A fetch that answers nothing and ends only when it is given up. */
function silentFetch() {
  return vi.fn<(url: URL, options: { signal: AbortSignal }) => Promise<Response>>(
    (_url, { signal }) =>
      new Promise<Response>((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error));
      }),
  );
}

describe('the stream of events', () => {
  beforeEach(() => {
    vi.useFakeTimers();
    vi.stubGlobal('document', { baseURI: 'http://broker.test/dashboard/' });
    vi.stubGlobal('window', {
      addEventListener: () => undefined,
      setTimeout: (action: () => void, ms: number) => setTimeout(action, ms),
    });
  });

  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it('counts as lost, and is asked for again, when the broker sends no headers for 15 s [broker]', async () => {
    const fetched = silentFetch();
    vi.stubGlobal('fetch', fetched);
    const { EventStream } = await import('../../../src/dashboard/base/event-stream.js');
    const states: string[] = [];
    const stream = new EventStream({ event: () => undefined, state: (state) => states.push(state) });
    stream.open('/events');
    await vi.advanceTimersByTimeAsync(14_999);
    expect(states).toEqual(['connecting']);
    await vi.advanceTimersByTimeAsync(1);
    expect(states).toEqual(['connecting', 'waiting']);
    await vi.advanceTimersByTimeAsync(1500);
    expect(fetched).toHaveBeenCalledTimes(2);
    stream.close();
    expect(states.at(-1)).toBe('closed');
  });
});
