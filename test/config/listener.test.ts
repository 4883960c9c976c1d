/** The list of listeners that settings make. Quick tier. */
import { resolve } from 'node:path';

import { describe, expect, test } from 'vitest';

import { ConfigError, loadConfig, type Environment } from '../../src/config/config.js';
import { listenerFaults, listenerSettings, type ListenerSetting } from '../../src/config/listener.js';

function listOf(env: Environment): ListenerSetting[] {
  return listenerSettings(loadConfig(env));
}

function placesOf(env: Environment): string[] {
  return listOf(env).map(({ kind, host, port, path }) =>
    kind === 'unix' ? path : `${kind} ${host}:${port}`,
  );
}

function faultsOf(env: Environment): string[] {
  try {
    return listenerFaults(loadConfig(env)).map(({ variable, message }) => `${variable} ${message}`);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.faults.map(({ variable, message }) => `${variable} ${message}`);
  }
}

const pem = { SLUICE_TLS_CERT: 'server.crt', SLUICE_TLS_KEY: 'server.key' };

describe('one listener per kind', () => {
  test('TCP and WebSocket are on by default, TLS with a certificate [broker]', () => {
    expect(placesOf({})).toEqual(['tcp 127.0.0.1:1883', 'ws 127.0.0.1:8083']);
    expect(placesOf({ ...pem, SLUICE_HOST: '::', SLUICE_UNIX_SOCKET: 'x.sock' })).toEqual([
      'tcp :::1883',
      'tls :::8883',
      'ws :::8083',
      'wss :::8084',
      resolve('x.sock'),
    ]);
  });

  test('a free port for MQTT means free ports for all [broker]', () => {
    expect(placesOf({ ...pem, SLUICE_MQTT_PORT: '0' })).toEqual([
      'tcp 127.0.0.1:0',
      'tls 127.0.0.1:0',
      'ws 127.0.0.1:0',
      'wss 127.0.0.1:0',
    ]);
  });

  test('each may be off, on another port or on another address [broker]', () => {
    expect(
      placesOf({
        ...pem,
        SLUICE_MQTT_BIND: '10.0.0.1:1884',
        SLUICE_TLS_PORT: '[::1]:8884',
        SLUICE_WS_PORT: 'off',
        SLUICE_WSS_PORT: '443',
      }),
    ).toEqual(['tcp 10.0.0.1:1884', 'tls ::1:8884', 'wss 127.0.0.1:443']);
  });

  test('the binds of EMQX are understood [broker]', () => {
    expect(
      placesOf({
        EMQX_LISTENERS__TCP__DEFAULT__BIND: '"0.0.0.0:1883"',
        EMQX_LISTENERS__SSL__DEFAULT__BIND: '8883',
        EMQX_LISTENERS__SSL__DEFAULT__SSL_OPTIONS__CERTFILE: 'a.crt',
        EMQX_LISTENERS__SSL__DEFAULT__SSL_OPTIONS__KEYFILE: 'a.key',
        EMQX_LISTENERS__WSS__DEFAULT__BIND: 'off',
      }),
    ).toEqual(['tcp 0.0.0.0:1883', 'tls 127.0.0.1:8883', 'ws 127.0.0.1:8083']);
  });

  test('only the WebSocket port that nobody chose gives way [broker]', () => {
    const giving = (env: Environment): string[] =>
      listOf(env).flatMap(({ kind, givesWay }) => (givesWay ? [kind] : []));
    expect(giving({ ...pem, SLUICE_MQTT_PORT: '2883' })).toEqual(['ws']);
    expect(giving({})).toEqual([]);
    expect(giving({ SLUICE_MQTT_PORT: '0' })).toEqual([]);
    expect(giving({ SLUICE_MQTT_PORT: '2883', SLUICE_WS_PORT: '8083' })).toEqual([]);
  });

  test('PROXY headers are expected where they are switched on [broker]', () => {
    const proxied = (value: string): string[] =>
      listOf({ ...pem, SLUICE_PROXY_PROTOCOL: value }).flatMap(({ kind, proxyProtocol }) =>
        proxyProtocol ? [kind] : [],
      );
    expect(proxied('off')).toEqual([]);
    expect(proxied('on')).toEqual(['tcp', 'tls', 'ws', 'wss']);
    expect(proxied('tls, ws')).toEqual(['tls', 'ws']);
  });
});

