/**
 * The command line: `start`, `passwd`, `ctl status`, `version` and `help` at once, all others by program.ts, which is loaded for
 * them alone. Runs on the main thread before the broker.
 *
 * Always true: nothing here ends the process; the result is the exit code, and all text goes through `CliIo`,
 * so that tests see what a person would. Exit codes: 0 done, 1 failed, 2 wrong use or configuration, and those of io.ts.
 * What it gives up: settings are environment variables only, so that there is one place to look for them.
 */
import { parseArgs } from 'node:util';

import { OperationalError } from '../base/error.js';
import { ConfigError, loadConfig } from '../config/config.js';
import type { Config, Environment } from '../config/config.js';
import { readEnvironment } from '../config/env-file.js';
import { nearest } from '../config/nearest.js';
import type { CliIo } from './io.js';
import { changePasswordFile } from './passwd.js';
import { askStatus, statusUrl } from './status.js';
import { packageVersion } from './version.js';

/** Runs a broker until it has stopped; resolves to the exit code. */
export type StartBroker = (config: Config, env: Environment) => Promise<number>;

const usage = `usage: sluice <command>

  start                     run the broker; settings come from SLUICE_… variables (docs/configuration.md)
  passwd FILE USERNAME      set the password of a user of SLUICE_PASSWORD_FILE; it is asked for, or read from a pipe
      --scram                 for SCRAM-SHA-256 as well as for plain passwords
      --delete                remove the user
      --batch                 take the password from the command line: passwd --batch FILE USERNAME PASSWORD
  ctl status [options]      exit 0 when the local broker is running, 1 when it is not
      --url <url>             ask this address instead of the configured one
      --timeout-ms <ms>       how long to wait for the answer (default 5000)

 ask a running broker:
  status                    is it well? for people and for health checks
  queues                    list, show, create, update, delete, purge, pause, resume, peek, move, export, import
  pub TOPIC [MESSAGE]       publish messages
  sub FILTER…               print messages; each is acknowledged after it was printed
  bench                     a quick load
  clients                   list, show, subscriptions, kick
  keys                      API keys: list, create, delete
  users                     accounts of the dashboard: list, create, update, passwd, delete
  config                    settings: effective, explain, check
  backup FILE               download a consistent backup
  restore FILE              fill an empty data directory from a backup; no broker needed
  doctor                    would a broker start here, and would it do well? no broker needed

  completion SHELL          print the completion script of bash, zsh or fish
  version                   print the version
  help [COMMAND…]           print this text, or the help of a command
`;

/** Commands that are run here. */
const basicNames: ReadonlySet<string> = new Set(['start', 'passwd', 'ctl', 'version', 'help']);
/** Commands of program.ts, with their aliases. */
const programNames: ReadonlySet<string> = new Set([
  'status',
  'queues',
  'queue',
  'clients',
  'client',
  'pub',
  'sub',
  'bench',
  'keys',
  'key',
  'users',
  'user',
  'config',
  'backup',
  'restore',
  'doctor',
  'completion',
]);

/** The command was called in a way that it does not know; ends with exit code 2 and the usage. */
class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Runs one command. `argv` is what follows the name of the program. Never rejects. */
export async function runCli(
  argv: readonly string[],
  given: CliIo,
  startBroker: StartBroker,
): Promise<number> {
  let io = given;
  try {
    io = withEnvironment(given, readEnvironment(given.env));
    const forProgram = programArguments(argv);
    if (forProgram === undefined) return await runCommand(argv, io, startBroker);
    const { runProgram } = await import('./program.js');
    return await runProgram(forProgram, io);
  } catch (error) {
    if (error instanceof UsageError) {
      io.err(`sluice: ${error.message}\n\n${usage}`);
      return 2;
    }
    if (error instanceof ConfigError) {
      io.err(`sluice: ${error.message}\n`);
      return 2;
    }
    io.err(`sluice: ${describe(error)}\n`);
    return error instanceof OperationalError && error.code === 'ERR_CONFIG' ? 2 : 1;
  }
}

/** `io` in another environment. The terminal is still not looked at before it is used. */
function withEnvironment(io: CliIo, env: Environment): CliIo {
  return env === io.env ? io : (Object.create(io, { env: { value: env } }) as CliIo);
}

