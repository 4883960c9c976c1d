/**
 * Checks requests against their TypeBox schemas. Main thread; pure.
 *
 * Always true: a body is never converted and never trimmed to fit: an unknown field or a wrong type is an error that
 * names the field. Path and query arrive as text, so whole numbers are read there, and nothing else is converted.
 * One fault is reported per request, the one that says most.
 */
import type { FastifySchemaCompiler } from 'fastify';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';

import { invalidField, type OperatorError } from '../broker/operator-error.js';

/** What typebox reports about a value. */
interface Fault {
  readonly keyword: string;
  readonly schemaPath: string;
  readonly instancePath: string;
  readonly message: string;
  readonly params: object;
}

/** Validator compiler for Fastify; the error is an `OperatorError` BAD_REQUEST. Aliases share their schemas, so each is compiled once. */
export function createValidatorCompiler(): FastifySchemaCompiler<TSchema> {
  const compiled = new WeakMap<TSchema, ReturnType<typeof Compile>>();
  return ({ schema, httpPart }) => {
    const check = compiled.get(schema) ?? Compile(schema);
    compiled.set(schema, check);
    return (raw: unknown) => {
      const value = httpPart === 'body' ? raw : readNumbers(schema, raw);
      return check.Check(value) ? { value } : { error: describe(schema, check.Errors(value), value) };
    };
  };
}

/** Whole numbers in the places where the schema wants an integer. */
function readNumbers(schema: TSchema, raw: unknown): unknown {
  if (typeof raw !== 'object' || raw === null) return raw;
  const entries = Object.entries(raw).map(([name, text]: [string, unknown]) => {
    const wanted = at(schema, ['properties', name, 'type']);
    const isNumber = wanted === 'integer' && typeof text === 'string' && /^-?\d{1,15}$/.test(text);
    return [name, isNumber ? Number(text) : text] as const;
  });
  return Object.fromEntries(entries);
}

/** The fault that helps most: an unknown field first, then the innermost value, as a whole where it is a union. */
function describe(schema: TSchema, faults: readonly Fault[], value: unknown): OperatorError {
  const depth = (fault: Fault) =>
    fault.instancePath.split('/').length * 2 + (fault.keyword === 'anyOf' ? 1 : 0);
  const fault =
    faults.find(({ keyword }) => keyword === 'additionalProperties') ??
    faults.toSorted((a, b) => depth(b) - depth(a))[0];
  if (fault === undefined) return invalidField('', 'does not fit the schema');
  const steps = fault.instancePath.split('/').slice(1).map(unescape);
  const path = steps.join('.');
  const dotted = (name: string) => (path === '' ? name : `${path}.${name}`);
  if (fault.keyword === 'additionalProperties') {
    return invalidField(dotted(firstName(fault.params, 'additionalProperties')), 'unknown field');
  }
  if (fault.keyword === 'required') {
    return invalidField(dotted(firstName(fault.params, 'requiredProperties')), 'is required');
  }
  const shown = at(value, steps);
  if (fault.keyword === 'anyOf') {
    const description = at(schema, fault.schemaPath.split('/').slice(1).map(unescape).concat('description'));
    if (typeof description === 'string') return invalidField(path, `must be ${description}`, shown);
  }
  return invalidField(path, `${fault.message}${allowed(fault.params)}`, shown);
}

function firstName(params: object, field: string): string {
  const names = at(params, [field]);
  return Array.isArray(names) && typeof names[0] === 'string' ? names[0] : '';
}

function allowed(params: object): string {
  const values = at(params, ['allowedValues']);
  return Array.isArray(values) ? `: ${values.join(', ')}` : '';
}

function at(value: unknown, steps: readonly string[]): unknown {
  let found = value;
  for (const step of steps) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, step)) return undefined;
    found = (found as Readonly<Record<string, unknown>>)[step];
  }
  return found;
}

/** Undoes the escapes of a JSON pointer. */
function unescape(step: string): string {
  return step.replaceAll('~1', '/').replaceAll('~0', '~');
}
