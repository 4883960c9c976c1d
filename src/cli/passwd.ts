/**
 * `sluice passwd`: sets or removes one user of a password file. Runs alone in its process.
 *
 * Always true: the file is replaced by a rename, so that a broker never reads half of it, and nobody but its owner may
 * read it; comments, other users and their order stay. A password is shown nowhere and never in an error.
 * Gives up: two of these at the same time on one file; the later one wins.
 */
import { randomBytes } from 'node:crypto';
import {
  chownSync,
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

import { parsePasswordFile } from '../auth/password-file.js';
import { hashPassword, hashScram } from '../auth/password-hash.js';
import { saslPrep } from '../auth/sasl-prep.js';
import { OperationalError } from '../base/error.js';
import { askTwice, type PasswordInput } from './ask.js';

/** What to do with one user. */
export interface PasswdRequest {
  readonly file: string;
  readonly username: string;
  readonly action: 'set' | 'set-scram' | 'delete';
  /** Undefined: ask `input`. */
  readonly password: string | undefined;
  readonly input: PasswordInput;
  /** Prompts and warnings go here. */
  readonly err: (text: string) => void;
}

const passwordBytesMax = 65_535;

/** Does it; resolves to one line about what was done. Rejects with `OperationalError` ERR_AUTH, and changes nothing then. */
export async function changePasswordFile(request: PasswdRequest): Promise<string> {
  const { username, action, err } = request;
  const file = targetOf(request.file);
  const text = readOrEmpty(file);
  if (action === 'delete') {
    const without = replaceLine(text, username, undefined);
    if (without === undefined) throw fault(`${file} has no user ${JSON.stringify(username)}`);
    replaceFile(file, without);
    return `${username} removed from ${file}`;
  }
  checkUsername(username, action);
  const password = Buffer.from(request.password ?? (await askTwice(request.input, err)));
  if (password.length === 0) throw fault('the password is empty');
  if (password.length > passwordBytesMax) throw fault('the password is longer than MQTT allows');
  const hash = await (action === 'set' ? hashPassword(password) : hashScram(password)).catch(
    (error: unknown) => {
      throw fault((error as Error).message);
    },
  );
  const line = `${username}:${hash}`;
  const next =
    replaceLine(text, username, line) ?? `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${line}\n`;
  warnAboutOthers(next, err);
  replaceFile(file, next);
  return `${username} written to ${file}`;
}

/** MQTT takes more names than a line can hold. */
function checkUsername(username: string, action: PasswdRequest['action']): void {
  if (username === '' || /[:\p{Cc}]|^[#\uFEFF]/u.test(username) || username !== username.trim()) {
    throw fault(
      'a user name is not empty, holds no colon or control character, and begins neither with # nor a space',
    );
  }
  if (action === 'set-scram' && saslPrep(username) !== username) {
    throw fault('SCRAM does not allow this user name as it is written');
  }
}

/** The text with the user's line replaced or removed; undefined: there is none. */
function replaceLine(text: string, username: string, line: string | undefined): string | undefined {
  const lines = text.split('\n');
  const index = lines.findIndex((one) => one.replace(/^\uFEFF/, '').startsWith(`${username}:`));
  if (index < 0) return undefined;
  lines.splice(index, 1, ...(line === undefined ? [] : [line]));
  return lines.join('\n');
}

function warnAboutOthers(text: string, err: (text: string) => void): void {
  try {
    parsePasswordFile(text);
  } catch (error) {
    err(`sluice: warning: the broker will not take this file yet: ${(error as Error).message}\n`);
  }
}

/** The file behind a symbolic link, so that the link stays. */
function targetOf(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return file;
  }
}

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw fault(`${file} cannot be read: ${(error as Error).message}`, error);
  }
}

function replaceFile(file: string, text: string): void {
  const next = join(dirname(file), `.sluice-passwd-${randomBytes(8).toString('hex')}`);
  try {
    const handle = openSync(next, 'wx', 0o600);
    try {
      writeSync(handle, text);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    keepOwner(file, next);
    renameSync(next, file);
  } catch (error) {
    rmSync(next, { force: true });
    throw fault(`${file} cannot be written: ${(error as Error).message}`, error);
  }
}

/** A file that root changes still belongs to the user that the broker runs as. */
function keepOwner(file: string, next: string): void {
  const before = statSync(file, { throwIfNoEntry: false });
  if (before === undefined || process.getuid?.() !== 0) return;
  chownSync(next, before.uid, before.gid);
}

function fault(message: string, cause?: unknown): OperationalError {
  return new OperationalError('ERR_AUTH', message, cause);
}
