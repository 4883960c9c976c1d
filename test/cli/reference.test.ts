import { describe, expect, test } from 'vitest';

import { renderCommands } from '../../scripts/render-cli.mjs';
import { fillTables } from '../../scripts/render-docs.mjs';
import { flatten } from '../../src/cli/completion/tree.js';
import { commandTree } from '../../src/cli/program.js';
import { commandVariables } from '../../src/config/command-variables.js';
import { fileOf } from '../repository/tree.js';
import { run } from './harness.js';

const tree = commandTree();
const leaves = flatten(tree).filter(({ children }) => children.length === 0);

describe('docs/cli.md', () => {
  test('describes every command as the code defines it (else: npm run docs) [broker]', () => {
    const { text } = fileOf('docs/cli.md');
    expect(text).toContain('<!-- table: commands -->');
    expect(fillTables(text, renderCommands(tree, commandVariables))).toBe(text);
    for (const { path } of leaves) expect(text).toContain(`\n### ${path}\n`);
  });
});

describe('help', () => {
  test('"sluice help" names every command, and each of them is found [broker]', async () => {
    const { out } = await run(['help']);
    for (const { name, children } of tree.children) {
      expect(out).toMatch(new RegExp(String.raw`^ {2}${name}\b`, 'm'));
      for (const child of name === 'ctl' ? [] : children) expect(out).toContain(child.name);
    }
  });

  test.each(leaves.filter(({ name }) => name !== 'help').map(({ path }) => path))(
    '"%s --help" tells usage and examples on standard output, exit code 0 [broker]',
    async (path) => {
      const words = path.split(' ').slice(1);
      const { code, out, err } = await run(['help', ...words]);
      expect({ code, err }).toEqual({ code: 0, err: '' });
      expect(out).toContain(`Usage: ${path}`);
      expect(out).toMatch(/Examples:\n {2}\$ .*sluice/);
    },
  );

  test('examples call the command that they belong to, with options that it has [broker]', () => {
    for (const { path, examples, options } of leaves) {
      expect(examples.length, path).toBeGreaterThan(0);
      for (const example of examples) {
        expect(example).toContain(path);
        const flags = example.match(/(?<= )--[a-z-]+/g) ?? [];
        const known = new Set(['--help', ...options.map(({ long }) => long)]);
        expect(flags.filter((flag) => !known.has(flag) && !example.includes('|'), path)).toEqual([]);
      }
    }
  });

  test('descriptions of arguments and options are there [broker]', () => {
    for (const { path, description, arguments: args, options } of leaves) {
      expect(description, path).not.toBe('');
      for (const one of [...args, ...options]) expect(one.description, path).not.toBe('');
    }
  });
});

describe('wrong use', () => {
  test.each([
    [['queues'], 'Usage: sluice queues'],
    [['queues', 'lisst'], "unknown command 'lisst'"],
    [['queues', 'show'], "missing required argument 'name'"],
    [['queues', 'list', 'x'], 'too many arguments'],
    [['queues', 'list', '--srt', 'x'], "unknown option '--srt'"],
    [['queues', 'list', '--sort', 'size'], 'Allowed choices are name'],
    [['queues', 'create', 'x', '--max-inflight', '0'], 'a whole number from 1 to 65535'],
    [['status', '--timeout', 'soon'], 'is not a duration'],
    [['pub', 'a/+', 'x'], 'has a wildcard'],
    [['pub', 'a', 'x', '--lines'], 'exclude each other'],
    [['pub', 'a', 'x', '--user-property', 'x'], 'key=value'],
    [['pub', 'a', 'x', '--url', 'http://127.0.0.1'], 'schemes are mqtt'],
    [['pub', 'a', 'x', '--mqtt-version', '3.1.1', '--expiry', '5'], 'MQTT 3.1.1 has no properties'],
    [['sub', 'a', '--session', '1h'], 'add --id'],
    [['completion', 'csh'], 'Allowed choices are bash'],
    [['--json', 'queues', 'list'], 'options follow the command: sluice queues'],
    [['queus', 'list'], 'did you mean "queues"?'],
    [['help', 'nosuch'], '"nosuch" is not a command\n'],
    [['help', 'queus'], 'did you mean "queues"?'],
    [['help', 'queues', 'lisst'], '"lisst" is not a command of "sluice queues"; did you mean "list"?'],
    [['help', 'pub', 'x'], '"x" is not a command of "sluice pub"'],
  ])('%j is answered with exit code 2 and %j [broker]', async (argv, message) => {
    const { code, out, err } = await run(argv, { env: { SLUICE_API_URL: 'http://127.0.0.1:1' } });
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(message);
  });
});
