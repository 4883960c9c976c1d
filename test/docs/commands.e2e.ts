/**
 * Every command in the documents that can run, is run: against a broker that is empty at its beginning, in the order
 * of the document, in a folder of its own. What the marks mean stands in document.ts; which blocks do not run, and why, in blocks.test.ts.
 */
import { spawnSync } from 'node:child_process';

import { afterAll, expect, test } from 'vitest';

import { Scope, testScope } from '../harness/scope.js';
import { filesOf } from '../repository/tree.js';
import { blocksOf } from './document.js';
import { openSession, SharedBroker } from './session.js';

const documents = filesOf('.', /\.md$/)
  .map(({ path, text }) => ({
    path,
    blocks: blocksOf(text, path).filter(({ mark }) => mark !== 'no-run' && mark !== 'unmarked'),
  }))
  .filter(({ blocks }) => blocks.length > 0);

const file = new Scope();
const shared = new SharedBroker(file);
afterAll(() => file.release());

/** Programs of others that a machine may not have. */
const programs = ['curl', 'mosquitto_pub', 'mosquitto_sub', 'openssl', 'jq'];

test.for(documents)(
  'the commands of $path run and print what it says [broker]',
  async ({ blocks }, context) => {
    const absent = programs.filter(
      (name) =>
        blocks.some(({ text }) => new RegExp(String.raw`\b${name}\b`).test(text)) &&
        spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0,
    );
    if (absent.length > 0) context.skip(`not installed: ${absent.join(', ')}`);
    const session = await openSession(testScope(), shared);
    for (const block of blocks) await session.run(block);
    await session.finish();
    expect(blocks.length).toBeGreaterThan(0);
  },
);

test('a command in the background that fails is told with what it printed [broker]', async () => {
  const session = await openSession(testScope(), shared);
  await session.run({
    line: 1,
    mark: 'background',
    reason: '',
    text: "sluice version\nsluice sub '$q/jobs' --no-such-option\n",
    output: 'another line',
    settings: undefined,
  });
  await expect(session.finish()).rejects.toThrow(/ended with 2:[^]*--no-such-option/);
});
