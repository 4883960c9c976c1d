/**
 * Tokens to a syntax tree. Runs once per expression, on the thread that compiles it.
 *
 *   root     = literal | variable | call
 *   call     = name "(" [ argument { "," argument } ] ")"
 *   argument = root | "[" argument { "," argument } "]"
 *
 * Always true: every fault has a position in the source; source length and depth are bounded, so neither
 * this nor the compiler can run out of stack.
 */
import { KeyExpressionError } from './error.js';
import { tokenize, type Token } from './lexer.js';
import type { Value } from './value.js';

/** Syntax tree. Function names and paths are as written; the compiler gives them meaning. */
export type SyntaxNode =
  | { readonly kind: 'literal'; readonly position: number; readonly value: Value }
  | { readonly kind: 'variable'; readonly position: number; readonly path: string }
  | { readonly kind: 'call'; readonly position: number; readonly name: string; readonly args: SyntaxNode[] }
  | { readonly kind: 'array'; readonly position: number; readonly items: SyntaxNode[] };

/** Longest source, characters. */
export const sourceCharsMax = 8_192;

/** Deepest nesting of calls and arrays. */
export const nestingMax = 64;

/** Syntax tree of `source`. Throws `KeyExpressionError`. */
export function parse(source: string): SyntaxNode {
  if (source.length > sourceCharsMax) {
    throw new KeyExpressionError(
      `the expression is longer than ${sourceCharsMax} characters`,
      sourceCharsMax,
    );
  }
  const parser = new Parser(tokenize(source));
  return parser.root();
}

class Parser {
  private readonly tokens: readonly Token[];
  private next = 0;

  constructor(tokens: readonly Token[]) {
    this.tokens = tokens;
  }

  root(): SyntaxNode {
    const first = this.peek();
    if (first.kind === 'end') throw new KeyExpressionError('the expression is empty', first.position);
    if (first.kind === '[') {
      throw new KeyExpressionError('an array can only be an argument of a function', first.position);
    }
    const node = this.argument(0);
    const rest = this.peek();
    if (rest.kind !== 'end') {
      throw new KeyExpressionError(`${describe(rest)} after the end of the expression`, rest.position);
    }
    return node;
  }

  private argument(depth: number): SyntaxNode {
    const token = this.take();
    const { position } = token;
    if (depth > nestingMax) {
      throw new KeyExpressionError(`nested more than ${nestingMax} levels deep`, position);
    }
    if (token.kind === 'literal') return { kind: 'literal', position, value: token.value };
    if (token.kind === '[') {
      return {
        kind: 'array',
        position,
        items: this.sequence(']', 'an array needs at least one item', depth),
      };
    }
    if (token.kind === 'identifier') {
      if (this.peek().kind !== '(') return { kind: 'variable', position, path: token.text };
      this.take();
      return { kind: 'call', position, name: token.text, args: this.sequence(')', '', depth) };
    }
    throw new KeyExpressionError(`${describe(token)} where a value is expected`, position);
  }

  /** Arguments up to `close`. `emptyError` says why there must be one; "" when there need not. */
  private sequence(close: ')' | ']', emptyError: string, depth: number): SyntaxNode[] {
    const items: SyntaxNode[] = [];
    const first = this.peek();
    if (first.kind === close) {
      if (emptyError !== '') throw new KeyExpressionError(emptyError, first.position);
      this.take();
      return items;
    }
    for (;;) {
      items.push(this.argument(depth + 1));
      const token = this.take();
      if (token.kind === close) return items;
      if (token.kind !== ',') {
        throw new KeyExpressionError(
          `${describe(token)} where "," or "${close}" is expected`,
          token.position,
        );
      }
    }
  }

  private peek(): Token {
    const token = this.tokens[this.next];
    if (token === undefined) throw new KeyExpressionError('the expression ends too early', 0);
    return token;
  }

  private take(): Token {
    const token = this.peek();
    // The closing token is never consumed, so that every later look still finds it.
    if (token.kind !== 'end') this.next += 1;
    return token;
  }
}

function describe(token: Token): string {
  if (token.kind === 'end') return 'the end';
  if (token.kind === 'identifier') return `"${token.text}"`;
  return token.kind === 'literal' ? 'a literal' : `"${token.kind}"`;
}
