/**
 * Publishes numbered jobs to a topic with QoS 1, one every --interval seconds. The TypeScript twin of
 * producer/producer.py: same options, same log lines. `publishAsync` resolves when the broker has
 * acknowledged the job, that is, when it is stored.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { connectAsync } from 'mqtt';

const { values } = parseArgs({
  options: {
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '1883' },
    topic: { type: 'string', default: 'jobs' },
    interval: { type: 'string', default: '0.1' },
    count: { type: 'string', default: '500' },
  },
});
const count = Number(values.count);

function log(text: string): void {
  console.log(`${new Date().toISOString()} ${text}`);
}

const client = await connectAsync(`mqtt://${values.host}:${values.port}`);
const pending: Promise<unknown>[] = [];
for (let number = 0; number < count; number += 1) {
  pending.push(client.publishAsync(values.topic, `job ${number}`, { qos: 1 }));
  log(`Published job ${number} to ${values.topic}`);
  await sleep(Number(values.interval) * 1000);
}
await Promise.all(pending);
log(`All ${count} jobs are acknowledged`);
await client.endAsync();
