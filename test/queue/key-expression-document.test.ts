import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { keyFunction, keyFunctions } from '../../src/queue/key-expression/function-table.js';
import { keyOf } from './key-expression-context.js';

const document = readFileSync(new URL('../../docs/key-expression.md', import.meta.url), 'utf8');

function between(open: string, close: string): string {
  const [, rest] = document.split(`<!-- ${open} -->\n`);
  return rest?.split(`<!-- ${close} -->`)[0] ?? '';
}

/** The function table as the document must hold it. */
function render(): string {
  const groups = [...new Set(keyFunctions.map((definition) => definition.group))];
  const sections = groups.map((group) => {
    const rows = keyFunctions
      .filter((definition) => definition.group === group)
      .map(({ name, parameters, arities, help }) => {
        const cell = help.replaceAll('|', '\\|');
        return `| \`${name}\` | \`${parameters.replaceAll('|', '\\|')}\` | ${arities.join(', ')} | ${cell} |`;
      });
    return `### ${group}\n\n| Function | Arguments | Number | Result |\n| --- | --- | --- | --- |\n${rows.join('\n')}\n`;
  });
  return `\n${sections.join('\n')}\n`;
}

describe('docs/key-expression.md', () => {
  test('the table of functions is the one the compiler uses [broker]', () => {
    expect(between('table: key functions', 'end of table')).toBe(render());
  });

  test('every example gives the key that stands beside it [broker]', () => {
    const rows = [...between('examples', 'end of examples').matchAll(/^\| `(.+?)` \| `(.+?)` \|$/gm)];
    expect(rows.length).toBeGreaterThan(10);
    for (const [, source, key] of rows) expect(keyOf(source ?? ''), source).toBe(key);
  });
});

describe('the table of functions', () => {
  test('names are unique and every function of EMQX is there in every form [queue-5.4]', () => {
    expect(new Set(keyFunctions.map((definition) => definition.name)).size).toBe(keyFunctions.length);
    const emqx = `lower/1 upper/1 reverse/1 trim/1 trim/2 ltrim/1 ltrim/2 rtrim/1 rtrim/2 substr/2 substr/3 strlen/1
      rm_prefix/2 find/2 find/3 ascii/1 split/2 split/3 tokens/2 tokens/3 nth/2 concat/1 concat/2 join_to_string/1
      join_to_string/2 pad/2 pad/3 pad/4 replace/3 replace/4 sprintf_s/2 unescape/1 any_to_str/1 regex_match/2
      regex_replace/3 regex_extract/2 bin2hexstr/1 hexstr2bin/1 int2hexstr/1 base64_encode/1 base64_encode/2
      base64_encode/3 base64_decode/1 base64_decode/2 base64_decode/3 hash/2 hash_to_range/3 map_to_range/3
      str_comp/2 str_eq/2 str_neq/2 str_lt/2 str_lte/2 str_gt/2 str_gte/2 num_comp/2 num_eq/2 num_neq/2 num_lt/2
      num_lte/2 num_gt/2 num_gte/2 is_empty_val/1 not/1 json_value/2 jwt_value/2 rand_str/1 rand_int/1 getenv/1
      timestamp_s/0 timestamp_ms/0 topic_join/1 topic_join/2 topic_match/2 topic_split/1`;
    for (const form of emqx.split(/\s+/)) {
      const [name = '', arity] = form.split('/');
      expect(keyFunction(name)?.arities, form).toContain(Number(arity));
    }
    expect(keyFunction('concat')?.arities).not.toContain(3);
  });
});
