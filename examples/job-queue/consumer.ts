/**
 * Takes jobs from the queue of a topic and works on each for --sleep seconds. The TypeScript twin of
 * consumer/consumer.py: same options, same log lines. The work is done in `handleMessage`, because mqtt.js
 * acknowledges a message when its callback is called: an interrupted job goes to another consumer.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { connect } from 'mqtt';

const { values } = parseArgs({
  options: {
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '1883' },
    name: { type: 'string', default: 'consumer' },
    topic: { type: 'string', default: 'jobs' },
    sleep: { type: 'string', default: '0' },
  },
});

function log(text: string): void {
  console.log(`${new Date().toISOString()} ${text}`);
}

async function work(job: string): Promise<void> {
  log(`${values.name} takes ${job}`);
  await sleep(Number(values.sleep) * 1000);
  log(`${values.name} is done with ${job}`);
}

const client = connect(`mqtt://${values.host}:${values.port}`, { resubscribe: false });
client.handleMessage = (packet, acknowledge) => {
  work(packet.payload.toString()).then(() => acknowledge(), acknowledge);
};
client.on('connect', () => {
  log(`${values.name} is connected: Success`);
  client.subscribe(`$q/${values.topic}`, { qos: 0 }, (error) => {
    log(
      error === null ? `${values.name} waits for jobs` : `${values.name} cannot subscribe: ${error.message}`,
    );
  });
});
