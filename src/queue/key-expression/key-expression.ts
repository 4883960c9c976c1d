/**
 * Compiles a key expression: source text to closures, once; then one call per message. The main thread
 * compiles to check a request, the shard worker that owns the queue compiles to evaluate.
 *
 * Always true: unknown functions, wrong numbers of arguments, unknown variables and unusable constants are
 * found here and not at the first message; evaluation parses nothing, reads only the parts listed in `needs`
 * and throws nothing but `KeyEvaluationError`. Calls on constants alone are evaluated here.
 * Language: EMQX's variform, as used for message queues.
 */
import type { KeyContext, KeyPart } from './context.js';
import { KeyEvaluationError, KeyExpressionError } from './error.js';
import { keyFunction } from './function-table.js';
import type { Environment } from './function.js';
import { parse, type SyntaxNode } from './parser.js';
import { isEmpty, isList, keyText, type Value } from './value.js';
import { resolveVariable } from './variable.js';

/**
 * How much there is to do: nothing (`constant`), hand over one member (`from`, `topic`), one look into the
 * property bytes (`user-property`), or anything else (`general`).
 */
export type KeyShape = 'constant' | 'from' | 'topic' | 'user-property' | 'general';

/** A compiled expression. Holds no message; may be used for any number of them. */
export interface KeyExpression {
  readonly source: string;
  readonly shape: KeyShape;
  /** The parts of the context that evaluation may read. */
  readonly needs: ReadonlySet<KeyPart>;
  readonly needsPayload: boolean;
  readonly needsProperties: boolean;
  /** The key of one message: at most 65,535 bytes of UTF-8, "" allowed. Throws `KeyEvaluationError`. */
  readonly evaluate: (context: KeyContext) => string;
}

/** The key of every last-value queue that does not say otherwise: the publisher's client id. */
export const defaultKeyExpression = 'message.from';

type Run = (context: KeyContext) => Value;

/** A compiled node. `constant` is set when it has the same value for every message. */
interface Node {
  readonly run: Run;
  /** As `run`, but undefined for an unbound variable, wherever below it is. */
  readonly tryRun: (context: KeyContext) => Value | undefined;
  readonly constant?: Value;
}

/** Compiles `source`. Throws `KeyExpressionError`. `environment` is what `getenv` reads. */
export function compileKeyExpression(source: string, environment: Environment = process.env): KeyExpression {
  const tree = parse(source);
  const compiler = new Compiler(environment);
  const node = compiler.node(tree);
  const { needs } = compiler;
  const shape = shapeOf(tree, node);
  return {
    source,
    shape,
    needs,
    needsPayload: needs.has('payload'),
    needsProperties: needs.has('properties'),
    evaluate: evaluator(tree, node, shape),
  };
}

function shapeOf(tree: SyntaxNode, node: Node): KeyShape {
  if (node.constant !== undefined) return 'constant';
  if (tree.kind !== 'variable') return 'general';
  if (tree.path === 'message.from') return 'from';
  if (tree.path === 'message.topic') return 'topic';
  return /^message\.(?:headers\.properties\.User-Property|user_property)\./.test(tree.path)
    ? 'user-property'
    : 'general';
}

function evaluator(tree: SyntaxNode, node: Node, shape: KeyShape): (context: KeyContext) => string {
  if (shape === 'from') return (context) => context.from;
  if (shape === 'topic') return (context) => context.topic;
  if (shape === 'constant') {
    const key = atCompileTime(tree.position, () => keyText(node.constant ?? null));
    return () => key;
  }
  const { run } = node;
  return (context) => {
    try {
      return keyText(run(context));
    } catch (error) {
      // A text or list past what the engine can hold; every other error is typed or a bug of ours.
      if (error instanceof RangeError) throw new KeyEvaluationError('limit', `too large: ${error.message}`);
      throw error;
    }
  };
}

function atCompileTime<T>(position: number, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (error instanceof KeyEvaluationError || error instanceof RangeError) {
      throw new KeyExpressionError(error.message, position);
    }
    throw error;
  }
}

class Compiler {
  readonly needs = new Set<KeyPart>();
  private readonly environment: Environment;

  constructor(environment: Environment) {
    this.environment = environment;
  }

  node(tree: SyntaxNode): Node {
    const node = this.argument(tree);
    if (tree.kind === 'variable' && resolveVariable(tree.path, tree.position).isMap) {
      throw new KeyExpressionError(
        `"${tree.path}" is a map and has no text: name a member of it`,
        tree.position,
      );
    }
    if (isList(node.constant)) throw new KeyExpressionError('a list has no text', tree.position);
    return node;
  }

  private argument(tree: SyntaxNode): Node {
    switch (tree.kind) {
      case 'literal':
        return constantNode(tree.value);
      case 'variable':
        return this.variable(tree.path, tree.position);
      case 'array':
        return arrayNode(tree.items.map((item) => this.argument(item)));
      case 'call':
        return this.call(tree.name, tree.args, tree.position);
    }
  }

  private variable(path: string, position: number): Node {
    const { part, read } = resolveVariable(path, position);
    if (part !== undefined) this.needs.add(part);
    // One error object per variable: it says nothing about the message, and taking a stack trace for every
    // message that lacks a user property would cost three times as much as the rest of its evaluation.
    const unbound = new KeyEvaluationError('unbound', `the message has no ${path}`);
    return {
      run: (context) => {
        const value = read(context);
        if (value === undefined) throw unbound;
        return value;
      },
      tryRun: read,
    };
  }

