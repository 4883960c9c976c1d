/**
 * Options that several commands share, and how their texts become values. Pure.
 *
 * Always true: a value that does not fit is refused before anything is sent, with the reason and exit code 2; options of the
 * same meaning have the same name everywhere. Options follow the command that they belong to.
 */
import { type Command, InvalidArgumentError, Option } from 'commander';

import { parseDurationMs, UnitError } from '../config/unit.js';

/** Heading of the options of a connection in the help. */
export const connectionGroup = 'Connection:';

/** Options of every command that asks the REST API. */
export interface ApiOptions {
  readonly url?: string;
  readonly key?: string;
  readonly secret?: string;
  readonly cafile?: string;
  readonly insecure?: boolean;
  /** ms. */
  readonly timeout: number;
  readonly json?: boolean;
}

/** How long an answer may take when nothing else is said. */
interface Patience {
  readonly ms: number;
  readonly text: string;
}

const usual: Patience = { ms: 10_000, text: '10s' };
/** For requests whose work grows with the messages of a queue. */
export const longWork: Patience = { ms: 3_600_000, text: '1h' };

/** Adds the options of `ApiOptions`. */
export function withApi(command: Command, patience = usual): Command {
  return withJson(
    command
      .addOption(
        new Option('--url <url>', 'address of the REST API (SLUICE_API_URL)').helpGroup(connectionGroup),
      )
      .addOption(new Option('--key <key>', 'API key (SLUICE_API_KEY)').helpGroup(connectionGroup))
      .addOption(
        new Option('--secret <secret>', 'secret of the API key (SLUICE_API_SECRET)').helpGroup(
          connectionGroup,
        ),
      )
      .addOption(
        new Option('--cafile <file>', 'certificate authorities to trust, PEM').helpGroup(connectionGroup),
      )
      .addOption(new Option('--insecure', 'do not check the certificate').helpGroup(connectionGroup))
      .addOption(
        new Option('--timeout <duration>', 'longest wait for one answer')
          .argParser(duration)
          .default(patience.ms, patience.text)
          .helpGroup(connectionGroup),
      ),
  );
}

/** Adds `--json`. */
export function withJson(command: Command): Command {
  return command.option('--json', 'print JSON instead of text');
}

/** Adds `--yes`. */
export function withYes(command: Command): Command {
  return command.option('-y, --yes', 'do not ask for confirmation');
}

/** A span of time in ms, at least 1. */
export function duration(text: string): number {
  try {
    const ms = parseDurationMs(text);
    if (ms < 1) throw new InvalidArgumentError('It must be at least 1ms.');
    return ms;
  } catch (error) {
    throw error instanceof UnitError ? new InvalidArgumentError(`${error.message}.`) : error;
  }
}

/** A parser of whole numbers within bounds, both included. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}

/** A number of at least 0, with decimals. */
export function rate(text: string): number {
  const value = Number(text);
  if (!/^\d+(?:\.\d+)?$/.test(text)) throw new InvalidArgumentError('It must be a number of at least 0.');
  return value;
}

/** A repeatable `key=value`. */
export function keyValue(
  text: string,
  before: readonly (readonly [string, string])[] = [],
): [string, string][] {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It is written key=value.');
  return [
    ...before.map(([key, value]): [string, string] => [key, value]),
    [text.slice(0, at), text.slice(at + 1)],
  ];
}
