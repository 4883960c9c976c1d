/**
 * The variables that say over what MQTT is spoken, and where. Main thread, at start; pure.
 *
 * Always true: `auto`, `off` and `none` are values like others, so that a default can be written down; what they lead
 * to is decided in one place, `listener.ts`. Files are not looked at here; that is up to the start of the listener.
 */
import { resolve } from 'node:path';

import type { BindSetting } from './listener.js';
import {
  clientAuthWords,
  identityWords,
  listenerKinds,
  networks,
  parseEntries,
  tlsVersionWords,
  type ListenerEntry,
  type ListenerKind,
} from './listener-entry.js';
import { KB, MB, UnitError } from './unit.js';
import { bytes, choice, text, type Variable } from './variable.js';

/** `HOST:PORT`, `[::1]:PORT` or `PORT`. */
function bind(
  name: string,
  options: { help: string; alias?: string; automatic: string },
): Variable<BindSetting> {
  return {
    name,
    alias: options.alias,
    type: 'address',
    range: 'a port, host:port, off or auto',
    unit: '',
    defaultText: 'auto',
    help: `${options.help} \`auto\`: ${options.automatic}.`,
    fallback: () => 'auto',
    parse: (given) => {
      const word = given.toLowerCase();
      if (word === 'auto' || word === 'off') return word;
      const match = /^(?:(?:\[([\w.:%]+)\]|([\w.%-]+)):)?(\d{1,5})$/.exec(given);
      const port = Number(match?.[3]);
      if (match === null || port > 65_535) {
        throw new UnitError(`${JSON.stringify(given)} is not a port, host:port, off or auto`);
      }
      return { host: match[1] ?? match[2], port };
    },
  };
}

/** A path that may be left out, which `none` says too. */
function file(name: string, options: { help: string; alias?: string }): Variable<string | undefined> {
  return {
    name,
    alias: options.alias,
    type: 'path',
    range: 'any path, or none',
    unit: '',
    defaultText: 'none',
    help: options.help,
    fallback: () => undefined,
    parse: (given) => (given.toLowerCase() === 'none' ? undefined : resolve(given)),
  };
}

/** `on`, `off`, or a list of kinds of listeners. */
const proxyProtocol: Variable<readonly ListenerKind[]> = {
  name: 'SLUICE_PROXY_PROTOCOL',
  alias: undefined,
  type: 'list',
  range: `on, off, or some of ${listenerKinds.join(', ')}`,
  unit: '',
  defaultText: 'off',
  help: 'Listeners whose connections begin with a PROXY header (version 1 or 2) that tells the address of the client; one without is closed. Only for listeners that nobody but the proxy can reach, see `SLUICE_PROXY_FROM`.',
  fallback: () => [],
  parse: (given) => {
    const word = given.toLowerCase();
    if (word === 'off') return [];
    if (word === 'on') return listenerKinds;
    return word.split(',').map((part) => {
      const kind = listenerKinds.find((candidate) => candidate === part.trim());
      if (kind === undefined) {
        throw new UnitError(
          `${JSON.stringify(given)} is not on, off or a list of ${listenerKinds.join(', ')}`,
        );
      }
      return kind;
    });
  },
};

const proxyFrom: Variable<readonly string[]> = {
  name: 'SLUICE_PROXY_FROM',
  alias: undefined,
  type: 'list',
  range: 'addresses and networks such as 10.0.0.0/8, or any',
  unit: '',
  defaultText: 'any',
  help: 'Who may send a PROXY header; a connection from elsewhere to such a listener is closed.',
  fallback: () => [],
  parse: (given) =>
    given.toLowerCase() === 'any' ? [] : networks(given.split(',').map((part) => part.trim())),
};

const origins: Variable<readonly string[]> = {
  name: 'SLUICE_WS_ORIGINS',
  alias: undefined,
  type: 'list',
  range: 'origins such as https://example.com, or any',
  unit: '',
  defaultText: 'any',
  help: 'Web pages that may connect over WebSocket. Clients that are no browsers name no origin and are not concerned.',
  fallback: () => [],
  parse: (given) => (given.toLowerCase() === 'any' ? [] : given.split(',').map(originOf)),
};

const mode: Variable<number> = {
  name: 'SLUICE_UNIX_SOCKET_MODE',
  alias: undefined,
  type: 'rights',
  range: 'three octal digits',
  unit: '',
  defaultText: '660',
  help: 'Rights of the Unix socket.',
  fallback: () => 0o660,
  parse: (given) => {
    if (!/^0?[0-7]{3}$/.test(given))
      throw new UnitError(`${JSON.stringify(given)} is not three octal digits`);
    return Number.parseInt(given, 8);
  },
};

