/**
 * Comparisons and logic. No state.
 *
 * Text compares byte by byte in UTF-8, as Erlang compares binaries; numbers compare exactly whatever their
 * size. Text that spells a number may stand for it, since user properties are always text.
 */
import { KeyEvaluationError } from './error.js';
import type { KeyFunction } from './function.js';
import { isEmpty, numberArg, scalarText, typeName, type Value, type ValueList } from './value.js';

type Order = -1 | 0 | 1;

function compareText(args: ValueList): Order {
  const a = scalarText(args[0] ?? null);
  const b = scalarText(args[1] ?? null);
  if (a === b) return 0;
  return Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'));
}

function compareNumbers(args: ValueList): Order {
  const a = numberArg(args, 0);
  const b = numberArg(args, 1);
  return a < b ? -1 : a > b ? 1 : 0;
}

const tests: readonly {
  readonly suffix: string;
  readonly help: string;
  readonly holds: (order: Order) => boolean;
}[] = [
  { suffix: 'eq', help: 'Are they equal?', holds: (order) => order === 0 },
  { suffix: 'neq', help: 'Are they different?', holds: (order) => order !== 0 },
  { suffix: 'lt', help: 'Is `a` before `b`?', holds: (order) => order < 0 },
  { suffix: 'lte', help: 'Is `a` not after `b`?', holds: (order) => order <= 0 },
  { suffix: 'gt', help: 'Is `a` after `b`?', holds: (order) => order > 0 },
  { suffix: 'gte', help: 'Is `a` not before `b`?', holds: (order) => order >= 0 },
];

function family(prefix: 'str' | 'num', compare: (args: ValueList) => Order): KeyFunction[] {
  const things = prefix === 'str' ? 'Text' : 'Numbers';
  const comp: KeyFunction = {
    name: `${prefix}_comp`,
    arities: [2],
    group: 'Compare',
    parameters: '(a, b)',
    help: `${things}: "lt", "eq" or "gt".`,
    prepare: () => (args) => {
      const order = compare(args);
      return order < 0 ? 'lt' : order > 0 ? 'gt' : 'eq';
    },
  };
  return [
    comp,
    ...tests.map(({ suffix, help, holds }): KeyFunction => ({
      name: `${prefix}_${suffix}`,
      arities: [2],
      group: 'Compare',
      parameters: '(a, b)',
      help: `${things}: ${help}`,
      prepare: () => (args) => holds(compare(args)),
    })),
  ];
}

function negated(value: Value): Value {
  if (typeof value === 'boolean') return !value;
  // Text in, text out.
  if (value === 'true') return 'false';
  if (value === 'false') return 'true';
  throw new KeyEvaluationError('type', `argument 1 is ${typeName(value)}, not a boolean`);
}

/** Compare and logic. */
export const compareFunctions: readonly KeyFunction[] = [
  ...family('str', compareText),
  ...family('num', compareNumbers),
  {
    name: 'is_empty_val',
    arities: [1],
    group: 'Logic',
    parameters: '(value)',
    help: 'Is it nothing, "" or an empty list? Unlike `is_empty` it does not forgive an unbound variable.',
    prepare: () => (args) => isEmpty(args[0] ?? null),
  },
  {
    name: 'not',
    arities: [1],
    group: 'Logic',
    parameters: '(boolean)',
    help: 'The opposite.',
    prepare: () => (args) => negated(args[0] ?? null),
  },
];
