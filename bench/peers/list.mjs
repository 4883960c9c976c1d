/**
 * Which brokers a run compares: Sluice, mosquitto where it is installed, those whose command line is given, and on
 * request Debian's packages of others.
 *
 * Always true: a peer that was asked for and is not there is listed as absent with the reason, never left out silently.
 * A peer is `{ name, kind, durability, open(broker), queue }`: `open` answers a fresh Target; `queue`, where there is
 * one, measures the peer's own kind of durable queue, as its protocol is not MQTT.
 */
import { OptionError } from '../jobs/options.mjs';
import { spawnCommand } from './command.mjs';
import { debianPeers } from './debian.mjs';
import { findMosquitto, spawnMosquitto } from './mosquitto.mjs';
import { spawnSluice } from './sluice.mjs';

const SLUICE_DEFAULTS = { durability: '', store: '', shards: 0, nodeFlags: '' };

/**
 * The peers of a run. `options` has `peer` (list of `name=command`), `only` (names, empty for all), `debian` and
 * `install` (flags), and `durability`, `store`, `shards`, `nodeFlags` for Sluice.
 */
export function findPeers(options) {
  const absent = [];
  const peers = [sluice(options)];
  if (findMosquitto() === undefined) absent.push({ name: 'mosquitto', reason: 'not installed' });
  else peers.push({ name: 'mosquitto', kind: 'mqtt', durability: 'nothing stored', open: spawnMosquitto });
  for (const text of options.peer) peers.push(given(text));
  if (options.debian) {
    const found = debianPeers(options.install);
    peers.push(...found.peers);
    absent.push(...found.absent);
  }
  const wanted = options.only;
  for (const name of wanted)
    if (!peers.some((peer) => peer.name === name) && !absent.some((peer) => peer.name === name))
      absent.push({ name, reason: 'unknown: give it with --peer or --debian' });
  return {
    peers: wanted.length === 0 ? peers : peers.filter(({ name }) => wanted.includes(name)),
    absent,
  };
}

function sluice(options) {
  const given = { ...SLUICE_DEFAULTS, ...options };
  return {
    name: 'sluice',
    kind: 'sluice',
    durability: undefined,
    /** What the case asks for wins over the command line, which wins over the defaults of the broker. */
    open: (broker) =>
      spawnSluice({
        store: given.store,
        nodeFlags: given.nodeFlags,
        durability: broker.durability ?? given.durability,
        shards: broker.shards ?? given.shards,
      }),
  };
}

function given(text) {
  const [, name, command] = /^([\w.-]+)=(.+)$/.exec(text) ?? [];
  if (name === undefined) throw new OptionError(`--peer takes name=command, not '${text}'`);
  if (!command.includes('{port}')) throw new OptionError(`the command of --peer ${name} has no {port} in it`);
  return {
    name,
    kind: 'mqtt',
    durability: 'as its command line says',
    open: () => spawnCommand(name, command),
  };
}
