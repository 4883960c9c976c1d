/**
 * docs/conformance.md, made from the clause lists and the titles of the tests. Pure: texts in, text out.
 *
 * A title ends in the clauses it proves: `[MQTT-3.1.0-1]` is MQTT 5.0, `[MQTT-3.1.1 3.1.0-1]` is MQTT 3.1.1.
 * `scripts/conformance.mjs` writes the document, and a test of the repository renders it again and compares.
 */
import { clauses as clauses3, unproved as unproved3 } from './conformance-clauses-3.mjs';
import { clauses as clauses5, unproved as unproved5 } from './conformance-clauses-5.mjs';

/** Both specifications: `prefix` is what a title writes before the number. */
export const specifications = [
  { name: 'MQTT 5.0', prefix: 'MQTT-', clauses: clauses5, unproved: unproved5 },
  { name: 'MQTT 3.1.1', prefix: 'MQTT-3.1.1 ', clauses: clauses3, unproved: unproved3 },
];

/** Files whose titles count. */
export const testFiles = /^test\/(?!repository\/).*(\.(test|e2e|crash)|[\w-]*contract)\.ts$/;

const call =
  /(?:^|[\s;])(?:test|it)(?:\.each\([^]*?\]\)|\.\w+\([^()]*\))?\(\s*(['"`])((?:\\.|(?!\1)[^\\])*)\1/g;
const mark = /\[(MQTT-(?:3\.1\.1 )?[\d.]+-\d+)\]/g;

/** All proofs: `{ id, path, title }` for every clause at the end of a title. `files` holds `{ path, text }`. */
export function proofsOf(files) {
  return files.flatMap(({ path, text }) =>
    [...text.matchAll(call)].flatMap(([, , raw]) => {
      const title = raw.replace(/(\s*\[[^\]]+\])+$/, '').replaceAll(/\\(.)/g, '$1');
      return [...(/(\s*\[[^\]]+\])+$/.exec(raw)?.[0] ?? '').matchAll(mark)].map(([, id]) => ({
        id,
        path,
        title,
      }));
    }),
  );
}

/** Marks of titles that are no clause of either specification, as `path: id`. */
export function unknownIds(proofs) {
  const known = new Set(specifications.flatMap(({ prefix, clauses }) => clauses.map(([id]) => prefix + id)));
  return proofs.filter(({ id }) => !known.has(id)).map(({ path, id }) => `${path}: ${id}`);
}

/** Statements that bind a server and have neither a test nor a reason. */
export function openIds(proofs) {
  const proved = new Set(proofs.map(({ id }) => id));
  return specifications.flatMap(({ prefix, clauses, unproved }) =>
    clauses
      .filter(([id, binds]) => binds !== 'client' && !proved.has(prefix + id) && unproved[id] === undefined)
      .map(([id]) => prefix + id),
  );
}

/** Reasons that stand beside a test, or beside a statement that does not bind a server. */
export function needlessReasons(proofs) {
  const proved = new Set(proofs.map(({ id }) => id));
  return specifications.flatMap(({ prefix, clauses, unproved }) =>
    Object.keys(unproved)
      .filter((id) => {
        const clause = clauses.find(([other]) => other === id);
        return clause === undefined || clause[1] === 'client' || proved.has(prefix + id);
      })
      .map((id) => prefix + id),
  );
}

/** The whole document. */
export function renderConformance(files) {
  const proofs = proofsOf(files);
  const parts = specifications.map((specification) => renderSpecification(specification, proofs));
  return `# Conformance

Every normative statement of MQTT 5.0 and MQTT 3.1.1 that binds a server, by its number in the
specification, with the tests that prove it. The words are ours and only a reminder. Made by \`npm run docs\`
from the titles of the tests; a title ends in what it proves.

| | statements for a server | proved by a test | not provable | open | statements for clients only |
| --- | --- | --- | --- | --- | --- |
${specifications.map((specification) => renderCount(specification, proofs)).join('')}
${parts.join('\n')}`;
}

function renderCount({ name, prefix, clauses, unproved }, proofs) {
  const proved = new Set(proofs.map(({ id }) => id));
  const server = clauses.filter(([, binds]) => binds !== 'client');
  const withTest = server.filter(([id]) => proved.has(prefix + id)).length;
  const excused = server.filter(([id]) => !proved.has(prefix + id) && unproved[id] !== undefined).length;
  const open = server.length - withTest - excused;
  return `| ${name} | ${server.length} | ${withTest} | ${excused} | ${open} | ${clauses.length - server.length} |\n`;
}

function renderSpecification({ name, prefix, clauses, unproved }, proofs) {
  const byId = groupById(proofs);
  const rows = (binding) => clauses.filter(([id, binds]) => binding(binds, byId.has(prefix + id)));
  const proved = rows((binds, hasTest) => binds !== 'client' && hasTest);
  const missing = rows((binds, hasTest) => binds !== 'client' && !hasTest);
  const enforced = rows((binds, hasTest) => binds === 'client' && hasTest);
  const rest = rows((binds, hasTest) => binds === 'client' && !hasTest);
  const proofTable = (list) =>
    table(
      ['Statement', 'Binds', 'Asks for', 'Proved by'],
      list.map(([id, binds, words]) => [id, binds, words, renderProofs(byId.get(prefix + id))]),
    );
  return `## ${name}

### Proved by tests

${proofTable(proved)}
### Without a test

${
  missing.length === 0
    ? 'None.\n'
    : table(
        ['Statement', 'Binds', 'Asks for', 'Why'],
        missing.map(([id, binds, words]) => [id, binds, words, unproved[id] ?? 'Open: a test is missing.']),
      )
}
### For clients

What a client must do and the server holds it to:

${proofTable(enforced)}
What a client must do and a server cannot see or need not answer: ${rest.map(([id]) => id).join(', ')}.
`;
}

function groupById(proofs) {
  const groups = new Map();
  for (const proof of proofs) groups.set(proof.id, [...(groups.get(proof.id) ?? []), proof]);
  return groups;
}

/** Titles by file, in order. */
function renderProofs(proofs) {
  const byPath = new Map();
  for (const { path, title } of proofs) byPath.set(path, new Set([...(byPath.get(path) ?? []), title]));
  return [...byPath].map(([path, titles]) => `\`${path}\`: ${[...titles].join('; ')}`).join('<br>');
}

function table(head, rows) {
  const line = (cells) =>
    `| ${cells.map((cell) => String(cell).replaceAll('|', String.raw`\|`)).join(' | ')} |\n`;
  return line(head) + line(head.map(() => '---')) + rows.map(line).join('');
}
