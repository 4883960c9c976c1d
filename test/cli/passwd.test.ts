import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { parsePasswordFile } from '../../src/auth/password-file.js';
import { verifyPassword } from '../../src/auth/password-hash.js';
import { runCli } from '../../src/cli/cli.js';

let folder = '';
let path = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-passwd-'));
  path = join(folder, 'users');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function run(
  argv: string[],
  input: PassThrough = new PassThrough(),
  onErr: (text: string) => void = () => {},
) {
  let out = '';
  let err = '';
  const io = {
    env: {},
    out: (text: string) => (out += text),
    err: (text: string) => {
      err += text;
      onErr(text);
    },
    input,
  };
  const code = await runCli(['passwd', ...argv], io, () => Promise.reject(new Error('started')));
  return { code, out, err };
}

function piped(text: string): PassThrough {
  const input = new PassThrough();
  input.end(text);
  return input;
}

/** Answers each prompt with the next of `answers`, at once; notes prompts and the modes of the terminal. */
function terminal(...answers: string[]) {
  const events: string[] = [];
  const input = Object.assign(new PassThrough(), {
    isTTY: true,
    setRawMode: (isRaw: boolean) => void events.push(isRaw ? 'silent' : 'echo'),
  });
  const onErr = (text: string): void => {
    if (!text.startsWith('Password')) return;
    events.push(text);
    input.write(answers.shift() ?? '\u0003');
  };
  return { input, events, onErr };
}

async function fits(username: string, password: string): Promise<boolean> {
  const stored = parsePasswordFile(readFileSync(path, 'utf8')).get(username);
  return stored !== undefined && verifyPassword(stored, Buffer.from(password));
}

