/**
 * The connection below MQTT: TCP, TLS or WebSocket, as one byte stream. Runs in the process of the command.
 *
 * Always true: the promise ends within the time limit, with a stream that is connected or a `CommandError` that says what was
 * wrong; a host name is checked against the certificate. The WebSocket library is loaded when one is asked for.
 */
import { connect as connectTcp } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';

import { CommandError, exitCode } from '../io.js';
import type { MqttTarget } from './target.js';

/** Connects. */
export async function openTransport(target: MqttTarget): Promise<Duplex> {
  const stream = await start(target);
  const isTls = target.transport === 'tls';
  return await new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => fail(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' })),
      target.connectTimeoutMs,
    );
    const settle = (): void => {
      clearTimeout(timer);
      stream.off('error', fail).off('close', onClose).off(event, done);
    };
    const fail = (error: NodeJS.ErrnoException): void => {
      settle();
      // A second fault of a stream that is given up is of no interest.
      stream.on('error', () => undefined).destroy();
      reject(unreachable(target, error));
    };
    const onClose = (): void => fail(new Error('the connection was closed'));
    const done = (): void => {
      settle();
      resolve(stream);
    };
    const event = isTls ? 'secureConnect' : target.transport === 'tcp' ? 'connect' : 'ready';
    stream.on('error', fail).on('close', onClose).on(event, done);
  });
}

async function start(target: MqttTarget): Promise<Duplex> {
  const { host, port, ca, cert, key, insecure } = target;
  const tls = { ca, cert, key, rejectUnauthorized: !insecure };
  switch (target.transport) {
    case 'tcp':
      return connectTcp({ host, port, noDelay: true });
    case 'tls':
      return connectTls({
        host,
        port,
        servername: /[a-z]/i.test(host) && !host.includes(':') ? host : '',
        ...tls,
      });
    case 'ws':
    case 'wss': {
      const { createWebSocketStream, WebSocket } = await import('ws');
      const authority = host.includes(':') ? `[${host}]` : host;
      const socket = new WebSocket(`${target.transport}://${authority}:${port}${target.path}`, 'mqtt', {
        ...tls,
        perMessageDeflate: false,
      });
      const stream = createWebSocketStream(socket);
      socket.once('open', () => stream.emit('ready'));
      return stream;
    }
  }
}

function unreachable(target: MqttTarget, error: NodeJS.ErrnoException): CommandError {
  const reason = error.code ?? error.message;
  const isTls = /CERT|SELF_SIGNED|UNABLE_TO|ERR_TLS|EPROTO|SSL|DEPTH_ZERO/.test(reason);
  return new CommandError(
    exitCode.unreachable,
    `${target.host} port ${target.port} is not reachable by MQTT over ${target.transport}: ${reason}`,
    {
      hint: isTls
        ? 'name the certificate authority by --cafile, or another address by --url'
        : 'is the broker running there? Name another address by --url or SLUICE_MQTT_URL',
    },
  );
}
