/**
 * Tables of the documents, made from the tables of the code. Pure: text in, text out.
 *
 * A document holds a pair of marks, `<!-- table: name -->` and `<!-- end of table -->`; what stands between
 * them belongs to this file. `scripts/generate-docs.mjs` writes the documents, and a test of the repository
 * renders them again from `src/` and compares.
 */

/** Documents that hold tables, relative to the repository. */
export const documents = [
  'README.md',
  'docs/configuration.md',
  'docs/errors.md',
  'docs/from-emqx.md',
  'docs/metrics.md',
];

/** Sections that the README shows; the rest is one link away. */
const readmeSections = new Set(['Listeners', 'Storage', 'Threads', 'Process']);

/** All tables by name. `source` holds `sections`, `internalVariables`, `catalogue`, `queueMetrics`, `statusMetrics` and `restErrors` as `src/` exports them. */
export function renderTables({
  sections,
  internalVariables,
  catalogue,
  queueMetrics,
  statusMetrics,
  restErrors,
}) {
  return {
    'main configuration': renderVariables(sections.filter(({ title }) => readmeSections.has(title))),
    configuration: renderSections(sections),
    'EMQX variables': table(
      ['EMQX', 'Sluice', 'Meaning'],
      sections.flatMap(({ fields }) =>
        Object.values(fields)
          .filter(({ alias }) => alias !== undefined)
          .map(({ alias, name, help }) => [code(alias), code(name), help]),
      ),
    ),
    'internal variables': table(
      ['Variable', 'Meaning'],
      Object.entries(internalVariables).map(([name, help]) => [code(name), help]),
    ),
    metrics: table(
      ['Name', 'Kind', 'Labels', 'Written by', 'Meaning'],
      Object.values(catalogue).map((metric) => [
        code(metric.name),
        metric.kind === 'family' ? 'counter' : metric.kind,
        [metric.per && code(metric.per), metric.kind === 'family' && labelText(metric)]
          .filter(Boolean)
          .join('; '),
        { main: 'main thread', worker: 'shard workers', both: 'all threads' }[metric.writer],
        metric.help,
      ]),
    ),
    'REST errors': table(
      ['Code', 'Status', 'Meaning'],
      Object.entries(restErrors).map(([name, { status, meaning }]) => [code(name), status, meaning]),
    ),
    'status metrics': table(
      ['Name', 'Kind', 'Labels', 'Meaning'],
      Object.values(statusMetrics).map(({ name, kind, labels, help }) => [
        code(name),
        kind,
        labels.map(code).join(', '),
        help,
      ]),
    ),
    'queue metrics': table(
      ['Name', 'Kind', 'Meaning'],
      queueMetrics.map(({ name, kind, help }) => [code(name), kind, help]),
    ),
  };
}

/** `text` with the tables between its marks replaced. Throws when a mark names no table or has no end. */
export function fillTables(text, tables) {
  const filled = text.replace(
    /(<!-- table: ([\w ]+) -->\n)[^]*?(<!-- end of table -->)/g,
    (_, start, name, end) => {
      if (tables[name] === undefined) throw new Error(`there is no table "${name}"`);
      return `${start}\n${tables[name]}\n${end}`;
    },
  );
  if (filled.split('<!-- table:').length !== filled.split('<!-- end of table -->').length) {
    throw new Error('a table has no end');
  }
  return filled;
}

function renderSections(sections) {
  return sections.map((section) => `### ${section.title}\n\n${renderVariables([section], true)}`).join('\n');
}

function renderVariables(sections, full = false) {
  const rows = sections.flatMap(({ parent, fields }) =>
    Object.entries(fields).map(([field, variable]) => {
      const name =
        variable.alias === undefined || !full
          ? code(variable.name)
          : `${code(variable.name)}<br>${code(variable.alias)}`;
      const standard =
        /[ `]/.test(variable.defaultText) || variable.defaultText === 'none'
          ? variable.defaultText
          : code(variable.defaultText);
      if (!full) return [name, standard, variable.help];
      const unit = variable.unit === '' ? '' : ` (${variable.unit})`;
      return [
        name,
        variable.type,
        variable.range,
        standard,
        `${code([parent, field].filter(Boolean).join('.'))}${unit}`,
        variable.live === true ? 'yes' : '',
        variable.help,
      ];
    }),
  );
  return full
    ? table(['Variable', 'Type', 'Range', 'Default', 'Field in `Config`', 'Live', 'Meaning'], rows)
    : table(['Variable', 'Default', 'Meaning'], rows);
}

function labelText({ label, values }) {
  const shown = values.filter((value) => value !== undefined);
  const list = shown.length > 16 ? `${code(shown[0])} … ${code(shown.at(-1))}` : shown.map(code).join(', ');
  return `${code(label)}: ${list}`;
}

function table(head, rows) {
  const line = (cells) =>
    `| ${cells.map((cell) => String(cell).replaceAll('|', String.raw`\|`)).join(' | ')} |\n`;
  return line(head) + line(head.map(() => '---')) + rows.map(line).join('');
}

function code(text) {
  return `\`${text}\``;
}
