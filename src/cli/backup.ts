/**
 * `sluice backup FILE`: downloads a backup of a running broker and stores it safely. Runs in the process of the command.
 *
 * Always true: FILE is there whole or not at all: what arrives goes to FILE.part, is checked frame by frame on the way, is on
 * disk, and only then gets its name; nobody but its owner may read it. A download that ends early is a failure.
 * Gives up: going on with a download that was cut off; it begins anew.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { type IncomingMessage, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { dirname } from 'node:path';

import { OperationalError } from '../base/error.js';
import { type BackupHead, FrameType, parseJson, readFrames } from '../broker/backup-format.js';
import type { ApiClient } from './api-client.js';
import { CommandContext } from './context.js';
import { type CliIo, CommandError, exitCode, type ExitCode } from './io.js';
import type { ApiOptions } from './option.js';
import { type Progress, startProgress } from './progress.js';
import { sizeText } from './text.js';

/** Options of `sluice backup`. */
export interface BackupCommandOptions extends Partial<ApiOptions> {
  /** Replace FILE when it is there. */
  readonly force?: boolean;
}

/** A broker that is alive says something more often than this, ms. */
const SILENCE_MS_MAX = 60_000;
const TIMEOUT_MS = 30_000;
const ERROR_BYTES_MAX = 64 * 1024;

/** Does it; resolves to the exit code. Throws `CommandError` and `OperationalError` ERR_BACKUP…; FILE is untouched then. */
export async function runBackup(io: CliIo, file: string, options: BackupCommandOptions): Promise<ExitCode> {
  if (existsSync(file) && options.force !== true) {
    throw new CommandError(exitCode.wrongUse, `${file} exists`, {
      hint: 'choose another name, or replace it with --force',
    });
  }
  const context = new CommandContext(io);
  const part = `${file}.${randomBytes(4).toString('hex')}.part`;
  try {
    const api = await context.api({ timeout: TIMEOUT_MS, ...options });
    const { head, bytes } = await download(io, api, part);
    await rename(part, file);
    await syncDirectory(dirname(file));
    context
      .output(options)
      .done(
        { file, bytes, ...snakeCase(head) },
        `${file}: ${head.queues} queues, ${head.messages} messages, ${sizeText(bytes)}`,
      );
    return exitCode.done;
  } catch (error) {
    rmSync(part, { force: true });
    throw isSystemError(error)
      ? new OperationalError('ERR_BACKUP', `${file} cannot be written: ${error.message}`, error)
      : error;
  } finally {
    context.close();
  }
}

async function download(
  io: CliIo,
  api: ApiClient,
  part: string,
): Promise<{ head: BackupHead; bytes: number }> {
  const response = await ask(io, api);
  const handle = await open(part, 'wx', 0o600);
  const progress = startProgress(io, 'Backup', 0, 'KB');
  try {
    let head: BackupHead | undefined;
    const counted = { bytes: 0 };
    for await (const { type, content } of readFrames(stored(response, handle, counted, progress))) {
      if (type === FrameType.head) head = parseJson(content) as BackupHead;
    }
    if (head === undefined) throw new Error('readFrames ends with a whole backup, which has a head');
    await handle.sync();
    return { head, bytes: counted.bytes };
  } finally {
    progress.stop();
    response.destroy();
    await handle.close();
  }
}

/** Writes what it passes on. */
async function* stored(
  response: IncomingMessage,
  handle: FileHandle,
  counted: { bytes: number },
  progress: Progress,
): AsyncGenerator<Buffer, void> {
  const chunks = response[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  for (;;) {
    const next = await chunks.next().catch((error: unknown) => {
      // The broker cuts the connection when it cannot go on; its log says why.
      throw new OperationalError('ERR_BACKUP_DAMAGED', 'the broker ended the backup before its end', error);
    });
    if (next.done === true) return;
    await handle.writeFile(next.value);
    counted.bytes += next.value.length;
    progress.at(Math.round(counted.bytes / 1024));
    yield next.value;
  }
}

/** Resolves with an answer of 200. */
function ask(io: CliIo, { target }: ApiClient): Promise<IncomingMessage> {
  const base = target.url.href.replace(/\/+$/, '').replace(/\/api\/v5$/, '');
  const request = target.url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const sent = request(`${base}/api/v5/data/backup`, {
      method: 'POST',
      ca: target.ca,
      rejectUnauthorized: target.insecure !== true,
      headers: {
        accept: 'application/octet-stream, application/json',
        'content-length': 0,
        ...(target.authorization !== undefined && { authorization: target.authorization }),
      },
    });
    const stopListening = io.onInterrupt?.(() =>
      sent.destroy(new CommandError(exitCode.failed, 'interrupted; nothing was kept')),
    );
    sent.setTimeout(SILENCE_MS_MAX, () =>
      sent.destroy(
        new CommandError(exitCode.unreachable, `the broker said nothing for ${SILENCE_MS_MAX} ms`),
      ),
    );
    sent.once('close', () => stopListening?.());
    sent.once('error', (error) => {
      reject(
        error instanceof CommandError
          ? error
          : new CommandError(
              exitCode.unreachable,
              `${target.url.origin} is not reachable: ${error.message}`,
              {
                hint: 'is the broker running? Name another address by --url or SLUICE_API_URL',
              },
            ),
      );
    });
    sent.once('response', (response) => {
      if (response.statusCode === 200) resolve(response);
      else refusal(response).then(reject, reject);
    });
    sent.end();
  });
}

async function refusal(response: IncomingMessage): Promise<CommandError> {
  let text = '';
  for await (const chunk of response as AsyncIterable<Buffer>) {
    text += chunk.toString();
    if (text.length > ERROR_BYTES_MAX) break;
  }
  try {
    const { code, message } = JSON.parse(text) as { code?: unknown; message?: unknown };
    if (typeof code === 'string') return new CommandError(exitCode.refused, String(message), { code });
  } catch {
    // No JSON: no Sluice.
  }
  return new CommandError(exitCode.unreachable, `the address answered HTTP ${response.statusCode ?? 0}`, {
    hint: 'it leads to another server, or to a broker without backups; see --url and SLUICE_API_URL',
  });
}

/** Fields as the REST API names them. */
function snakeCase(head: BackupHead): Record<string, unknown> {
  const entries = Object.entries(head).map(([name, value]) => [
    name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    value as unknown,
  ]);
  return Object.fromEntries(entries) as Record<string, unknown>;
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  // Not every system can sync a folder.
  await handle.sync().catch(() => undefined);
  await handle.close();
}

function isSystemError(error: unknown): error is Error {
  return error instanceof Error && 'syscall' in error;
}
