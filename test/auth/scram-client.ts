/** The client's side of SCRAM-SHA-256, written from RFC 5802 and apart from the server's. */
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';

/** The client's final message after its `first` one was answered, and what the server must say then. */
export function finalOf(
  password: string,
  first: string,
  serverFirst: string,
): { message: string; serverFinal: string } {
  const [, nonce = '', salt = '', iterations = ''] = /^r=([^,]*),s=([^,]*),i=(\d+)/.exec(serverFirst) ?? [];
  const header = first.slice(0, first.indexOf('n=', 2));
  const sign = (key: Buffer, text: string) => createHmac('sha256', key).update(text).digest();
  const salted = pbkdf2Sync(password, Buffer.from(salt, 'base64'), Number(iterations), 32, 'sha256');
  const withoutProof = `c=${Buffer.from(header).toString('base64')},r=${nonce}`;
  const signed = `${first.slice(header.length)},${serverFirst},${withoutProof}`;
  const key = sign(salted, 'Client Key');
  const signature = sign(createHash('sha256').update(key).digest(), signed);
  const proof = Buffer.from(key.map((byte, index) => byte ^ (signature[index] ?? 0)));
  return {
    message: `${withoutProof},p=${proof.toString('base64')}`,
    serverFinal: `v=${sign(sign(salted, 'Server Key'), signed).toString('base64')}`,
  };
}
