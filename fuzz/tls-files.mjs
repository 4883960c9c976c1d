/**
 * A certificate for the broker under test, made with node-forge. Runs in the fuzzer.
 *
 * Always true: it is good for 127.0.0.1 and for the time of a run; the driver trusts whatever it meets.
 */
import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import forge from 'node-forge';

const dayMs = 86_400_000;

/** Writes `cert.pem` and `key.pem` into `folder` and answers their paths. */
export async function writeTlsFiles(folder) {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(publicKey);
  certificate.serialNumber = '01';
  certificate.validity.notBefore = new Date(Date.now() - dayMs);
  certificate.validity.notAfter = new Date(Date.now() + dayMs);
  const names = [{ name: 'commonName', value: 'localhost' }];
  certificate.setSubject(names);
  certificate.setIssuer(names);
  certificate.sign(forge.pki.privateKeyFromPem(privateKey), forge.md.sha256.create());
  const cert = join(folder, 'cert.pem');
  const key = join(folder, 'key.pem');
  await writeFile(cert, forge.pki.certificateToPem(certificate));
  await writeFile(key, privateKey, { mode: 0o600 });
  return { cert, key };
}
