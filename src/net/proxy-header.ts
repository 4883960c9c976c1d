/**
 * Reads the header by which a proxy tells whose connection it passes on: PROXY protocol, version 1 and 2. Main thread.
 *
 * Always true: bytes may come one by one; a byte that no header can have is refused as soon as it is seen; no more than
 * `headerBytesMax` are ever kept; what follows the header is not touched. Gives up: UDP, checksums (a TLV like any other),
 * and version 2 headers above the bound, though the length field could name 64 KB.
 * Source: "The PROXY protocol, versions 1 & 2" of the HAProxy project, sections 2.1 and 2.2.
 *
 *   v1  PROXY TCP4 192.0.2.1 192.0.2.9 56324 1883\r\n                                         107 bytes at most
 *   v2  12 bytes signature | version, command | family, protocol | length (2) | addresses | TLVs: type, length (2), value
 */
import { isIPv4, isIPv6, SocketAddress } from 'node:net';

/** Bytes of the longest header that is accepted. */
export const headerBytesMax = 4096;

const v1BytesMax = 107;
const v1Start = Buffer.from('PROXY ', 'latin1');
const v2Start = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const v2FixedBytes = 16;
/** Bytes of addresses and ports by family: unspecified, IPv4, IPv6, Unix. */
const v2AddressBytes = [0, 12, 36, 216] as const;
const tlvSsl = 0x20;
const tlvSslCommonName = 0x22;
/** Bits of the client field of the SSL TLV: the client came over TLS, and showed a certificate now or when the session began. */
const sslUsed = 0x01;
const sslCertificate = 0x06;

/** The header is not one, or says what must not be believed. */
export class ProxyHeaderError extends Error {
  override readonly name = 'ProxyHeaderError';
}

/** What a header says. */
export interface ProxyHeader {
  /** `address`: of the client, below. `local`: the proxy speaks for itself. `unknown`: a client whose address is not told. */
  readonly origin: 'address' | 'local' | 'unknown';
  /** IP address of the client; empty unless `origin` is `address`. */
  readonly address: string;
  readonly port: number;
  /** The client came to the proxy over TLS. */
  readonly secure: boolean;
  /** Common Name of the client certificate that the proxy has verified. */
  readonly commonName: string | undefined;
}

/** See the file header. One per connection. */
export class ProxyHeaderReader {
  #bytes: Buffer = Buffer.allocUnsafe(v1BytesMax);
  #length = 0;
  #header: ProxyHeader | undefined;

  /** Undefined until `read` has answered with a number. */
  get header(): ProxyHeader | undefined {
    return this.#header;
  }

  /**
   * Takes `chunk[0, length)`. Answers how many of its bytes belong to the header once it is complete, and undefined
   * while it is not. Throws `ProxyHeaderError`. Nothing of the chunk is kept.
   */
  read(chunk: Uint8Array, length: number): number | undefined {
    for (let i = 0; i < length; i++) {
      this.#push(chunk[i]!);
      this.#header = this.#bytes[0] === v1Start[0] ? this.#readV1() : this.#readV2();
      if (this.#header !== undefined) return i + 1;
    }
    return undefined;
  }

  #push(byte: number): void {
    if (this.#length === this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.min(headerBytesMax, this.#length * 4));
      this.#bytes.copy(larger);
      this.#bytes = larger;
    }
    this.#bytes[this.#length++] = byte;
  }

