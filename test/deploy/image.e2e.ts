/**
 * The image of the Dockerfile, built step by step and run as an engine would, without one: see container.ts. SLUICE_TEST_FULL=1
 * also installs the packages from nothing, as the recipe does; otherwise those of this repository are lent to it.
 */
import { chmod, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { beforeAll, afterAll, describe, expect, test } from 'vitest';

import { temporaryDirectory } from '../harness/broker.js';
import { Scope } from '../harness/scope.js';
import { fileOf } from '../repository/tree.js';
import {
  buildImage,
  missingForImages,
  outerAddress,
  untilHealthy,
  type Container,
  type Image,
} from './container.js';
import { parseDockerfile } from './dockerfile.js';

const stages = parseDockerfile(fileOf('Dockerfile').text);
const [final] = stages.slice(-1);
const missing = missingForImages();
const file = new Scope();

/** The lines of the published compose file that concern the broker: one variable, one file, one command. */
const bootstrap = { EMQX_API_KEY__BOOTSTRAP_FILE: '/opt/emqx/etc/api-keys.txt' };
const statusCommand = ['/opt/emqx/bin/emqx', 'ctl', 'status'];
const queues = 'http://localhost:18083/api/v5/message_queues/queues';
const post = `curl -sS -w '\\n%{http_code}' -u key:secret -X POST "${queues}" -H "Content-Type: application/json" -d`;

describe.skipIf(missing !== undefined)(`the image${missing === undefined ? '' : ` (${missing})`}`, () => {
  let image: Image;
  let keys: string;

  beforeAll(async () => {
    keys = path.join(await temporaryDirectory(file), 'api-keys.txt');
    await writeFile(keys, 'key:secret\n');
    await chmod(keys, 0o644);
    image = await buildImage(file, stages);
  }, 300_000);
  afterAll(() => file.release());

  async function start(volume: string): Promise<Container> {
    if (final === undefined) throw new Error('no stage');
    const container = image.run({ env: bootstrap, files: { '/opt/emqx/etc/api-keys.txt': keys }, volume });
    await untilHealthy(container, final);
    return container;
  }

  test('a compose file written for EMQX runs with another image name: variable, file, health check and all three curl calls [broker]', async () => {
    const first = await start('first');
    expect(await first.exec(statusCommand)).toMatchObject({
      code: 0,
      out: expect.stringContaining('running'),
    });
    const jobs = await first.outside(
      `${post} '{"topic_filter": "jobs", "dispatch_strategy": "random", "is_lastvalue": false}'`,
    );
    expect(jobs.out).toMatch(/"dispatch_strategy":"random".*\n200$/);
    const commands = await first.outside(
      `${post} '{ "topic_filter": "commands/device1", "is_lastvalue": true,
        "key_expression": "message.headers.properties.User-Property.key", "dispatch_strategy": "random" }'`,
    );
    expect(commands.out).toMatch(/"is_lastvalue":true.*\n200$/);
    expect(await first.stop(), first.output).toBe(0);
    // As after `down` and `up` with a compose file that names no volume.
    const second = await start('second');
    const least = await second.outside(
      `${post} '{"topic_filter": "jobs", "dispatch_strategy": "least_inflight", "is_lastvalue": false}'`,
    );
    expect(least.out).toMatch(/"dispatch_strategy":"least_inflight".*\n200$/);
    await second.stop();
  });

  test('the broker is the first process, an ordinary user without capabilities, writes nowhere but into its volume, and is reached from outside [broker]', async () => {
    const container = await start('first');
    const status = await container.exec(['cat', '/proc/1/status']);
    expect(status.out).toMatch(/^Uid:\s+1000\s+1000\s+1000\s+1000$/m);
    expect(status.out).toMatch(/^CapEff:\s+0+$/m);
    expect(status.out).toMatch(/^NoNewPrivs:\s+1$/m);
    expect((await container.exec(['cat', '/proc/1/cmdline'])).out.split('\0')).toContain('start');
    for (const place of ['/opt/sluice/x', '/etc/sluice/x', '/usr/local/bin/x', '/var/x']) {
      expect((await container.exec(['touch', place])).out).toMatch(/Read-only file system|Permission denied/);
    }
    expect((await container.exec(['touch', '/var/lib/sluice/x'])).code).toBe(0);

    const origin = `http://${outerAddress}:18083`;
    // The probes of Kubernetes come from outside and without a key, as do the files of the dashboard.
    for (const page of ['/health/live', '/health/ready', '/dashboard/']) {
      const answer = await container.outside(`curl -sS -o /dev/null -w "%{http_code}" ${origin}${page}`);
      expect(answer.out, page).toBe('200');
    }
    const url = `${origin}/api/v5/queues`;
    expect((await container.outside(`curl -sS -o /dev/null -w "%{http_code}" ${url}`)).out).toBe('401');
    // The volume is that of the test before, which wrote its queues into it.
    expect((await container.outside(`curl -sS -u key:secret ${url}`)).out).toContain('"topic_filter":"jobs"');
    // CONNECT of MQTT 3.1.1 with an empty client id, and the CONNACK that lets it in.
    const connect = String.raw`exec 3<>/dev/tcp/${outerAddress}/1883; printf '\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00' >&3; head -c 4 <&3 | od -An -tx1`;
    expect((await container.outside(connect)).out.trim()).toBe('20 02 00 00');
  });

  test('the image holds what a running broker needs and nothing of its making [broker]', async () => {
    const files = await image.files();
    expect(files).toContain('/opt/sluice/dist/main.js');
    expect(files).toContain('/opt/sluice/dist/dashboard/index.html');
    expect(files).toContain('/opt/sluice/node_modules/fastify/package.json');
    expect(files.filter((one) => /^\/opt\/sluice\/(src|test|scripts|bench)\//.test(one))).toEqual([]);
    expect(
      files.filter((one) => /\/node_modules\/(typescript|vitest|vite|oxlint|playwright-core)\//.test(one)),
    ).toEqual([]);
    expect(files.filter((one) => one.endsWith('.d.ts'))).toEqual([]);
  });
});