describe('SLUICE_LISTENERS', () => {
  test('is the whole list, and what it leaves out comes from the other variables [broker]', () => {
    const list = listOf({
      ...pem,
      SLUICE_HOST: '10.0.0.1',
      SLUICE_MAX_CONNECTIONS: '500',
      SLUICE_TLS_CLIENT_AUTH: 'require',
      SLUICE_TLS_IDENTITY: 'cn',
      SLUICE_LISTENERS: JSON.stringify([
        { kind: 'tls' },
        {
          kind: 'wss',
          name: 'web',
          host: '::',
          port: 443,
          path: '/ws',
          cert: 'web.crt',
          key: 'web.key',
          clientAuth: 'none',
          identity: 'none',
          minVersion: '1.3',
        },
        { kind: 'unix', path: 'a.sock', mode: '666', maxConnections: 5 },
        { kind: 'tcp', proxyProtocol: true, proxyFrom: ['10.0.0.0/8', '::1'] },
      ]),
    });
    expect(list).toEqual([
      {
        name: 'tls',
        kind: 'tls',
        host: '10.0.0.1',
        port: 8883,
        path: '',
        mode: 0o660,
        proxyProtocol: false,
        proxyFrom: [],
        connectionsMax: Number.POSITIVE_INFINITY,
        identity: 'cn',
        givesWay: false,
        tls: {
          certFile: resolve('server.crt'),
          keyFile: resolve('server.key'),
          caFile: undefined,
          clientAuth: 'require',
          minVersion: '1.2',
        },
      },
      {
        name: 'web',
        kind: 'wss',
        host: '::',
        port: 443,
        path: '/ws',
        mode: 0o660,
        proxyProtocol: false,
        proxyFrom: [],
        connectionsMax: Number.POSITIVE_INFINITY,
        identity: 'none',
        givesWay: false,
        tls: {
          certFile: resolve('web.crt'),
          keyFile: resolve('web.key'),
          caFile: undefined,
          clientAuth: 'none',
          minVersion: '1.3',
        },
      },
      {
        name: 'unix',
        kind: 'unix',
        host: '10.0.0.1',
        port: 0,
        path: resolve('a.sock'),
        mode: 0o666,
        proxyProtocol: false,
        proxyFrom: [],
        connectionsMax: 5,
        identity: 'none',
        givesWay: false,
        tls: undefined,
      },
      {
        name: 'tcp',
        kind: 'tcp',
        host: '10.0.0.1',
        port: 1883,
        path: '',
        mode: 0o660,
        proxyProtocol: true,
        proxyFrom: ['10.0.0.0/8', '::1'],
        connectionsMax: Number.POSITIVE_INFINITY,
        identity: 'none',
        givesWay: false,
        tls: undefined,
      },
    ]);
  });

  test.each([
    ['{', 'is not JSON'],
    ['{}', 'is not a JSON array'],
    ['[1]', 'listener 1 is not an object'],
    ['[{"kind":"tcp"},{}]', 'listener 2 has no kind'],
    ['[{"kind":"udp"}]', 'kind "udp" is not one of tcp, tls, ws, wss, unix'],
    ['[{"kind":"tcp","prot":1}]', 'unknown field "prot"'],
    ['[{"kind":"tcp","__proto__":{}}]', 'unknown field "__proto__"'],
    ['[{"kind":"tcp","constructor":1}]', 'unknown field "constructor"'],
    ['[{"kind":"tcp","port":70000}]', 'port 70000 is not a whole number'],
    ['[{"kind":"tcp","port":"1883"}]', 'port "1883" is not a whole number'],
    ['[{"kind":"tcp","host":"a b"}]', 'host "a b" is not a host name'],
    ['[{"kind":"tcp","name":""}]', 'name "" is not a name'],
    ['[{"kind":"ws","path":"mqtt"}]', 'does not begin with /'],
    ['[{"kind":"unix","path":"a","mode":"888"}]', 'mode "888" is not three octal digits'],
    ['[{"kind":"tcp","proxyFrom":["10.0.0.0/33"]}]', 'is not an address or a network'],
    ['[{"kind":"tcp","proxyFrom":["10.0.0/8"]}]', 'is not an address or a network'],
    ['[{"kind":"tcp","proxyFrom":"10.0.0.0/8"}]', 'is not an array of texts'],
    ['[{"kind":"tcp","proxyProtocol":"on"}]', 'is not true or false'],
    ['[{"kind":"tcp","maxConnections":0}]', 'is not a whole number from 1'],
    ['[{"kind":"tls","clientAuth":"yes"}]', 'clientAuth "yes" is not one of none, request, require'],
    ['[]', 'leaves no listener'],
    ['[{"kind":"tls"}]', 'needs a certificate and a key'],
    ['[{"kind":"unix"}]', 'needs a path'],
    ['[{"kind":"tcp"},{"kind":"tcp","port":1884}]', 'two listeners have the name tcp'],
    ['[{"kind":"tcp"},{"kind":"ws","port":1883}]', 'two listeners use 127.0.0.1:1883'],
    [
      '[{"kind":"tls","cert":"a","key":"b","identity":"cn"}]',
      'takes users from certificates and asks for none',
    ],
  ])('%s is a fault [broker]', (given, message) => {
    const faults = faultsOf({ SLUICE_LISTENERS: given });
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain('SLUICE_LISTENERS');
    expect(faults[0]).toContain(message);
  });

  test.each([
    [{ SLUICE_TLS_CERT: 'a' }, 'SLUICE_TLS_KEY is missing'],
    [{ SLUICE_TLS_KEY: 'a' }, 'SLUICE_TLS_CERT is missing'],
    [{ SLUICE_TLS_PORT: '8883' }, 'SLUICE_TLS_PORT the listener tls needs a certificate and a key'],
    [{ SLUICE_WSS_PORT: '8084' }, 'SLUICE_WSS_PORT the listener wss needs a certificate and a key'],
    [{ SLUICE_WS_PORT: '1883' }, 'SLUICE_WS_PORT two listeners use 127.0.0.1:1883'],
    [{ SLUICE_MQTT_BIND: 'off', SLUICE_WS_PORT: 'off' }, 'SLUICE_MQTT_BIND leaves no listener'],
    [
      { ...pem, SLUICE_TLS_IDENTITY: 'cn' },
      'SLUICE_TLS_IDENTITY takes users from certificates, and SLUICE_TLS_CLIENT_AUTH asks for none',
    ],
    [{ SLUICE_WS_PORT: '70000' }, 'SLUICE_WS_PORT "70000" is not a port'],
    [{ SLUICE_PROXY_PROTOCOL: 'udp' }, 'SLUICE_PROXY_PROTOCOL "udp" is not on, off or a list'],
    [{ SLUICE_WS_ORIGINS: 'example.com' }, 'SLUICE_WS_ORIGINS "example.com" is not an origin'],
    [{ SLUICE_PROXY_FROM: 'proxy.example.com' }, 'SLUICE_PROXY_FROM "proxy.example.com" is not an address'],
  ])('%o is a fault of the simple variables [broker]', (env, message) => {
    const faults = faultsOf(env);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(message);
  });
});
