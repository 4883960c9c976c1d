/**
 * Where an MQTT command connects, and as whom: options, variables, or the settings of a broker on this machine.
 *
 * Always true: the order is option, variable, local settings; a user name without a password asks for one. A certificate of
 * the broker is checked unless `--insecure` says otherwise.
 */
import { type Command, Option } from 'commander';

import { loadConfig } from '../../config/config.js';
import type { CommandContext } from '../context.js';
import { readGiven } from '../context.js';
import { CommandError, exitCode } from '../io.js';
import { connectionGroup, duration, wholeNumber } from '../option.js';

/** Options of every command that speaks MQTT. */
export interface MqttOptions {
  readonly url?: string;
  readonly username?: string;
  readonly password?: string;
  readonly id?: string;
  readonly mqttVersion: string;
  readonly keepAlive: number;
  readonly cafile?: string;
  readonly cert?: string;
  readonly certKey?: string;
  readonly insecure?: boolean;
  readonly connectTimeout: number;
}

/** An address with everything that is needed to log in. */
export interface MqttTarget {
  readonly transport: 'tcp' | 'tls' | 'ws' | 'wss';
  readonly host: string;
  readonly port: number;
  /** Path of a WebSocket. */
  readonly path: string;
  readonly username: string | undefined;
  readonly password: Buffer | undefined;
  /** Empty: the broker chooses. */
  readonly clientId: string;
  readonly protocolVersion: 4 | 5;
  readonly keepAliveS: number;
  readonly ca: Buffer | undefined;
  readonly cert: Buffer | undefined;
  readonly key: Buffer | undefined;
  readonly insecure: boolean;
  readonly connectTimeoutMs: number;
}

const schemes = {
  mqtt: { transport: 'tcp', port: 1883 },
  tcp: { transport: 'tcp', port: 1883 },
  mqtts: { transport: 'tls', port: 8883 },
  tls: { transport: 'tls', port: 8883 },
  ws: { transport: 'ws', port: 80 },
  wss: { transport: 'wss', port: 443 },
} as const;

/** Adds the options of `MqttOptions`. */
export function withMqtt(command: Command): Command {
  const option = (flags: string, description: string): Option =>
    new Option(flags, description).helpGroup(connectionGroup);
  return command
    .addOption(
      option('--url <url>', 'address: mqtt://, mqtts://, ws:// or wss://host:port (SLUICE_MQTT_URL)'),
    )
    .addOption(option('-u, --username <name>', 'user name (SLUICE_MQTT_USERNAME)'))
    .addOption(
      option('-P, --password <password>', 'password (SLUICE_MQTT_PASSWORD); better left to the prompt'),
    )
    .addOption(option('-i, --id <clientid>', 'client id (default: the broker chooses)'))
    .addOption(option('--mqtt-version <version>', 'protocol version').choices(['5', '3.1.1']).default('5'))
    .addOption(
      option('--keep-alive <seconds>', 'seconds between signs of life')
        .argParser(wholeNumber(1, 65_535))
        .default(60),
    )
    .addOption(option('--cafile <file>', 'certificate authorities to trust, PEM'))
    .addOption(option('--cert <file>', 'own certificate, PEM'))
    .addOption(option('--cert-key <file>', 'key of the own certificate, PEM'))
    .addOption(option('--insecure', 'do not check the certificate of the broker'))
    .addOption(
      option('--connect-timeout <duration>', 'longest wait for the connection')
        .argParser(duration)
        .default(10_000, '10s'),
    );
}

/** Reads options and environment. */
export async function mqttTarget(context: CommandContext, options: MqttOptions): Promise<MqttTarget> {
  const { env } = context.io;
  const given = options.url ?? (env['SLUICE_MQTT_URL'] === '' ? undefined : env['SLUICE_MQTT_URL']);
  const { host: localHost, mqttPort } = given === undefined ? loadConfig(env) : { host: '', mqttPort: 0 };
  const url = given === undefined ? localUrl(localHost, mqttPort) : parseUrl(given);
  const scheme = url.protocol.slice(0, -1);
  if (!isScheme(scheme)) {
    throw new CommandError(exitCode.wrongUse, `${JSON.stringify(given)} is not an address of MQTT`, {
      hint: `write it like mqtt://127.0.0.1:1883; schemes are ${Object.keys(schemes).join(', ')}`,
    });
  }
  const { transport, port } = schemes[scheme];
  const username =
    options.username ??
    (url.username === '' ? env['SLUICE_MQTT_USERNAME'] : decodeURIComponent(url.username));
  const password =
    options.password ??
    (url.password === '' ? env['SLUICE_MQTT_PASSWORD'] : decodeURIComponent(url.password));
  return {
    transport,
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? port : Number(url.port),
    path: url.pathname === '' || url.pathname === '/' ? '/mqtt' : url.pathname,
    username: username === '' ? undefined : username,
    password: await passwordOf(context, username, password),
    clientId: options.id ?? '',
    protocolVersion: options.mqttVersion === '5' ? 5 : 4,
    keepAliveS: options.keepAlive,
    ca: options.cafile === undefined ? undefined : readGiven(options.cafile),
    cert: options.cert === undefined ? undefined : readGiven(options.cert),
    key: options.certKey === undefined ? undefined : readGiven(options.certKey),
    insecure: options.insecure === true,
    connectTimeoutMs: options.connectTimeout,
  };
}

async function passwordOf(
  context: CommandContext,
  username: string | undefined,
  password: string | undefined,
): Promise<Buffer | undefined> {
  if (password !== undefined) return Buffer.from(password);
  // Standard input may be what is to be published: only a terminal is asked.
  if (username === undefined || username === '' || context.input.isTTY !== true) return undefined;
  return Buffer.from(await context.password(`Password of ${username}: `));
}

function localUrl(host: string, port: number): URL {
  if (port === 0) {
    throw new CommandError(exitCode.wrongUse, 'SLUICE_MQTT_PORT=0 means any port', {
      hint: 'name the address by --url or SLUICE_MQTT_URL',
    });
  }
  const local = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return new URL(`mqtt://${local.includes(':') ? `[${local}]` : local}:${port}`);
}

function parseUrl(given: string): URL {
  const text = /^[a-z]+:\/\//i.test(given) ? given : `mqtt://${given}`;
  if (URL.canParse(text)) return new URL(text);
  throw new CommandError(exitCode.wrongUse, `${JSON.stringify(given)} is not an address`, {
    hint: 'write it like mqtt://127.0.0.1:1883',
  });
}

function isScheme(text: string): text is keyof typeof schemes {
  return Object.hasOwn(schemes, text);
}
