/**
 * The entries of the log that the page knows, from the list that was read and from the stream of events. In the browser; pure.
 *
 * Always true: an entry that came both ways stands there once, and entries that are equal as often as the broker had them; each has
 * a number that it keeps; the order is that of time; at most `entriesMax` are kept, the newest. Lists are never changed in place.
 */
import type { LogEntry } from '../../base/types.js';

/** Entries kept at most. */
export const entriesMax = 500;

/** An entry and how it came. */
export interface KnownEntry {
  readonly number: number;
  readonly entry: LogEntry;
  /** For comparison. */
  readonly text: string;
  readonly wasRead: boolean;
  readonly wasStreamed: boolean;
}

/** The entries so far, oldest first. */
export interface EntryList {
  readonly known: readonly KnownEntry[];
  readonly lastNumber: number;
}

/** Nothing is known yet. */
export const noEntries: EntryList = { known: [], lastNumber: 0 };

/** With an entry of the stream. */
export function withStreamed(list: EntryList, entry: LogEntry): EntryList {
  const text = textOf(entry);
  const at = list.known.findIndex((old) => old.text === text && old.wasRead && !old.wasStreamed);
  if (at >= 0) {
    return {
      ...list,
      known: list.known.map((old, index) => (index === at ? { ...old, wasStreamed: true } : old)),
    };
  }
  const number = list.lastNumber + 1;
  const known = [...list.known, { number, entry, text, wasRead: false, wasStreamed: true }];
  return { known: inOrder(known), lastNumber: number };
}

/** With the broker's list, which may begin later and end earlier than what is known. */
export function withRead(list: EntryList, entries: readonly LogEntry[]): EntryList {
  const known = [...list.known];
  const taken = new Set<number>();
  let number = list.lastNumber;
  for (const entry of entries) {
    const text = textOf(entry);
    const at = known.findIndex((old, index) => old.text === text && !taken.has(index));
    const old = known[at];
    if (old === undefined) {
      taken.add(known.length);
      known.push({ number: ++number, entry, text, wasRead: true, wasStreamed: false });
    } else {
      taken.add(at);
      known[at] = { ...old, wasRead: true };
    }
  }
  return { known: inOrder(known), lastNumber: number };
}

function textOf({ time_ms, level, module, message, fields }: LogEntry): string {
  return JSON.stringify([time_ms, level, module, message, fields]);
}

function inOrder(known: readonly KnownEntry[]): readonly KnownEntry[] {
  return known.toSorted((one, other) => one.entry.time_ms - other.entry.time_ms).slice(-entriesMax);
}
