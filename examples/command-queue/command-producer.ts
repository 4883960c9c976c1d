/**
 * Sends a random colour command to a device, one every --interval seconds, until interrupted. The TypeScript
 * twin of producer/command-producer.py: same options, same log lines. MQTT 5, because the queue finds the
 * key of a command in a user property.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { connectAsync } from 'mqtt';

const COLORS = ['Green', 'Red', 'Yellow'];

const { values } = parseArgs({
  options: {
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '1883' },
    topic: { type: 'string', default: 'commands/device1' },
    interval: { type: 'string', default: '0.5' },
    count: { type: 'string', default: '0' },
  },
});
const count = Number(values.count);

const client = await connectAsync(`mqtt://${values.host}:${values.port}`, { protocolVersion: 5 });
for (let number = 1; count === 0 || number <= count; number += 1) {
  const color = COLORS[Math.floor(Math.random() * COLORS.length)];
  const command = JSON.stringify({ color, n: number });
  await client.publishAsync(values.topic, command, {
    qos: 1,
    properties: { userProperties: { key: 'set-color' } },
  });
  console.log(`${new Date().toISOString()} Sent ${command}`);
  await sleep(Number(values.interval) * 1000);
}
await client.endAsync();
