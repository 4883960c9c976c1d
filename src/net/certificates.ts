/**
 * The certificate files of a listener: reading, checking, noticing that they have changed. Main thread.
 *
 * Always true: `load` answers with options that TLS accepts, or throws and leaves the caller what it has; a file that is
 * replaced while it is read gives a key that does not fit, which is such a failure, and the next look tries again. Gives
 * up: watching by the kernel, because links that are switched (as deployments do) are easy to miss; it looks by itself.
 */
import { readFileSync, statSync } from 'node:fs';
import { createSecureContext, type SecureContextOptions } from 'node:tls';

import { OperationalError } from '../base/error.js';
import type { TlsSetting } from '../config/listener.js';

/** See the file header. */
export class Certificates {
  readonly #setting: TlsSetting;
  #stamp = '';

  constructor(setting: TlsSetting) {
    this.#setting = setting;
  }

  /** Reads the files. Throws `OperationalError` ERR_TLS. */
  load(): SecureContextOptions {
    const { certFile, keyFile, caFile, crlFile, minVersion } = this.#setting;
    this.#stamp = this.#look();
    let file = certFile;
    try {
      const cert = readFileSync(certFile);
      file = keyFile;
      const key = readFileSync(keyFile);
      file = caFile ?? certFile;
      const ca = caFile === undefined ? undefined : readFileSync(caFile);
      file = crlFile ?? certFile;
      const crl = crlFile === undefined ? undefined : readFileSync(crlFile);
      if (crl !== undefined) createSecureContext({ crl });
      const options: SecureContextOptions = {
        cert,
        key,
        ...(ca === undefined ? {} : { ca }),
        ...(crl === undefined ? {} : { crl }),
        minVersion: `TLSv${minVersion}`,
      };
      file = `${certFile} with ${keyFile}`;
      createSecureContext(options);
      return options;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new OperationalError('ERR_TLS', `the certificate ${file} cannot be used: ${reason}`, error);
    }
  }

  /** True when a file is another one than at the last `load`, good or bad. */
  get hasChanged(): boolean {
    return this.#look() !== this.#stamp;
  }

  #look(): string {
    const { certFile, keyFile, caFile, crlFile } = this.#setting;
    return [certFile, keyFile, caFile, crlFile].map(stampOf).join(' ');
  }
}

function stampOf(file: string | undefined): string {
  if (file === undefined) return '-';
  const found = statSync(file, { throwIfNoEntry: false });
  return found === undefined ? 'none' : `${found.ino}:${found.size}:${found.mtimeMs}`;
}
