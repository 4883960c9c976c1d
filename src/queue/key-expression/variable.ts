/**
 * Paths to readers: what `message.…` means. Runs at compile time; the readers run on the shard worker.
 *
 * Always true: a path that no message could ever have is refused at compile time; a reader touches only the
 * part of the context it names and answers undefined when this message has no such value. Unlike in EMQX
 * nothing is hidden by the presence or absence of user properties.
 */
import type { KeyContext, KeyPart } from './context.js';
import { KeyExpressionError } from './error.js';
import { jsonPath, jsonValue } from './json-path.js';
import { property, propertyIdByName, propertyMap, userProperty, userPropertyMap } from './property.js';
import type { Value } from './value.js';

/** A variable, resolved. */
export interface Variable {
  /** What it reads; undefined when it is the same for every message. */
  readonly part: KeyPart | undefined;
  /** A map has no text, so it can only be an argument. */
  readonly isMap: boolean;
  /** The value in one message; undefined when it is not bound there. */
  readonly read: (context: KeyContext) => Value | undefined;
}

function scalar(part: KeyPart | undefined, read: Variable['read']): Variable {
  return { part, isMap: false, read };
}

function map(part: KeyPart, read: Variable['read']): Variable {
  return { part, isMap: true, read };
}

const plain: ReadonlyMap<string, Variable> = new Map([
  ['id', scalar('id', (context) => context.id)],
  ['qos', scalar('qos', (context) => context.qos)],
  ['from', scalar('from', (context) => context.from)],
  ['topic', scalar('topic', (context) => context.topic)],
  ['payload', scalar('payload', (context) => context.payload)],
  ['timestamp', scalar('timestamp', (context) => context.timestampMs)],
  // EMQX has this slot for plugins; it is always empty here.
  ['extra', scalar(undefined, () => null)],
  [
    'flags',
    map(
      'flags',
      (context) =>
        new Map([
          ['dup', context.dup],
          ['retain', context.retain],
        ]),
    ),
  ],
  ['flags.dup', scalar('flags', (context) => context.dup)],
  ['flags.retain', scalar('flags', (context) => context.retain)],
  ['headers.peername', scalar('peer', (context) => context.peername ?? null)],
  ['headers.peerhost', scalar('peer', (context) => context.peerhost ?? null)],
  ['headers.proto_ver', scalar('protocol', (context) => context.protoVer)],
  ['headers.protocol', scalar(undefined, () => 'mqtt')],
  ['headers.username', scalar('username', (context) => context.username ?? null)],
  [
    'headers.client_attrs',
    map('client-attributes', (context) => new Map(Object.entries(context.clientAttrs ?? {}))),
  ],
  ['headers.properties', map('properties', (context) => propertyMap(context.propertyBytes))],
  [
    'headers.properties.User-Property',
    map('properties', (context) => userPropertyMap(context.propertyBytes)),
  ],
]);

/** The rest of `path` after `prefix`, or undefined. */
function after(path: string, prefix: string): string | undefined {
  return path.startsWith(prefix) ? path.slice(prefix.length) : undefined;
}

/** What `path` stands for. Throws `KeyExpressionError` for a path that no message can have. */
export function resolveVariable(path: string, position: number): Variable {
  const [root] = path.split('.', 1);
  if (root !== 'message') {
    throw new KeyExpressionError(
      `unknown variable "${path}": every variable begins with "message."`,
      position,
    );
  }
  if (path.split('.').includes('')) throw new KeyExpressionError(`"${path}" has an empty part`, position);
  const member = path.slice('message.'.length);
  const known = plain.get(member);
  if (known !== undefined) return known;

  // A key may hold dots of its own, so all that follows is the key.
  const key = after(member, 'headers.properties.User-Property.') ?? after(member, 'user_property.');
  if (key !== undefined) {
    const bytes = Buffer.from(key, 'utf8');
    return scalar('properties', (context) => userProperty(context.propertyBytes, bytes));
  }
  const name = after(member, 'headers.properties.');
  if (name !== undefined) {
    const id = propertyIdByName.get(name);
    if (id === undefined) {
      const names = [...propertyIdByName.keys(), 'User-Property'].join(', ');
      throw new KeyExpressionError(`unknown property "${name}"; there are ${names}`, position);
    }
    return scalar('properties', (context) => property(context.propertyBytes, id));
  }
  const attribute = after(member, 'headers.client_attrs.');
  if (attribute !== undefined) {
    return scalar('client-attributes', (context) =>
      context.clientAttrs !== undefined && Object.hasOwn(context.clientAttrs, attribute)
        ? context.clientAttrs[attribute]
        : undefined,
    );
  }
  const field = after(member, 'payload.');
  if (field !== undefined) {
    const json = jsonPath(field);
    return scalar('payload', (context) => jsonValue(context.payload, json));
  }
  throw new KeyExpressionError(
    path === 'message' || member === 'headers'
      ? `"${path}" is not a value: name a member of it`
      : `unknown variable "${path}"`,
    position,
  );
}
