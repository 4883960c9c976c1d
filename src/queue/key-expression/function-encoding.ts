/**
 * Encodings, hashes, and values out of JSON and JWT. Shard worker, no state.
 *
 * Always true: an algorithm that this build of OpenSSL lacks is reported by name when the expression is
 * compiled, not at the first message. A JWT is only read; its signature is not checked.
 */
import { createHash } from 'node:crypto';
import { KeyEvaluationError } from './error.js';
import { remembered, type FunctionCall, type KeyFunction } from './function.js';
import { jsonPath, jsonValue } from './json-path.js';
import { bytesArg, integerArg, textArg, type Integer, type Value, type ValueList } from './value.js';

const base64Options = ['no_padding', 'urlsafe'];

interface Base64Form {
  readonly isPadded: boolean;
  readonly isUrlSafe: boolean;
}

function base64Form(options: ValueList): Base64Form {
  const words = options.map((_, index) => textArg(options, index));
  for (const word of words) {
    if (!base64Options.includes(word)) {
      throw new KeyEvaluationError('value', `"${word}" is not one of ${base64Options.join(', ')}`);
    }
  }
  return { isPadded: !words.includes('no_padding'), isUrlSafe: words.includes('urlsafe') };
}

function withBase64(call: (args: ValueList, form: Base64Form) => Value): KeyFunction['prepare'] {
  return (constants) => {
    const known = constants.slice(1).filter((value) => value !== undefined);
    base64Form(known);
    return (args) => call(args, base64Form(args.slice(1)));
  };
}

function base64Encoded(args: ValueList, form: Base64Form): string {
  const bytes = Buffer.from(bytesArg(args, 0));
  if (!form.isUrlSafe) {
    const text = bytes.toString('base64');
    return form.isPadded ? text : text.replace(/=+$/, '');
  }
  const text = bytes.toString('base64url');
  return form.isPadded ? text.padEnd(Math.ceil(text.length / 4) * 4, '=') : text;
}

function base64Decoded(args: ValueList, form: Base64Form): Uint8Array {
  const text = textArg(args, 0).replace(/[ \t\r\n]+/g, '');
  const body = text.replace(/={1,2}$/, '');
  const alphabet = form.isUrlSafe ? /^[-_A-Za-z0-9]*$/ : /^[+/A-Za-z0-9]*$/;
  // One character more than a group of four holds too few bits for a byte.
  const isLengthRight =
    form.isPadded || body.length < text.length ? text.length % 4 === 0 : body.length % 4 !== 1;
  if (!alphabet.test(body) || !isLengthRight)
    throw new KeyEvaluationError('value', 'argument 1 is not Base64');
  return Buffer.from(body, 'base64url');
}

function hexDecoded(args: ValueList): Uint8Array {
  const text = textArg(args, 0);
  if (!/^[0-9A-Fa-f]*$/.test(text)) throw new KeyEvaluationError('value', 'argument 1 is not hexadecimal');
  return Buffer.from(text.length % 2 === 0 ? text : `0${text}`, 'hex');
}

/** Names of EMQX to names of OpenSSL, with the length where the algorithm leaves it open. */
const algorithms: Readonly<Record<string, { readonly name: string; readonly outputLength?: number }>> = {
  md4: { name: 'md4' },
  md5: { name: 'md5' },
  sha: { name: 'sha1' },
  sha1: { name: 'sha1' },
  sha224: { name: 'sha224' },
  sha256: { name: 'sha256' },
  sha384: { name: 'sha384' },
  sha512: { name: 'sha512' },
  sha3_224: { name: 'sha3-224' },
  sha3_256: { name: 'sha3-256' },
  sha3_384: { name: 'sha3-384' },
  sha3_512: { name: 'sha3-512' },
  shake128: { name: 'shake128', outputLength: 16 },
  shake256: { name: 'shake256', outputLength: 32 },
  blake2b: { name: 'blake2b512' },
  blake2s: { name: 'blake2s256' },
};

/** Names that `hash` accepts, whether or not this build has them. */
export const hashAlgorithms: readonly string[] = Object.keys(algorithms);

type Digest = (data: Uint8Array) => string;

function digest(name: string): Digest {
  const algorithm = Object.hasOwn(algorithms, name) ? algorithms[name] : undefined;
  if (algorithm === undefined) {
    throw new KeyEvaluationError('value', `"${name}" is not one of ${hashAlgorithms.join(', ')}`);
  }
  const options = algorithm.outputLength === undefined ? {} : { outputLength: algorithm.outputLength };
  const run = (data: Uint8Array): string => createHash(algorithm.name, options).update(data).digest('hex');
  try {
    run(new Uint8Array());
  } catch {
    throw new KeyEvaluationError('value', `the hash algorithm "${name}" is not in this build of OpenSSL`);
  }
  return run;
}

function prepareHash(constants: readonly (Value | undefined)[]): FunctionCall {
  const byName = remembered(digest);
  const [constant] = constants;
  if (constant === undefined) return (args) => byName(textArg(args, 0))(bytesArg(args, 1));
  const run = digest(textArg([constant], 0));
  return (args) => run(bytesArg(args, 1));
}

