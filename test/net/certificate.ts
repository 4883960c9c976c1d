/**
 * Certificates for the tests: an authority, and what it vouches for. Runs in the test process.
 *
 * Always true: keys are made by Node (fast) and certificates by node-forge; a certificate is good for 127.0.0.1 and
 * localhost, from yesterday to tomorrow unless `days` say otherwise.
 */
import { generateKeyPairSync } from 'node:crypto';
import forge from 'node-forge';

/** PEM of a certificate and its key. */
export interface Pem {
  readonly cert: string;
  readonly key: string;
}

/** What a certificate says. */
export interface Subject {
  readonly commonName?: string;
  readonly organization?: string;
  /** First and last day, counted from today. */
  readonly days?: readonly [from: number, to: number];
}

const dayMs = 86_400_000;
let serial = 1;

/** Signs certificates. */
export class Authority {
  readonly #key: forge.pki.rsa.PrivateKey;
  readonly #attributes: forge.pki.CertificateField[];
  readonly cert: string;

  constructor(name: string) {
    const pair = rsaPair();
    this.#key = pair.privateKey;
    this.#attributes = [{ name: 'commonName', value: name }];
    const certificate = this.#make(
      pair.publicKey,
      this.#attributes,
      [-1, 2],
      [
        { name: 'basicConstraints', cA: true, critical: true },
        { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
      ],
    );
    this.cert = forge.pki.certificateToPem(certificate);
  }

  /** A certificate with a key of its own. */
  issue({ commonName, organization, days = [-1, 1] }: Subject): Pem {
    const pair = rsaPair();
    const attributes: forge.pki.CertificateField[] = [];
    if (organization !== undefined) attributes.push({ name: 'organizationName', value: organization });
    if (commonName !== undefined) {
      attributes.push({
        name: 'commonName',
        value: commonName,
        valueTagClass: forge.asn1.Type.UTF8 as never,
      });
    }
    const certificate = this.#make(pair.publicKey, attributes, days, [
      { name: 'keyUsage', digitalSignature: true, keyEncipherment: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 7, ip: '127.0.0.1' },
        ],
      },
    ]);
    return { cert: forge.pki.certificateToPem(certificate), key: pair.pem };
  }

  /** A revocation list of what it has issued, good from yesterday to tomorrow. */
  revoke(revoked: readonly Pem[]): string {
    const { asn1, pki, md } = forge;
    const { Type, Class } = asn1;
    const sequence = (...parts: forge.asn1.Asn1[]): forge.asn1.Asn1 =>
      asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, parts);
    const leaf = (type: forge.asn1.Type, value: string): forge.asn1.Asn1 =>
      asn1.create(Class.UNIVERSAL, type, false, value);
    const day = (from: number): forge.asn1.Asn1 =>
      leaf(Type.UTCTIME, asn1.dateToUtcTime(new Date(Date.now() + from * dayMs)));
    const sha256WithRsa = sequence(
      leaf(Type.OID, asn1.oidToDer(pki.oids['sha256WithRSAEncryption'] as string).getBytes()),
      leaf(Type.NULL, ''),
    );
    const entries = revoked.map(({ cert }) => {
      const { serialNumber } = pki.certificateFromPem(cert);
      return sequence(leaf(Type.INTEGER, forge.util.hexToBytes(serialNumber)), day(-1));
    });
    const list = sequence(
      leaf(Type.INTEGER, asn1.integerToDer(1).getBytes()),
      sha256WithRsa,
      pki.distinguishedNameToAsn1(pki.certificateFromPem(this.cert).subject),
      day(-1),
      day(1),
      ...(entries.length > 0 ? [sequence(...entries)] : []),
    );
    const digest = md.sha256.create();
    digest.update(asn1.toDer(list).getBytes());
    const signature = leaf(Type.BITSTRING, `\0${this.#key.sign(digest)}`);
    const body = asn1.toDer(sequence(list, sha256WithRsa, signature)).getBytes();
    return forge.pem.encode({ type: 'X509 CRL', body });
  }

  #make(
    publicKey: forge.pki.rsa.PublicKey,
    subject: forge.pki.CertificateField[],
    [from, to]: readonly [number, number],
    extensions: object[],
  ): forge.pki.Certificate {
    const certificate = forge.pki.createCertificate();
    certificate.publicKey = publicKey;
    certificate.serialNumber = `01${(serial++).toString(16).padStart(8, '0')}`;
    certificate.validity.notBefore = new Date(Date.now() + from * dayMs);
    certificate.validity.notAfter = new Date(Date.now() + to * dayMs);
    certificate.setSubject(subject);
    certificate.setIssuer(this.#attributes);
    certificate.setExtensions(extensions);
    certificate.sign(this.#key, forge.md.sha256.create());
    return certificate;
  }
}

function rsaPair(): {
  privateKey: forge.pki.rsa.PrivateKey;
  publicKey: forge.pki.rsa.PublicKey;
  pem: string;
} {
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  const key = forge.pki.privateKeyFromPem(privateKey);
  return { privateKey: key, publicKey: forge.pki.setRsaPublicKey(key.n, key.e), pem: privateKey };
}