describe('sluice passwd', () => {
  test('it makes the file for its owner alone, adds users and changes them [broker]', async () => {
    expect(await run([path, 'alice'], piped('secret\n'))).toEqual({
      code: 0,
      out: `alice written to ${path}\n`,
      err: '',
    });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await fits('alice', 'secret')).toBe(true);
    expect((await run([path, 'bob'], piped('other'))).code).toBe(0);
    expect((await run([path, 'alice'], piped('changed\r\nmore\n'))).code).toBe(0);
    expect(await fits('alice', 'changed')).toBe(true);
    expect(await fits('bob', 'other')).toBe(true);
    expect(readFileSync(path, 'utf8')).not.toMatch(/secret|other|changed/);
    expect(readdirSync(folder)).toEqual(['users']);
  });

  test('comments, order and users of Mosquitto stay as they are [broker]', async () => {
    const foreign =
      'carol:$6$JDTxZpqzY5CwuSxl$zSeOo97m5PaSTVfn2dbnQ991S81Ph7ObebPgjjdzA1j1uBxnPDENeNA2P9W6L+TsnSnH5E1PCD+TdsWk7YORsw==';
    writeFileSync(path, `# ours\n${foreign}\nbob:x\n\n# end`, { mode: 0o644 });
    expect((await run([path, 'bob', '--scram'], piped('pencil'))).err).toBe('');
    const lines = readFileSync(path, 'utf8').split('\n');
    expect([lines[0], lines[1], ...lines.slice(3)]).toEqual(['# ours', foreign, '', '# end']);
    expect(lines[2]).toMatch(/^bob:\$scram-sha-256\$i=16384\$/);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect((await run([path, 'dave', '-b', 'x'])).code).toBe(0);
    expect(readFileSync(path, 'utf8')).toMatch(/\n# end\ndave:\$scrypt\$.*\n$/);
    expect(await fits('carol', 'old')).toBe(true);
    expect(await fits('bob', 'pencil')).toBe(true);
  });

  test('--delete removes one user, and says so when there is none [broker]', async () => {
    await run([path, 'bob', 'b', '--batch']);
    await run([path, 'bo', 'b', '--batch']);
    expect(await run(['--delete', path, 'bob'])).toMatchObject({
      code: 0,
      out: `bob removed from ${path}\n`,
    });
    expect([...parsePasswordFile(readFileSync(path, 'utf8')).keys()]).toEqual(['bo']);
    const again = await run(['-D', path, 'bob']);
    expect(again).toMatchObject({ code: 1, out: '' });
    expect(again.err).toContain('has no user "bob"');
  });

  test('a terminal is asked twice and shows nothing; the backspace key works [broker]', async () => {
    const { input, events, onErr } = terminal('secreT\u007Ft\r', 'secret\r');
    const result = await run([path, 'alice'], input, onErr);
    expect(result).toMatchObject({ code: 0, err: 'Password: \nPassword again: \n' });
    expect(events).toEqual(['silent', 'Password: ', 'Password again: ', 'echo']);
    expect(await fits('alice', 'secret')).toBe(true);
  });

  test('two different passwords, or an interrupt, change nothing [broker]', async () => {
    const twice = terminal('a\r', 'b\r');
    const differ = await run([path, 'alice'], twice.input, twice.onErr);
    expect(differ).toMatchObject({ code: 1, err: expect.stringContaining('the two passwords differ') });
    const { input, events, onErr } = terminal('abc\u0003');
    const interrupted = await run([path, 'alice'], input, onErr);
    expect(interrupted).toMatchObject({ code: 1, err: expect.stringContaining('interrupted') });
    expect(events).toEqual(['silent', 'Password: ', 'echo']);
    expect(existsSync(path)).toBe(false);
  });

  test('a symbolic link stays one [broker]', async () => {
    writeFileSync(path, '');
    const link = join(folder, 'link');
    symlinkSync(path, link);
    await run([link, 'alice', 'x', '--batch']);
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(await fits('alice', 'x')).toBe(true);
  });

  test('a line that the broker would refuse is named, and the change is made [broker]', async () => {
    writeFileSync(path, 'mallory:plain\n');
    const result = await run([path, 'alice', 'x', '--batch']);
    expect(result).toMatchObject({ code: 0, err: expect.stringContaining('line 1: what follows the colon') });
    expect(readFileSync(path, 'utf8')).toMatch(/^mallory:plain\nalice:\$scrypt/);
  });

  test.each(['', 'a:b', '#a', ' a', 'a ', 'a\nb', 'a\u0000'])(
    'the user name %j is refused, as a line cannot hold it [broker]',
    async (username) => {
      const result = await run([path, username, 'x', '--batch']);
      expect(result).toMatchObject({ code: 1, err: expect.stringContaining('a user name is not empty') });
      expect(existsSync(path)).toBe(false);
    },
  );

  test('an empty password, one beyond the bound of MQTT and one that SCRAM refuses change nothing [broker]', async () => {
    expect((await run([path, 'a'], piped('\n'))).err).toContain('the password is empty');
    expect((await run([path, 'a'], piped(''))).err).toContain('the password is empty');
    expect((await run([path, 'a'], piped('x'.repeat(70_000)))).err).toContain('longer than MQTT allows');
    expect((await run([path, 'a', '\u0007', '--batch', '--scram'])).err).toContain('SCRAM does not allow');
    expect((await run([path, '\u2168', 'x', '--batch', '--scram'])).err).toContain('SCRAM does not allow');
    expect(existsSync(path)).toBe(false);
  });

  test('a folder that cannot be written is one line, exit code 1 [broker]', async () => {
    const result = await run([join(folder, 'missing', 'users'), 'a', 'x', '--batch']);
    expect(result.code).toBe(1);
    expect(result.err).toMatch(/^sluice: ERR_AUTH: .*cannot be written.*ENOENT.*\n$/);
  });

  test.each([
    [[]],
    [['FILE']],
    [['FILE', 'a', 'b']],
    [['FILE', 'a', 'b', 'c', '--batch']],
    [['FILE', 'a', '--batch']],
    [['FILE', 'a', '--delete', '--scram']],
    [['FILE', 'a', 'b', '--delete', '--batch']],
  ])('%j is wrong use, exit code 2 [broker]', async (argv) => {
    expect(await run(argv)).toMatchObject({
      code: 2,
      err: expect.stringContaining('passwd takes FILE and USERNAME'),
    });
  });

  test('its options belong to it [broker]', async () => {
    const io = { env: {}, out: () => {}, err: () => {} };
    for (const option of ['--scram', '--delete', '--batch']) {
      expect(await runCli(['version', option], io, () => Promise.resolve(0))).toBe(2);
    }
    expect(await runCli(['passwd', '--help'], io, () => Promise.resolve(9))).toBe(0);
  });
});
