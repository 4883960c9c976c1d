/**
 * What the commands share while one of them runs: the API, the output, questions. Runs in the process of the command.
 *
 * Always true: an address comes from `--url`, else SLUICE_API_URL, else from the settings of a broker on this machine, in
 * this order; a key without secret is asked for. Connections are closed when the command ends, however it ends.
 */
import { readFileSync } from 'node:fs';

import type { Command } from 'commander';

import { loadConfig } from '../config/config.js';
import { ApiClient } from './api-client.js';
import { askOnce, askShown, askTwice, type PasswordInput } from './ask.js';
import { type CliIo, CommandError, exitCode, type ExitCode } from './io.js';
import type { ApiOptions } from './option.js';
import { Output } from './output.js';
import { statusUrl } from './status.js';

const examples = new WeakMap<Command, readonly string[]>();

/** Gives a command its examples, for its help and for docs/cli.md. */
export function withExamples(command: Command, ...lines: readonly string[]): Command {
  examples.set(command, lines);
  return command.addHelpText('after', `\nExamples:\n${lines.map((line) => `  $ ${line}\n`).join('')}`);
}

/** The examples of a command. */
export function examplesOf(command: Command): readonly string[] {
  return examples.get(command) ?? [];
}

/** See the file header. */
export class CommandContext {
  readonly io: CliIo;
  /** What the command ends with when it does not throw. */
  exit: ExitCode = exitCode.done;
  readonly #clients: ApiClient[] = [];

  constructor(io: CliIo) {
    this.io = io;
  }

  /** Standard input. */
  get input(): PasswordInput {
    return this.io.input ?? process.stdin;
  }

  output(options: { readonly json?: boolean }): Output {
    return new Output(this.io, options.json === true);
  }

  /** The API that `options` and the environment lead to. */
  async api(options: ApiOptions): Promise<ApiClient> {
    const client = new ApiClient({
      url: apiUrl(options, this.io),
      authorization: await this.#authorization(options),
      timeoutMs: options.timeout,
      ca: options.cafile === undefined ? undefined : readGiven(options.cafile),
      insecure: options.insecure === true,
    });
    this.#clients.push(client);
    return client;
  }

  /** A password that exists already. */
  password(prompt: string): Promise<string> {
    return askOnce(this.input, prompt, this.io.err);
  }

  /** A password that is about to be set. */
  newPassword(): Promise<string> {
    return askTwice(this.input, this.io.err);
  }

  /** Returns when a person agrees or `--yes` was given; throws otherwise, also where nobody can be asked. */
  async confirm(question: string, yes: boolean | undefined): Promise<void> {
    if (yes === true) return;
    if (this.input.isTTY !== true) {
      throw new CommandError(exitCode.wrongUse, `${question} Nobody can be asked here`, {
        hint: 'add --yes to do it without a question',
      });
    }
    const answer = await askShown(this.input, `${question} [y/N] `, this.io.err);
    if (!/^y(?:es)?$/i.test(answer.trim())) {
      throw new CommandError(exitCode.failed, 'nothing was changed');
    }
  }

  /** Ends what the command has opened. */
  close(): void {
    for (const client of this.#clients) client.close();
  }

  async #authorization({
    key = this.io.env['SLUICE_API_KEY'],
    secret,
  }: ApiOptions): Promise<string | undefined> {
    if (key === undefined || key === '') return undefined;
    const given = secret ?? this.io.env['SLUICE_API_SECRET'] ?? (await this.password(`Secret of ${key}: `));
    return `Basic ${Buffer.from(`${key}:${given}`).toString('base64')}`;
  }
}

/** Reads a file that an option names. */
export function readGiven(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new CommandError(exitCode.wrongUse, `${file} cannot be read: ${(error as Error).message}`);
  }
}

function apiUrl({ url }: ApiOptions, { env }: CliIo): URL {
  const given = url ?? nonEmpty(env['SLUICE_API_URL']);
  if (given === undefined) {
    const { httpHost, httpPort } = loadConfig(env);
    if (httpPort === 0) {
      throw new CommandError(exitCode.wrongUse, 'SLUICE_HTTP_PORT=0 means any port', {
        hint: 'name the address by --url or SLUICE_API_URL',
      });
    }
    return new URL('/', statusUrl(httpHost, httpPort));
  }
  const text = /^[a-z]+:\/\//i.test(given) ? given : `http://${given}`;
  const parsed = URL.canParse(text) ? new URL(text) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol)) {
    throw new CommandError(exitCode.wrongUse, `${JSON.stringify(given)} is not the address of a REST API`, {
      hint: 'write it like http://127.0.0.1:18083 or https://broker.example',
    });
  }
  return parsed;
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
