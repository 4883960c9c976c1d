/** Builds PROXY headers of version 2. Runs in the test process. */

const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

/** A header: version and command, family and protocol, addresses, TLVs. */
export function proxyV2(command: number, family: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const fixed = Buffer.from([command, family, body.length >> 8, body.length & 0xff]);
  return Buffer.concat([signature, fixed, body]);
}

/** A type, a length and a value. */
export function tlv(type: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([type, value.length >> 8, value.length & 0xff]), value]);
}
