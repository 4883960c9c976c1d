/**
 * A hook that reads from the API and reads again: on demand, when what it depends on changes, or in intervals. In the browser.
 *
 * Always true: only the newest request counts, an older one is given up; an interval asks nothing while an answer is awaited, so
 * a slow broker is shown, too; old data stays visible while new data is on its way and when that fails; nothing is asked while
 * the tab is hidden. What is shown is never a mixture of two answers.
 */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';

import { messageOf } from './api.js';

/** What was read, and how it stands. */
export interface Resource<T> {
  /** The last good answer. */
  readonly data: T | undefined;
  /** Why the last request failed; empty when it did not. */
  readonly error: string;
  readonly isLoading: boolean;
  /** Reads again now. */
  readonly reload: () => void;
}

/**
 * Reads with `load` whenever one of `inputs` changes, and every `intervalMs` (0 = never). Data of other inputs is kept until the
 * new answer is there.
 */
export function useResource<T>(
  load: (signal: AbortSignal) => Promise<T>,
  inputs: readonly unknown[],
  intervalMs = 0,
): Resource<T> {
  const [state, setState] = useState<{ data: T | undefined; error: string; isLoading: boolean }>({
    data: undefined,
    error: '',
    isLoading: true,
  });
  const latest = useRef(load);
  latest.current = load;
  const running = useRef<AbortController | undefined>(undefined);

  const reload = useCallback(() => {
    running.current?.abort();
    const abort = new AbortController();
    running.current = abort;
    setState((old) => ({ ...old, isLoading: true }));
    latest.current(abort.signal).then(
      (data) => {
        if (abort.signal.aborted) return;
        running.current = undefined;
        setState({ data, error: '', isLoading: false });
      },
      (error: unknown) => {
        if (abort.signal.aborted) return;
        running.current = undefined;
        setState((old) => ({ data: old.data, error: messageOf(error), isLoading: false }));
      },
    );
  }, []);

  useEffect(() => {
    reload();
    return () => running.current?.abort();
  }, [reload, ...inputs]);

  useEffect(() => {
    if (intervalMs === 0) return undefined;
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible' && running.current === undefined) reload();
    }, intervalMs);
    return () => clearInterval(timer);
  }, [reload, intervalMs]);

  return { ...state, reload };
}
