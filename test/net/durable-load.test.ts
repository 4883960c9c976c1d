/**
 * Sessions of the log at the start of a gateway: fake shards that already have rows.
 */
import { expect, test } from 'vitest';
import { RowStore } from '../../src/shard/link.js';
import { encodeState, encodeSubscriptions } from '../../src/session/session-record.js';
import type { Session } from '../../src/session/session.js';
import { FakeShards } from '../session/fake-shards.js';
import { optionsOf } from '../session/retained-fixture.js';
import { startGateway } from './test-gateway.js';

interface StoredOptions {
  readonly awaySinceMs?: number;
  readonly expiryIntervalS?: number;
}

/** Adds the rows of a session, a row of subscriptions for each list of filters; returns the id of its state's row. */
function addSession(
  shards: FakeShards,
  clientId: string,
  groups: readonly (readonly string[])[],
  { awaySinceMs = Date.now(), expiryIntervalS = 3600 }: StoredOptions = {},
): number {
  const rows = shards.rowsOf(0, RowStore.session);
  const stateRowId = shards.nextRowId();
  rows.set(stateRowId, encodeState({ clientId, expiryIntervalS, awaySinceMs, sentMax: 0 }));
  for (const [at, filters] of groups.entries()) {
    const subscriptions = filters.map((filter) => ({ filter, ...optionsOf(at % 3, at + 1) }));
    rows.set(shards.nextRowId(), encodeSubscriptions(stateRowId, subscriptions));
  }
  return stateRowId;
}

/** A gateway that has taken up what the shards have, and the rows of sessions that are left. */
async function load(
  shards: FakeShards,
): Promise<{ sessionOf: (clientId: string) => Session | undefined; rowIds: () => number[] }> {
  const { gateway } = await startGateway({ shards });
  await gateway.load([]);
  return {
    sessionOf: (clientId) => gateway.sessions.get(clientId),
    rowIds: () => [...shards.rowsOf(0, RowStore.session).keys()].toSorted((a, b) => a - b),
  };
}

const filtersOf = (session: Session | undefined): string[] => [...(session?.liveSubscriptions.keys() ?? [])];

test('of two states of one client the newer one counts: the other was being deleted when the process ended [MQTT-3.1.2-4]', async () => {
  const shards = new FakeShards(1);
  for (const filter of ['old', 'new']) addSession(shards, 'twice', [[filter]]);
  const { sessionOf, rowIds } = await load(shards);
  expect(filtersOf(sessionOf('twice'))).toEqual(['new']);
  await expect.poll(rowIds).toEqual([3, 4]);
});

test('subscriptions in many rows are all there again, each with its options [MQTT-3.1.2-5]', async () => {
  const shards = new FakeShards(1);
  addSession(shards, 'a', [['a/0', 'a/1'], ['$share/g/a'], ['$queue/q']]);
  addSession(shards, 'b', [['b']]);
  const { sessionOf, rowIds } = await load(shards);
  expect([...sessionOf('a')!.allSubscriptions()]).toEqual([
    ['a/0', optionsOf(0, 1)],
    ['a/1', optionsOf(0, 1)],
    ['$share/g/a', optionsOf(1, 2)],
    ['$queue/q', optionsOf(2, 3)],
  ]);
  expect(filtersOf(sessionOf('b'))).toEqual(['b']);
  expect(rowIds()).toEqual([1, 2, 3, 4, 5, 6]);
});

test('a filter in two rows was moving when the process ended: the newer row counts, the other gives it up [broker]', async () => {
  const shards = new FakeShards(1);
  addSession(shards, 'a', [['x', '$queue/q'], ['x'], ['$queue/q']], { awaySinceMs: 0 });
  const { sessionOf } = await load(shards);
  expect([...sessionOf('a')!.allSubscriptions()]).toEqual([
    ['x', optionsOf(1, 2)],
    ['$queue/q', optionsOf(2, 3)],
  ]);
  expect(sessionOf('a')!.filterLength).toBe('x$queue/q'.length);
  const again = await load(shards);
  expect([...again.sessionOf('a')!.allSubscriptions()]).toHaveLength(2);
  // It had become empty, and is deleted when it is read.
  await expect.poll(again.rowIds).toEqual([1, 3, 4]);
});

test('rows of subscriptions go with their session, and those without one are deleted [MQTT-3.1.2-23]', async () => {
  const shards = new FakeShards(1);
  addSession(shards, 'expired', [['a'], ['b']], { awaySinceMs: Date.now() - 10_000, expiryIntervalS: 5 });
  const gone = addSession(shards, 'gone', [['a']]);
  shards.rowsOf(0, RowStore.session).delete(gone);
  const kept = addSession(shards, 'kept', [['a']]);
  const { sessionOf, rowIds } = await load(shards);
  await expect.poll(rowIds).toEqual([kept, kept + 1]);
  sessionOf('kept')!.end();
  await expect.poll(rowIds).toEqual([]);
});

test('rows of a kind or a length that is not known are deleted and the others taken up [broker]', async () => {
  const shards = new FakeShards(1);
  const stateRowId = addSession(shards, 'a', [['a']]);
  const rows = shards.rowsOf(0, RowStore.session);
  rows.set(shards.nextRowId(), Uint8Array.of(0x63, 1, 2, 3));
  const short = encodeSubscriptions(stateRowId, [{ filter: 'long/filter', ...optionsOf(1) }]);
  rows.set(shards.nextRowId(), short.subarray(0, -1));
  const { sessionOf, rowIds } = await load(shards);
  expect(filtersOf(sessionOf('a'))).toEqual(['a']);
  await expect.poll(rowIds).toEqual([stateRowId, stateRowId + 1]);
});
