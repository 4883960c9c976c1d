/**
 * The list of listeners that the transport settings make. Main thread, at start; pure.
 *
 * Always true: `SLUICE_LISTENERS` is the whole list when it is set; without it every kind has at most one listener, made
 * from the simple variables. A listener has a unique name, which is what logs and access rules call it. Gives up:
 * settings per listener other than those of `ListenerSetting`; everything else of MQTT holds for all of them.
 */
import { resolve } from 'node:path';

import type {
  EntryKey,
  ListenerEntry,
  ListenerKind,
  clientAuthWords,
  identityWords,
  tlsVersionWords,
} from './listener-entry.js';

/** Files and rules of a TLS listener. */
export interface TlsSetting {
  readonly certFile: string;
  readonly keyFile: string;
  /** Authorities whose client certificates are accepted; undefined: those that Node knows. */
  readonly caFile: string | undefined;
  /** Revocation lists that client certificates are held against; undefined: none is revoked. */
  readonly crlFile: string | undefined;
  readonly clientAuth: (typeof clientAuthWords)[number];
  readonly minVersion: (typeof tlsVersionWords)[number];
}

/** One listener, all defaults applied. */
export interface ListenerSetting {
  readonly name: string;
  readonly kind: ListenerKind;
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Path of the URL for ws and wss, of the socket for unix; empty for the others. */
  readonly path: string;
  /** Rights of a Unix socket. */
  readonly mode: number;
  readonly proxyProtocol: boolean;
  /** Addresses and networks (`10.0.0.0/8`) that may send a PROXY header; empty: all. */
  readonly proxyFrom: readonly string[];
  readonly connectionsMax: number;
  readonly identity: (typeof identityWords)[number];
  /** Present for tls and wss. */
  readonly tls: TlsSetting | undefined;
  /** A default that gives way when somebody else has the port, instead of ending the start. */
  readonly givesWay: boolean;
}

/** A port, with an address when it is another one than `SLUICE_HOST`. */
export interface Bind {
  readonly host: string | undefined;
  readonly port: number;
}

/** `auto` is the default, which depends on other settings. */
export type BindSetting = 'auto' | 'off' | Bind;

/** What the list of listeners is made from: the settings above and three of the rest. */
export interface TransportSettings {
  readonly host: string;
  readonly mqttPort: number;
  readonly connectionsMax: number;
  readonly mqttBind: BindSetting;
  readonly tlsBind: BindSetting;
  readonly wsBind: BindSetting;
  readonly wssBind: BindSetting;
  readonly wsPath: string;
  readonly unixSocket: string | undefined;
  readonly unixSocketMode: number;
  readonly tlsCertFile: string | undefined;
  readonly tlsKeyFile: string | undefined;
  readonly tlsCaFile: string | undefined;
  readonly tlsCrlFile: string | undefined;
  readonly tlsClientAuth: TlsSetting['clientAuth'];
  readonly tlsIdentity: ListenerSetting['identity'];
  readonly tlsMinVersion: TlsSetting['minVersion'];
  readonly proxyProtocol: readonly ListenerKind[];
  readonly proxyFrom: readonly string[];
  readonly listeners: readonly ListenerEntry[] | undefined;
}

const defaultMqttPort = 1883;
const defaultPorts: Readonly<Record<ListenerKind, number>> = {
  tcp: defaultMqttPort,
  tls: 8883,
  ws: 8083,
  wss: 8084,
  unix: 0,
};

/** All listeners, in the order in which they are started and shown. */
export function listenerSettings(config: TransportSettings): ListenerSetting[] {
  if (config.listeners !== undefined) return config.listeners.map((entry) => fromEntry(entry, config));
  const found: ListenerSetting[] = [];
  const hasTls = config.tlsCertFile !== undefined && config.tlsKeyFile !== undefined;
  const ownPort = config.mqttPort !== 0 && config.mqttPort !== defaultMqttPort;
  const add = (kind: ListenerKind, asked: BindSetting, automatic: Bind | undefined): void => {
    const { host, port } = (asked === 'auto' ? automatic : asked === 'off' ? undefined : asked) ?? {};
    if (port === undefined) return;
    const givesWay = kind === 'ws' && asked === 'auto' && ownPort;
    found.push({ ...common(kind, config), host: host ?? config.host, port, givesWay });
  };
  const portOf = (kind: ListenerKind): Bind => ({
    host: undefined,
    port: config.mqttPort === 0 ? 0 : defaultPorts[kind],
  });
  add('tcp', config.mqttBind, { host: undefined, port: config.mqttPort });
  add('tls', config.tlsBind, hasTls ? portOf('tls') : undefined);
  add('ws', config.wsBind, portOf('ws'));
  add('wss', config.wssBind, hasTls ? portOf('wss') : undefined);
  if (config.unixSocket !== undefined) found.push({ ...common('unix', config), path: config.unixSocket });
  return found;
}

