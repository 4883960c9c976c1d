/**
 * A device with one light: shows the colour that the last command asked for. The TypeScript twin of
 * consumer/consumer.py: same options, same log lines.
 */
import { parseArgs } from 'node:util';
import { connect } from 'mqtt';

const { values } = parseArgs({
  options: {
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '1883' },
    topic: { type: 'string', default: 'commands/device1' },
  },
});

function log(text: string): void {
  console.log(`${new Date().toISOString()} ${text}`);
}

const client = connect(`mqtt://${values.host}:${values.port}`, { resubscribe: false });
client.on('connect', () => {
  log('The device is connected: Success');
  client.subscribe(`$q/${values.topic}`, { qos: 0 });
});
client.on('message', (_topic, payload) => {
  const command = JSON.parse(payload.toString()) as { color: string; n: number };
  log(`Now I am ${command.color} (command ${command.n})`);
});
