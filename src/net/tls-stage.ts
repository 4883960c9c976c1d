/**
 * The TLS handshake of a listener. Main thread.
 *
 * Always true: whoever passes has shown what `clientAuth` asks for, and a certificate that does not verify is refused even
 * where none is needed; a new certificate holds for new connections, and those that are open stay. Gives up: several
 * certificates by server name. Node's TLS server does the work on sockets that are handed to it, so that a PROXY header
 * may come first; it hands back another socket, which is found again by its addresses.
 */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';

import type { TlsSetting } from '../config/listener.js';
import type { Logger } from '../telemetry/logger.js';
import { Certificates } from './certificates.js';
import type { Handshake } from './handshake.js';
import { subjectOf } from './peer.js';

/** A far later end than ours: the clock of handshakes decides. */
const handshakeTimeoutMs = 3_600_000;

/** Takes a connection whose TLS handshake is done; a certificate of the handshake is verified. */
export type SecuredCallback = (socket: TLSSocket, handshake: Handshake) => void;

/** See the file header. One per listener. */
export class TlsStage {
  readonly #setting: TlsSetting;
  readonly #certificates: Certificates;
  readonly #server: Server;
  readonly #secured: SecuredCallback;
  readonly #logger: Logger;
  readonly #pending = new Map<string, Handshake>();

  /** Throws ERR_TLS when the files cannot be used. */
  constructor(setting: TlsSetting, logger: Logger, secured: SecuredCallback) {
    this.#setting = setting;
    this.#secured = secured;
    this.#logger = logger;
    this.#certificates = new Certificates(setting);
    this.#server = createServer(
      {
        ...this.#certificates.load(),
        requestCert: setting.clientAuth !== 'none',
        // Decided in `#onSecure`, where a certificate that is not shown and one that is wrong are told apart.
        rejectUnauthorized: false,
        handshakeTimeout: handshakeTimeoutMs,
      },
      (socket) => this.#onSecure(socket),
    );
    this.#server.on('tlsClientError', (error, socket) => {
      const found = this.#take(socket);
      found?.fail('tls-handshake', error.message);
      socket.destroy();
    });
  }

  /** Takes a paused socket. */
  accept(handshake: Handshake): void {
    const { socket } = handshake;
    const key = keyOf(socket);
    if (key === undefined) {
      handshake.fail('tls-handshake', 'closed by the peer');
      return;
    }
    handshake.stage = 'tls-handshake';
    this.#pending.set(key, handshake);
    socket.on('close', () => {
      if (this.#pending.get(key) === handshake) this.#pending.delete(key);
    });
    // A peer that gives up before the end of the handshake is closed at once; the TLS socket inherits it.
    socket.allowHalfOpen = false;
    this.#server.emit('connection', socket);
  }

  /** Reads the files again; false when they are unusable, which is logged, and the old ones stay. */
  reload(): boolean {
    const { certFile } = this.#setting;
    try {
      // New keys for tickets: a session from before cannot go on under a rule that has changed.
      this.#server.setSecureContext({ ...this.#certificates.load(), ticketKeys: randomBytes(48) });
    } catch (error) {
      this.#logger.error({ err: error, certFile }, 'a new certificate is unusable; the old one stays');
      return false;
    }
    this.#logger.info({ certFile }, 'certificate loaded again');
    return true;
  }

  /** The same, when a file has changed since the last time. */
  reloadIfChanged(): void {
    if (this.#certificates.hasChanged) this.reload();
  }

  #onSecure(socket: TLSSocket): void {
    const handshake = this.#take(socket);
    if (handshake === undefined || !handshake.isOpen) {
      socket.destroy();
      return;
    }
    socket.allowHalfOpen = true;
    const shown = this.#setting.clientAuth === 'none' ? undefined : socket.getPeerX509Certificate();
    if (shown === undefined && this.#setting.clientAuth === 'require') {
      handshake.fail('tls-handshake', 'no client certificate');
      return;
    }
    if (shown !== undefined && !socket.authorized) {
      handshake.fail('tls-handshake', `client certificate: ${String(socket.authorizationError)}`);
      return;
    }
    // A session that is resumed brings the verdict of its first handshake along.
    if (shown !== undefined && Date.parse(shown.validTo) < Date.now()) {
      handshake.fail('tls-handshake', 'client certificate: it has expired since the session began');
      return;
    }
    if (shown !== undefined) {
      handshake.certificate = {
        commonName: commonNameOf(socket),
        subject: subjectOf(shown.subject),
        fingerprint256: shown.fingerprint256,
      };
    }
    this.#secured(socket, handshake);
  }

  #take(socket: Socket): Handshake | undefined {
    const key = keyOf(socket);
    if (key === undefined) return undefined;
    const found = this.#pending.get(key);
    this.#pending.delete(key);
    return found;
  }
}

/** Both ends of a TCP connection; undefined when it is closed. */
function keyOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string | undefined {
  return remoteAddress === undefined
    ? undefined
    : `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}

/** The first Common Name of the subject, empty when it has none. */
function commonNameOf(socket: TLSSocket): string {
  const names: unknown = socket.getPeerCertificate().subject?.CN;
  const [first] = Array.isArray(names) ? (names as unknown[]) : [names];
  return typeof first === 'string' ? first : '';
}