  /** Looks at the newest byte. */
  #readV1(): ProxyHeader | undefined {
    const last = this.#length - 1;
    const byte = this.#bytes[last]!;
    if (last < v1Start.length) {
      if (byte !== v1Start[last]) throw new ProxyHeaderError('does not begin with a PROXY header');
      return undefined;
    }
    if (byte === 0x0a) {
      if (this.#bytes[last - 1] !== 0x0d) throw new ProxyHeaderError('a line end without carriage return');
      return headerOfLine(this.#bytes.toString('latin1', v1Start.length, last - 1));
    }
    if (this.#length >= v1BytesMax) throw new ProxyHeaderError(`no line end within ${v1BytesMax} bytes`);
    return undefined;
  }

  #readV2(): ProxyHeader | undefined {
    const last = this.#length - 1;
    const bytes = this.#bytes;
    if (last < v2Start.length) {
      if (bytes[last] !== v2Start[last]) throw new ProxyHeaderError('does not begin with a PROXY header');
      return undefined;
    }
    if (this.#length < v2FixedBytes) return undefined;
    const end = v2FixedBytes + bytes.readUInt16BE(14);
    if (this.#length === v2FixedBytes) checkFixed(bytes, end);
    return this.#length < end ? undefined : headerOfBytes(bytes, end);
  }
}

const knownNothing = { address: '', port: 0, secure: false, commonName: undefined } as const;

/** `text` is the line behind `PROXY `, without its end. */
function headerOfLine(text: string): ProxyHeader {
  // The receiver ignores whatever stands behind UNKNOWN.
  if (text === 'UNKNOWN' || text.startsWith('UNKNOWN ')) return { ...knownNothing, origin: 'unknown' };
  const fields = text.split(' ');
  const [family, source = '', destination = '', sourcePort = '', destinationPort = ''] = fields;
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isPlainIPv6 : undefined;
  if (isAddress === undefined || fields.length !== 5) throw new ProxyHeaderError('the line has another form');
  if (!isAddress(source) || !isAddress(destination)) throw new ProxyHeaderError('an address is none');
  const port = portOf(sourcePort);
  portOf(destinationPort);
  return { ...knownNothing, origin: 'address', address: canonical(source), port };
}

function isPlainIPv6(text: string): boolean {
  return isIPv6(text) && !text.includes('%');
}

function portOf(text: string): number {
  const port = Number(text);
  if (!/^(?:0|[1-9]\d{0,4})$/.test(text) || port > 65_535) throw new ProxyHeaderError('a port is none');
  return port;
}

/** Refuses what the first 16 bytes can already show to be wrong. */
function checkFixed(bytes: Buffer, end: number): void {
  const versionAndCommand = bytes[12]!;
  if (versionAndCommand >> 4 !== 2) throw new ProxyHeaderError('an unknown version');
  if ((versionAndCommand & 0x0f) > 1) throw new ProxyHeaderError('an unknown command');
  const family = bytes[13]! >> 4;
  const protocol = bytes[13]! & 0x0f;
  const addressBytes = v2AddressBytes[family];
  if (addressBytes === undefined || protocol > 2) throw new ProxyHeaderError('an unknown family or protocol');
  if (end > headerBytesMax) throw new ProxyHeaderError(`longer than ${headerBytesMax} bytes`);
  const isLocal = versionAndCommand === 0x20;
  if (isLocal) return;
  if (family > 0 && protocol !== 1) throw new ProxyHeaderError('not a stream');
  if (end - v2FixedBytes < addressBytes) throw new ProxyHeaderError('too short for its addresses');
}

function headerOfBytes(bytes: Buffer, end: number): ProxyHeader {
  if ((bytes[12]! & 0x0f) === 0) return { ...knownNothing, origin: 'local' };
  const family = bytes[13]! >> 4;
  const ssl = readTlvs(bytes, v2FixedBytes + v2AddressBytes[family]!, end);
  if (family === 1) {
    const address = bytes.subarray(16, 20).join('.');
    return { origin: 'address', address, port: bytes.readUInt16BE(24), ...ssl };
  }
  if (family === 2) {
    const groups: string[] = [];
    for (let at = 16; at < 32; at += 2) groups.push(bytes.readUInt16BE(at).toString(16));
    return { origin: 'address', address: canonical(groups.join(':')), port: bytes.readUInt16BE(48), ...ssl };
  }
  return { origin: 'unknown', address: '', port: 0, ...ssl };
}

interface Ssl {
  secure: boolean;
  commonName: string | undefined;
}

/** What the TLVs say of TLS between client and proxy; all others are skipped. */
function readTlvs(bytes: Buffer, start: number, end: number): Ssl {
  const found: Ssl = { secure: false, commonName: undefined };
  for (let at = start; at < end;) {
    const [type, valueStart, valueEnd] = tlvAt(bytes, at, end);
    if (type === tlvSsl) readSsl(bytes, valueStart, valueEnd, found);
    at = valueEnd;
  }
  return found;
}

/** Flags (1), result of the verification (4, 0 = good), then TLVs of its own. */
function readSsl(bytes: Buffer, start: number, end: number, found: Ssl): void {
  if (end - start < 5) throw new ProxyHeaderError('a TLV is too short');
  const flags = bytes[start]!;
  found.secure = (flags & sslUsed) !== 0;
  const isVerified = (flags & sslCertificate) !== 0 && bytes.readUInt32BE(start + 1) === 0;
  for (let at = start + 5; at < end;) {
    const [type, valueStart, valueEnd] = tlvAt(bytes, at, end);
    if (type === tlvSslCommonName && found.secure && isVerified) {
      found.commonName = nameOf(bytes.subarray(valueStart, valueEnd));
    }
    at = valueEnd;
  }
}

function tlvAt(bytes: Buffer, at: number, end: number): [type: number, valueStart: number, valueEnd: number] {
  if (end - at < 3) throw new ProxyHeaderError('a TLV is cut off');
  const valueEnd = at + 3 + bytes.readUInt16BE(at + 1);
  if (valueEnd > end) throw new ProxyHeaderError('a TLV is cut off');
  return [bytes[at]!, at + 3, valueEnd];
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function nameOf(value: Uint8Array): string {
  try {
    return utf8.decode(value);
  } catch {
    throw new ProxyHeaderError('a name is not UTF-8');
  }
}

/** The one usual way to write an address. */
function canonical(address: string): string {
  return new SocketAddress({ address, family: isIPv4(address) ? 'ipv4' : 'ipv6' }).address;
}
