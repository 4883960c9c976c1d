/**
 * Starts RabbitMQ, for its classic and its quorum queues over AMQP and for its MQTT plugin.
 *
 * Always true: node name, ports, files and even the Erlang port mapper are this run's own, so that a RabbitMQ which
 * happens to run on the machine is neither found nor disturbed.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { isPlainOld, queuePeer } from './queue-peer.mjs';
import { freePort, openWhenReady } from './start.mjs';

const START_TIMEOUT_MS = 90_000;
const PORT_MAPPER = '/usr/bin/epmd';
/** Debian's wrapper would change the user; the program behind it does not. */
const DIRECT_PROGRAM = '/usr/lib/rabbitmq/bin/rabbitmq-server';
const WORDS = {
  quorum: 'quorum queue, fsync before the confirm',
  classic: 'classic durable queue, fsync before the confirm',
};

/** One peer per kind of queue, and one for MQTT. */
export function rabbitPeers(program) {
  const binary = existsSync(DIRECT_PROGRAM) ? DIRECT_PROGRAM : program;
  const queues = ['quorum', 'classic'].map((queueType) =>
    queuePeer({
      name: `rabbitmq-${queueType}`,
      wire: 'amqp',
      promises: { fsync: WORDS[queueType] },
      open: (durability, words) => spawnRabbit(binary, words),
      more: { queueType },
    }),
  );
  const mqtt = {
    name: 'rabbitmq-mqtt',
    kind: 'mqtt',
    durability: 'nothing stored',
    takes: isPlainOld,
    open: () => spawnRabbit(binary, undefined, true),
  };
  return [...queues, mqtt];
}

async function spawnRabbit(program, words, mqtt = false) {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'sluice-bench-'));
  const [port, distPort, mapperPort, mqttPort] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  const mqttLines = mqtt ? `mqtt.listeners.tcp.1 = 127.0.0.1:${mqttPort}\nmqtt.allow_anonymous = true\n` : '';
  await writeFile(
    path.join(directory, 'rabbitmq.conf'),
    `loopback_users = none\ndisk_free_limit.absolute = 50MB\n${mqttLines}`,
  );
  await writeFile(path.join(directory, 'plugins'), mqtt ? '[rabbitmq_mqtt].\n' : '[].\n');
  const env = {
    PATH: process.env.PATH,
    HOME: directory,
    ERL_EPMD_PORT: String(mapperPort),
    RABBITMQ_NODENAME: `bench${port}@localhost`,
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_NODE_PORT: String(port),
    RABBITMQ_DIST_PORT: String(distPort),
    RABBITMQ_MNESIA_BASE: directory,
    RABBITMQ_LOG_BASE: directory,
    RABBITMQ_CONFIG_FILE: path.join(directory, 'rabbitmq.conf'),
    RABBITMQ_ENABLED_PLUGINS_FILE: path.join(directory, 'plugins'),
  };
  const mapper = spawn(PORT_MAPPER, ['-port', String(mapperPort), '-address', '127.0.0.1'], {
    stdio: 'ignore',
    env,
  });
  const child = spawn(program, [], { stdio: 'ignore', env, cwd: directory });
  return openWhenReady({
    name: 'rabbitmq',
    port: mqtt ? mqttPort : port,
    child,
    directory,
    companions: [mapper],
    timeoutMs: START_TIMEOUT_MS,
    facts: words === undefined ? {} : { durability: words },
  });
}