/** `bytes` as a big-endian integer, modulo `modulus`; a plain loop while it cannot overflow. */
function remainder(bytes: Uint8Array, modulus: bigint): bigint {
  if (modulus < 0x1000_0000_0000n) {
    const small = Number(modulus);
    let rest = 0;
    for (const byte of bytes) rest = (rest * 256 + byte) % small;
    return BigInt(rest);
  }
  return bytes.length === 0 ? 0n : BigInt(`0x${Buffer.from(bytes).toString('hex')}`) % modulus;
}

function intoRange(bytes: Uint8Array, args: ValueList): Integer {
  const min = BigInt(integerArg(args, 1));
  const max = BigInt(integerArg(args, 2));
  if (min > max) throw new KeyEvaluationError('value', `the range ${min} to ${max} is empty`);
  const value = min + remainder(bytes, max - min + 1n);
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)
    ? Number(value)
    : value;
}

function mapToRange(args: ValueList): Integer {
  const [value] = args;
  if (typeof value !== 'number' && typeof value !== 'bigint') return intoRange(bytesArg(args, 0), args);
  if (value < 0) throw new KeyEvaluationError('value', 'argument 1 is negative');
  const digits = value.toString(16);
  return intoRange(Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex'), args);
}

function withPath(read: (args: ValueList) => Uint8Array): KeyFunction['prepare'] {
  return (constants) => {
    const paths = remembered(jsonPath);
    const constant = constants[1];
    if (constant !== undefined) paths(textArg([null, constant], 1));
    return (args) => {
      const path = paths(textArg(args, 1));
      return jsonValue(read(args), path) ?? null;
    };
  };
}

function jwtClaims(args: ValueList): Uint8Array {
  const parts = textArg(args, 0).split('.');
  const claims = parts[1];
  if (parts.length !== 3 || claims === undefined || !/^[-_A-Za-z0-9]+$/.test(claims)) {
    throw new KeyEvaluationError('value', 'argument 1 is not a JSON Web Token');
  }
  return Buffer.from(claims, 'base64url');
}

/** Encoding, hashing, JSON and JWT. */
export const encodingFunctions: readonly KeyFunction[] = [
  {
    name: 'bin2hexstr',
    arities: [1],
    group: 'Encoding',
    parameters: '(bytes)',
    help: 'Hexadecimal digits, upper case.',
    prepare: () => (args) => Buffer.from(bytesArg(args, 0)).toString('hex').toUpperCase(),
  },
  {
    name: 'hexstr2bin',
    arities: [1],
    group: 'Encoding',
    parameters: '(text)',
    help: 'Bytes of hexadecimal digits; an odd number of digits gets a 0 in front.',
    prepare: () => hexDecoded,
  },
  {
    name: 'int2hexstr',
    arities: [1],
    group: 'Encoding',
    parameters: '(integer)',
    help: 'The integer in hexadecimal, upper case.',
    prepare: () => (args) => integerArg(args, 0).toString(16).toUpperCase(),
  },
  {
    name: 'base64_encode',
    arities: [1, 2, 3],
    group: 'Encoding',
    parameters: "(bytes[, 'no_padding'][, 'urlsafe'])",
    help: 'Base64.',
    prepare: withBase64(base64Encoded),
  },
  {
    name: 'base64_decode',
    arities: [1, 2, 3],
    group: 'Encoding',
    parameters: "(text[, 'no_padding'][, 'urlsafe'])",
    help: 'Bytes of Base64; without `no_padding` the padding must be there.',
    prepare: withBase64(base64Decoded),
  },
  {
    name: 'hash',
    arities: [2],
    group: 'Hashing',
    parameters: '(algorithm, bytes)',
    help: `Digest in lower-case hexadecimal. Algorithms: ${hashAlgorithms.join(', ')}.`,
    prepare: prepareHash,
  },
  {
    name: 'hash_to_range',
    arities: [3],
    group: 'Hashing',
    parameters: '(bytes, min, max)',
    help: 'An integer from `min` to `max`, chosen by SHA-256.',
    prepare: () => (args) => intoRange(createHash('sha256').update(bytesArg(args, 0)).digest(), args),
  },
  {
    name: 'map_to_range',
    arities: [3],
    group: 'Hashing',
    parameters: '(bytes or integer, min, max)',
    help: 'An integer from `min` to `max`: the bytes as a big-endian integer, modulo the size of the range.',
    prepare: () => mapToRange,
  },
  {
    name: 'json_value',
    arities: [2],
    group: 'JSON and JWT',
    parameters: '(json, path)',
    help: "Value at a dotted path, for example `json_value(message.payload, 'device.id')`; nothing when it is missing.",
    prepare: withPath((args) => bytesArg(args, 0)),
  },
  {
    name: 'jwt_value',
    arities: [2],
    group: 'JSON and JWT',
    parameters: '(token, path)',
    help: 'Claim of a JSON Web Token at a dotted path. The signature is not checked.',
    prepare: withPath(jwtClaims),
  },
];