/** What is wrong with the list of listeners, by variable; empty when it can be used. */
export function listenerFaults(config: TransportSettings): { variable: string; message: string }[] {
  const faults: { variable: string; message: string }[] = [];
  const fault = (variable: string, message: string): void => void faults.push({ variable, message });
  if ((config.tlsCertFile === undefined) !== (config.tlsKeyFile === undefined)) {
    const missing = config.tlsCertFile === undefined ? 'SLUICE_TLS_CERT' : 'SLUICE_TLS_KEY';
    fault(missing, 'is missing: a certificate and its key belong together');
  }
  const list = listenerSettings(config);
  const isListed = config.listeners !== undefined;
  if (list.length === 0) fault(isListed ? 'SLUICE_LISTENERS' : 'SLUICE_MQTT_BIND', 'leaves no listener');
  const names = new Set<string>();
  const places = new Set<string>();
  for (const { name, kind, host, port, path, tls, identity, proxyProtocol: proxied } of list) {
    const variable = isListed ? 'SLUICE_LISTENERS' : variableOf[kind];
    if (names.has(name)) fault(variable, `two listeners have the name ${name}`);
    names.add(name);
    const place = kind === 'unix' ? path : `${host}:${port}`;
    if (port !== 0 && places.has(place)) fault(variable, `two listeners use ${place}`);
    places.add(place);
    if (kind === 'unix' && path === '') fault(variable, `the listener ${name} needs a path`);
    if ((kind === 'tls' || kind === 'wss') && tls === undefined) {
      fault(variable, `the listener ${name} needs a certificate and a key`);
    }
    if (isListed && identity !== 'none' && !proxied && (tls === undefined || tls.clientAuth === 'none')) {
      fault(variable, `the listener ${name} takes users from certificates and asks for none`);
    }
  }
  if (
    !isListed &&
    config.tlsIdentity !== 'none' &&
    config.tlsClientAuth === 'none' &&
    config.proxyProtocol.length === 0
  ) {
    fault('SLUICE_TLS_IDENTITY', 'takes users from certificates, and SLUICE_TLS_CLIENT_AUTH asks for none');
  }
  return faults;
}

const variableOf: Readonly<Record<ListenerKind, string>> = {
  tcp: 'SLUICE_MQTT_BIND',
  tls: 'SLUICE_TLS_PORT',
  ws: 'SLUICE_WS_PORT',
  wss: 'SLUICE_WSS_PORT',
  unix: 'SLUICE_UNIX_SOCKET',
};

function common(kind: ListenerKind, config: TransportSettings): ListenerSetting {
  const isSecure = kind === 'tls' || kind === 'wss';
  return {
    name: kind,
    kind,
    host: config.host,
    port: defaultPorts[kind],
    path: kind === 'ws' || kind === 'wss' ? config.wsPath : '',
    mode: config.unixSocketMode,
    proxyProtocol: config.proxyProtocol.includes(kind),
    proxyFrom: config.proxyFrom,
    // Those of all listeners are counted by the gateway, whose limit may change.
    connectionsMax: Number.POSITIVE_INFINITY,
    identity: config.tlsIdentity,
    tls: isSecure ? tlsOf(config, {}) : undefined,
    givesWay: false,
  };
}

function tlsOf(config: TransportSettings, entry: Partial<Record<EntryKey, unknown>>): TlsSetting | undefined {
  const certFile = pathOf(entry.cert) ?? config.tlsCertFile;
  const keyFile = pathOf(entry.key) ?? config.tlsKeyFile;
  if (certFile === undefined || keyFile === undefined) return undefined;
  return {
    certFile,
    keyFile,
    caFile: pathOf(entry.ca) ?? config.tlsCaFile,
    crlFile: pathOf(entry.crl) ?? config.tlsCrlFile,
    clientAuth: (entry.clientAuth as TlsSetting['clientAuth'] | undefined) ?? config.tlsClientAuth,
    minVersion: (entry.minVersion as TlsSetting['minVersion'] | undefined) ?? config.tlsMinVersion,
  };
}

function pathOf(given: unknown): string | undefined {
  return given === undefined ? undefined : resolve(given as string);
}

/** Applies the defaults; the casts are what `entryKeys` has checked. */
function fromEntry(entry: ListenerEntry, config: TransportSettings): ListenerSetting {
  const { name, host, port, path, mode: rights, proxyProtocol: proxied, proxyFrom: from } = entry;
  const { maxConnections, identity } = entry;
  const base = common(entry.kind, config);
  return {
    ...base,
    name: (name as string | undefined) ?? base.name,
    host: (host as string | undefined) ?? base.host,
    port: (port as number | undefined) ?? base.port,
    path: entry.kind === 'unix' ? (pathOf(path) ?? '') : ((path as string | undefined) ?? base.path),
    mode: rights === undefined ? base.mode : Number.parseInt(rights as string, 8),
    proxyProtocol: (proxied as boolean | undefined) ?? base.proxyProtocol,
    proxyFrom: (from as string[] | undefined) ?? base.proxyFrom,
    connectionsMax: (maxConnections as number | undefined) ?? base.connectionsMax,
    identity:
      (identity as ListenerSetting['identity'] | undefined) ??
      (base.tls === undefined ? 'none' : base.identity),
    tls: base.kind === 'tls' || base.kind === 'wss' ? tlsOf(config, entry) : undefined,
  };
}