/** What program.ts is to run, or undefined when the command is one of those here, or none. */
function programArguments(argv: readonly string[]): readonly string[] | undefined {
  const first = argv.find((word) => basicNames.has(word) || programNames.has(word));
  if (first === 'help' && argv[0] === 'help' && argv.length > 1) return argv;
  if (first === undefined || basicNames.has(first)) return undefined;
  if (argv[0] !== first) throw new UsageError(`options follow the command: sluice ${first} …`);
  return argv;
}

async function runCommand(argv: readonly string[], io: CliIo, startBroker: StartBroker): Promise<number> {
  const { words, options } = parse(argv);
  const command = options.help ? 'help' : options.version ? 'version' : words.join(' ');
  if (command !== 'ctl status' && (options.url !== undefined || options['timeout-ms'] !== undefined)) {
    throw new UsageError('--url and --timeout-ms belong to "ctl status"');
  }
  if (words[0] === 'passwd' && command !== 'help' && command !== 'version') {
    return passwd(io, words.slice(1), options);
  }
  if (options.scram || options.delete || options.batch) {
    throw new UsageError('--scram, --delete and --batch belong to "passwd"');
  }
  switch (command) {
    case 'start':
      return startBroker(loadConfig(io.env), io.env);
    case 'ctl status':
      return status(io, options.url, options['timeout-ms']);
    case 'version':
      io.out(`${packageVersion()}\n`);
      return 0;
    case 'help':
      io.out(usage);
      return 0;
    case '':
      throw new UsageError('which command?');
    default:
      throw new UsageError(`"${command}" is not a command${meant(words[0])}`);
  }
}

function meant(word = ''): string {
  const name = nearest(word, [...basicNames, ...programNames]);
  return name === undefined || basicNames.has(word) ? '' : `; did you mean "${name}"?`;
}

function parse(argv: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        version: { type: 'boolean', short: 'v', default: false },
        url: { type: 'string' },
        'timeout-ms': { type: 'string' },
        scram: { type: 'boolean', default: false },
        delete: { type: 'boolean', short: 'D', default: false },
        batch: { type: 'boolean', short: 'b', default: false },
      },
    });
    return { words: positionals, options: values };
  } catch (error) {
    // parseArgs explains itself in one sentence; a hint about `--` may follow and does not apply here.
    throw new UsageError((error as Error).message.split('. ')[0]);
  }
}

async function status(io: CliIo, url: string | undefined, timeoutText = '5000'): Promise<number> {
  const timeoutMs = Number(timeoutText);
  if (!Number.isSafeInteger(timeoutMs) || timeoutMs < 1) {
    throw new UsageError('--timeout-ms takes a whole number of at least 1');
  }
  if (url !== undefined && !URL.canParse(url)) throw new UsageError(`--url takes an address, not "${url}"`);
  const { running, detail } = await askStatus(url ?? configuredUrl(io.env), timeoutMs);
  io.out(`${detail}\n`);
  return running ? 0 : 1;
}

async function passwd(
  io: CliIo,
  [file = '', username, password, ...surplus]: readonly string[],
  { scram, delete: isRemoval, batch }: { scram: boolean; delete: boolean; batch: boolean },
): Promise<number> {
  const isComplete = username !== undefined && (password !== undefined) === batch && surplus.length === 0;
  if (!isComplete || (isRemoval && (batch || scram))) {
    throw new UsageError(
      'passwd takes FILE and USERNAME, with --batch also PASSWORD, and --delete stands alone',
    );
  }
  const action = isRemoval ? 'delete' : scram ? 'set-scram' : 'set';
  const input = io.input ?? process.stdin;
  const done = await changePasswordFile({ file, username, action, password, input, err: io.err });
  io.out(`${done}\n`);
  return 0;
}

function configuredUrl(env: Environment): string {
  const { httpHost, httpPort } = loadConfig(env);
  if (httpPort === 0) throw new UsageError('SLUICE_HTTP_PORT=0 means any port: name the address by --url');
  return statusUrl(httpHost, httpPort);
}

/** What the operating system said, unless the message already tells it. */
function reasonOf({ cause, message }: OperationalError): string {
  return cause instanceof Error && !message.includes(cause.message) ? ` (${cause.message})` : '';
}

function describe(error: unknown): string {
  if (error instanceof OperationalError) return `${error.code}: ${error.message}${reasonOf(error)}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