  private call(name: string, trees: readonly SyntaxNode[], position: number): Node {
    if (name === 'coalesce' || name === 'iif' || name === 'is_empty') return this.lazy(name, trees, position);
    const definition = keyFunction(name);
    if (definition === undefined) throw new KeyExpressionError(`unknown function "${name}"`, position);
    checkArity(name, definition.arities, trees.length, position);
    const args = trees.map((tree) => this.argument(tree));
    const call = atCompileTime(position, () =>
      located(name, () =>
        definition.prepare(
          args.map((arg) => arg.constant),
          this.environment,
        ),
      ),
    );
    const runs = args.map((arg) => arg.run);
    const run: Run = (context) => {
      const values: Value[] = [];
      for (const argument of runs) values.push(argument(context));
      try {
        return call(values, context);
      } catch (error) {
        throw error instanceof KeyEvaluationError ? error.within(name) : error;
      }
    };
    if (definition.uses !== undefined) {
      this.needs.add(definition.uses);
    } else if (args.every((arg) => arg.constant !== undefined)) {
      // Nothing in it depends on the message, and no such function reads the context.
      const values = args.map((arg) => arg.constant ?? null);
      return constantNode(atCompileTime(position, () => located(name, () => call(values, noContext))));
    }
    return { run, tryRun: forgiving(run) };
  }

  /** The forms whose arguments are evaluated only when needed, and for which unbound means "". */
  private lazy(name: 'coalesce' | 'iif' | 'is_empty', trees: readonly SyntaxNode[], position: number): Node {
    if (name === 'coalesce') return this.coalesce(trees, position);
    checkArity(name, name === 'iif' ? [3] : [1], trees.length, position);
    const [condition, then, otherwise] = trees.map((tree) => this.argument(tree));
    if (condition === undefined) throw new KeyExpressionError(`${name} needs arguments`, position);
    const { tryRun } = condition;
    if (name === 'is_empty' || then === undefined || otherwise === undefined) {
      const run: Run = (context) => isEmpty(tryRun(context) ?? null);
      return { run, tryRun: run };
    }
    const isTrue = (context: KeyContext): boolean => {
      const value = tryRun(context) ?? null;
      return typeof value === 'boolean' ? value : !isEmpty(value);
    };
    return {
      run: (context) => (isTrue(context) ? then.run(context) : otherwise.run(context)),
      tryRun: (context) => (isTrue(context) ? then.tryRun(context) : otherwise.tryRun(context)),
    };
  }

  private coalesce(trees: readonly SyntaxNode[], position: number): Node {
    const [only] = trees;
    if (only === undefined) throw new KeyExpressionError('coalesce needs at least one argument', position);
    const isArray = trees.length === 1 && only.kind === 'array';
    const nodes = (isArray ? only.items : trees).map((tree) => this.argument(tree));
    const isSingle = nodes.length === 1 && !isArray;
    const run: Run = (context) => {
      for (const node of nodes) {
        const value = node.tryRun(context) ?? null;
        // The one argument may also be a list that a function made.
        if (isSingle && isList(value)) return value.find((item) => !isEmpty(item)) ?? '';
        if (!isEmpty(value)) return value;
      }
      return '';
    };
    return { run, tryRun: run };
  }
}

function constantNode(value: Value): Node {
  const run: Run = () => value;
  return { run, tryRun: run, constant: value };
}

function arrayNode(items: readonly Node[]): Node {
  if (items.every((item) => item.constant !== undefined)) {
    return constantNode(items.map((item) => item.constant ?? null));
  }
  const run: Run = (context) => {
    const values: Value[] = [];
    for (const item of items) values.push(item.run(context));
    return values;
  };
  return { run, tryRun: forgiving(run) };
}

function forgiving(run: Run): (context: KeyContext) => Value | undefined {
  return (context) => {
    try {
      return run(context);
    } catch (error) {
      if (error instanceof KeyEvaluationError && error.reason === 'unbound') return undefined;
      throw error;
    }
  };
}

function checkArity(name: string, arities: readonly number[], given: number, position: number): void {
  if (arities.includes(given)) return;
  const wanted =
    arities.length === 1 ? String(arities[0]) : `${arities.slice(0, -1).join(', ')} or ${arities.at(-1)}`;
  const noun = arities.length === 1 && arities[0] === 1 ? 'argument' : 'arguments';
  throw new KeyExpressionError(`${name} takes ${wanted} ${noun}, not ${given}`, position);
}

function located<T>(name: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw error instanceof KeyEvaluationError ? error.within(name) : error;
  }
}

/** Stands in while constants are folded; only functions that declare `uses` look at it, and they are not folded. */
const noContext: KeyContext = {
  id: '',
  qos: 0,
  from: '',
  dup: false,
  retain: false,
  topic: '',
  payload: new Uint8Array(),
  timestampMs: 0,
  username: undefined,
  peername: undefined,
  peerhost: undefined,
  protoVer: 5,
  clientAttrs: undefined,
  propertyBytes: new Uint8Array(),
  nowMs: () => 0,
  random: () => 0,
};
