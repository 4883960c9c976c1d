/**
 * A value that follows another one after it has been still for a while. In the browser.
 *
 * Always true: the first value is given at once; of several changes within the pause only the last is given. For what is
 * typed and asked of the broker: one request per pause, not one per key. Gives up being up to date meanwhile.
 */
import { useEffect, useState } from 'preact/hooks';

/** `value` as it was when it last stood still for `pauseMs`. */
export function useDebounced<T>(value: T, pauseMs = 250): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), pauseMs);
    return () => clearTimeout(timer);
  }, [value, pauseMs]);
  return settled;
}