const listeners: Variable<readonly ListenerEntry[] | undefined> = {
  name: 'SLUICE_LISTENERS',
  alias: undefined,
  type: 'JSON',
  range: 'a JSON array of listeners, or none',
  unit: '',
  defaultText: 'none',
  help: 'All listeners, instead of the one per kind that the other variables make; see docs/listeners.md. What an entry leaves out comes from those variables.',
  fallback: () => undefined,
  parse: (given) => (given.toLowerCase() === 'none' ? undefined : parseEntries(given)),
};

/** Transports: the part of the configuration that says over what MQTT is spoken. */
export const transport = {
  mqttBind: bind('SLUICE_MQTT_BIND', {
    alias: 'EMQX_LISTENERS__TCP__DEFAULT__BIND',
    help: 'Address of the plain TCP listener.',
    automatic: '`SLUICE_HOST` and `SLUICE_MQTT_PORT`',
  }),
  tlsBind: bind('SLUICE_TLS_PORT', {
    alias: 'EMQX_LISTENERS__SSL__DEFAULT__BIND',
    help: 'Port of MQTT over TLS.',
    automatic: '8883 when certificate and key are given, else off',
  }),
  wsBind: bind('SLUICE_WS_PORT', {
    alias: 'EMQX_LISTENERS__WS__DEFAULT__BIND',
    help: 'Port of MQTT over WebSocket.',
    automatic:
      '8083; any free port when `SLUICE_MQTT_PORT` is 0; none when that is neither 0 nor 1883 and 8083 is taken',
  }),
  wssBind: bind('SLUICE_WSS_PORT', {
    alias: 'EMQX_LISTENERS__WSS__DEFAULT__BIND',
    help: 'Port of MQTT over secure WebSocket.',
    automatic: '8084 when certificate and key are given, else off',
  }),
  wsPath: text('SLUICE_WS_PATH', {
    alias: 'EMQX_LISTENERS__WS__DEFAULT__WEBSOCKET__MQTT_PATH',
    fallback: '/mqtt',
    pattern: /^\/[^\s?#]*$/,
    range: 'a path that begins with /',
    help: 'Path of the WebSocket listeners; requests for others are answered with 404.',
  }),
  wsOrigins: origins,
  wsEngine: choice('SLUICE_WS_ENGINE', {
    words: ['auto', 'ws', 'uws'],
    fallback: 'auto',
    help: 'What reads and writes WebSocket frames of listeners without TLS and PROXY header: `auto` is the package uWebSockets.js when it is installed, else ws.',
  }),
  wsMessageBytesMax: bytes('SLUICE_WS_MESSAGE_MAX', {
    fallback: 4 * MB,
    min: KB,
    max: 256 * MB,
    help: 'Largest WebSocket message, which may hold many MQTT packets; never less than `SLUICE_MAX_PACKET_SIZE`.',
  }),
  unixSocket: file('SLUICE_UNIX_SOCKET', { help: 'Path of a Unix socket that speaks MQTT.' }),
  unixSocketMode: mode,
  tlsCertFile: file('SLUICE_TLS_CERT', {
    alias: 'EMQX_LISTENERS__SSL__DEFAULT__SSL_OPTIONS__CERTFILE',
    help: 'Certificate of the broker and its chain, PEM. Read again when it changes.',
  }),
  tlsKeyFile: file('SLUICE_TLS_KEY', {
    alias: 'EMQX_LISTENERS__SSL__DEFAULT__SSL_OPTIONS__KEYFILE',
    help: 'Private key of the certificate, PEM.',
  }),
  tlsCaFile: file('SLUICE_TLS_CA', {
    alias: 'EMQX_LISTENERS__SSL__DEFAULT__SSL_OPTIONS__CACERTFILE',
    help: 'Authorities whose client certificates are accepted, PEM.',
  }),
  tlsCrlFile: file('SLUICE_TLS_CRL_FILE', {
    help: 'Certificate revocation lists as PEM, of every authority in the chain of a client certificate; a revoked certificate, and one without a list, is refused. Read again with the certificate.',
  }),
  tlsClientAuth: choice('SLUICE_TLS_CLIENT_AUTH', {
    words: clientAuthWords,
    fallback: 'none',
    help: 'Client certificates: not asked for; asked for, and refused when one is shown that does not verify; required.',
  }),
  tlsIdentity: choice('SLUICE_TLS_IDENTITY', {
    words: identityWords,
    fallback: 'none',
    help: 'What of a verified client certificate is the user name: nothing, its Common Name, its subject.',
  }),
  tlsMinVersion: choice('SLUICE_TLS_MIN_VERSION', {
    words: tlsVersionWords,
    fallback: '1.2',
    help: 'Oldest version of TLS that is accepted.',
  }),
  proxyProtocol,
  proxyFrom,
  listeners,
};

/** As browsers write it. */
function originOf(given: string): string {
  const part = given.trim();
  const { origin } = URL.canParse(part) ? new URL(part) : { origin: 'null' };
  if (origin === 'null')
    throw new UnitError(`${JSON.stringify(part)} is not an origin such as https://example.com`);
  return origin;
}
