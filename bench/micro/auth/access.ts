/**
 * Access control per message: a file of 100 or 10,000 rules, and publishers that stay on one topic, change between a few,
 * or come with a new one each time. Bench process.
 *
 * Always true: every answer is the one that the file gives; what is asked with new topics has one denial among it.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAccessControl, type AccessControl, type Subject } from '../../../src/auth/access.js';
import { Counters, createCounterMemory, MAIN_BLOCK } from '../../../src/telemetry/counter.js';
import { measure, same, type Figure, type Task } from '../measure.js';

const operations = 100;
const subject: Subject = { clientId: 'pump-7', username: 'ann', peername: '192.0.2.9:51000' };

/** `rules` lines, of which those of `ann` and those for all speak of what is asked. */
function fileWith(rules: number): string {
  const users = Array.from({ length: Math.floor(rules / 10) }, (_, user) =>
    [`user user-${user}`, ...Array.from({ length: 9 }, (_, i) => `topic readwrite site/${user}/${i}/#`)].join(
      '\n',
    ),
  );
  const ann = ['user ann', 'topic deny plant/secret/#', 'topic readwrite plant/#'];
  return ['pattern readwrite device/%c/#', ...users, ...ann, ''].join('\n');
}

function withAccess<T>(text: string, use: (access: AccessControl) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
  const log = { info: (): void => undefined, error: (): void => undefined };
  let access: AccessControl | undefined;
  try {
    const aclFile = join(folder, 'acl');
    writeFileSync(aclFile, text);
    const counters = new Counters(createCounterMemory(0), MAIN_BLOCK);
    access = createAccessControl({ aclFile, aclChecksQueueFilter: false }, log, counters);
    if (access === undefined) throw new Error('nothing is configured');
    return use(access);
  } finally {
    access?.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function publishes(name: string, access: AccessControl, who: Subject, topics: readonly string[]): Task {
  const buffers = topics.map((topic) => Buffer.from(topic));
  const expected = topics.filter((topic) => !topic.includes('secret')).length;
  return {
    name,
    operations: topics.length,
    run() {
      let allowed = 0;
      for (const topic of buffers) {
        if (access.mayPublishBytes(who, topic, 0, topic.length, 1, false)) allowed++;
      }
      same(`${name}: allowed`, allowed, expected);
    },
  };
}

function tasks(access: AccessControl, rules: number): Task[] {
  const at = `, ${rules} rules`;
  const numbered = Array.from({ length: operations }, (_, i) => i);
  return [
    publishes(
      `publish, one topic${at}`,
      access,
      { ...subject },
      numbered.map(() => 'plant/7/line/3/sensor/temperature'),
    ),
    publishes(
      `publish, 16 topics in turn${at}`,
      access,
      { ...subject },
      numbered.map((i) => `plant/7/line/3/sensor/${i % 16}`),
    ),
    // More topics than a connection remembers, so that every one is decided anew.
    publishes(
      `publish, a new topic each time${at}`,
      access,
      { ...subject },
      numbered.map((i) => (i === 50 ? 'plant/secret/50' : `plant/7/line/3/sensor/${i}`)),
    ),
    {
      name: `subscribe${at}`,
      operations,
      run() {
        let allowed = 0;
        for (let i = 0; i < operations; i++)
          if (access.maySubscribe(subject, `plant/7/line/${i}/#`, 1)) allowed++;
        same('subscriptions allowed', allowed, operations);
        same('a subscription that a denial touches', access.maySubscribe(subject, 'plant/#', 1), false);
      },
    },
    {
      name: `first publish of a connection${at}`,
      operations,
      run() {
        let allowed = 0;
        for (let i = 0; i < operations; i++) {
          const newcomer: Subject = { clientId: `pump-${i}`, username: 'ann', peername: subject.peername };
          if (access.mayPublish(newcomer, `device/pump-${i}/state`, 1, false)) allowed++;
        }
        same('newcomers allowed', allowed, operations);
      },
    },
  ];
}

/** Operations are decisions. */
export function benchAccess(scale: number): Figure[] {
  return [100, scale * 10].flatMap((rules) =>
    withAccess(fileWith(rules), (access) => measure(scale, tasks(access, rules))),
  );
}
