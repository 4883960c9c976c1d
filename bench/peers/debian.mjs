/**
 * RabbitMQ, NATS and Redis as Debian packages them: durable queues over their own protocols.
 *
 * Always true: nothing is installed unless that was asked for; what is missing is listed as absent. Each stands in the
 * cases of `durability` whose promise it can keep, and nowhere else; its own words for it stand beside the figure.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { isPlainOld, queuePeer } from './queue-peer.mjs';
import { rabbitPeers } from './rabbitmq.mjs';
import { freePort, openWhenReady } from './start.mjs';

const PACKAGES = [
  { name: 'redis', package: 'redis-server', program: '/usr/bin/redis-server', peers: redisPeers },
  { name: 'nats', package: 'nats-server', program: '/usr/sbin/nats-server', peers: natsPeers },
  { name: 'rabbitmq', package: 'rabbitmq-server', program: '/usr/sbin/rabbitmq-server', peers: rabbitPeers },
];

const INSTALLER = '/usr/bin/apt-get';

/** Peers that are installed, and those that are not; with `install` the missing ones are installed first. */
export function debianPeers(install) {
  const peers = [];
  const absent = [];
  for (const entry of PACKAGES) {
    if (!existsSync(entry.program) && install) installPackage(entry.package);
    if (existsSync(entry.program)) peers.push(...entry.peers(entry.program));
    else absent.push({ name: entry.name, reason: `not installed (apt-get install ${entry.package})` });
  }
  return { peers, absent };
}

/** Without a service being started: the broker's processes are those of the bench. */
function installPackage(name) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  spawnSync(INSTALLER, ['install', '-y', '--no-install-recommends', name], { env, stdio: ['ignore', 2, 2] });
}

function wordsOfMqtt({ load }) {
  return load?.qos > 0 ? 'QoS 1 stored in files, no fsync' : 'nothing stored';
}

function redisPeers(program) {
  const promises = {
    process: 'append-only file, appendfsync no',
    interval: 'append-only file, appendfsync everysec',
    fsync: 'append-only file, appendfsync always',
  };
  const settings = { process: 'no', interval: 'everysec', fsync: 'always' };
  const open = async (durability, words) => {
    const directory = await mkdtemp(path.join(os.tmpdir(), 'sluice-bench-'));
    const port = await freePort();
    const args = [
      ...['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--save', ''],
      ...['--appendonly', 'yes', '--appendfsync', settings[durability]],
    ];
    const child = spawn(program, args, { stdio: 'ignore' });
    return openWhenReady({ name: 'redis', port, child, directory, facts: { durability: words } });
  };
  return [queuePeer({ name: 'redis-streams', wire: 'redis', promises, open })];
}

function natsPeers(program) {
  const promises = { process: 'file storage, no fsync before the answer' };
  const open = async (durability, words) => {
    const directory = await mkdtemp(path.join(os.tmpdir(), 'sluice-bench-'));
    const port = await freePort();
    const config = path.join(directory, 'nats.conf');
    await writeFile(
      config,
      `listen: "127.0.0.1:${port}"\njetstream { store_dir: "${directory}", max_file_store: 20GB }\n`,
    );
    const child = spawn(program, ['-c', config], { stdio: 'ignore' });
    return openWhenReady({ name: 'nats', port, child, directory, facts: { durability: words } });
  };
  return [queuePeer({ name: 'nats-jetstream', wire: 'nats', promises, open }), natsMqttPeer(program)];
}

/** Its MQTT listener; QoS 1 goes through JetStream in files. */
function natsMqttPeer(program) {
  const open = async () => {
    const directory = await mkdtemp(path.join(os.tmpdir(), 'sluice-bench-'));
    const [port, ownPort] = [await freePort(), await freePort()];
    const config = path.join(directory, 'nats.conf');
    await writeFile(
      config,
      `server_name: bench\nlisten: "127.0.0.1:${ownPort}"\nmqtt { listen: "127.0.0.1:${port}", max_ack_pending: 1000 }\njetstream { store_dir: "${directory}" }\n`,
    );
    const child = spawn(program, ['-c', config], { stdio: 'ignore' });
    return openWhenReady({ name: 'nats-mqtt', port, child, directory });
  };
  return { name: 'nats-mqtt', kind: 'mqtt', durability: wordsOfMqtt, takes: isPlainOld, open };
}
