/**
 * The reference of the commands in docs/cli.md, made from their definitions. Pure: tree in, markdown out.
 *
 * `scripts/generate-docs.mjs` writes it, and a test renders it again from `src/` and compares. Every command has a heading, so
 * that it can be linked; the options of the connection, which are the same for many, are described once.
 */

/** Options that have a table of their own, by the flags that tell the two groups apart. */
const groups = {
  '--timeout <duration>': 'connection to the REST API',
  '--connect-timeout <duration>': 'connection over MQTT',
};

/** All tables by name: `commands` is the reference, the others are options of connections, and the variables. */
export function renderCommands(tree, commandVariables) {
  const leaves = flatten(tree).filter(({ children }) => children.length === 0);
  const shared = Object.fromEntries(
    Object.entries(groups).map(([flags, title]) => [title, sharedOptions(leaves, flags)]),
  );
  const known = new Set(Object.values(shared).flatMap((options) => options.map(identity)));
  return {
    commands: leaves.map((leaf) => renderLeaf(leaf, shared, known)).join('\n'),
    ...Object.fromEntries(Object.entries(shared).map(([title, options]) => [title, optionTable(options)])),
    'command variables': table(
      ['Variable', 'Meaning'],
      Object.entries(commandVariables).map(([name, help]) => [code(name), help]),
    ),
  };
}

/** The options of the connection, as the first command that has them defines them. */
function sharedOptions(leaves, flags) {
  const owner = leaves.find(({ options }) => options.some((option) => option.flags === flags));
  return (owner?.options ?? []).filter(({ isShared }) => isShared);
}

function renderLeaf(node, shared, known) {
  const own = node.options.filter((option) => !known.has(identity(option)));
  const groupName = Object.keys(shared).find((title) =>
    shared[title].every((option) => node.options.some((other) => identity(other) === identity(option))),
  );
  const usage = [
    node.path,
    ...(node.options.length > 0 ? ['[options]'] : []),
    ...node.arguments.map(({ usage }) => usage),
  ];
  const parts = [
    `### ${node.path}`,
    sentence(node.description),
    `\`\`\`\n${usage.join(' ')}\n\`\`\``,
    ...(own.length + node.arguments.length > 0 ? [optionTable(own, node.arguments).trimEnd()] : []),
    ...(groupName === undefined
      ? []
      : [`And the options of the [${groupName}](#${groupName.toLowerCase().replaceAll(' ', '-')}).`]),
    ...(node.examples.length > 0
      ? [`\`\`\`sh run${node.name === 'start' ? ' broker' : ''}\n${node.examples.join('\n')}\n\`\`\``]
      : []),
  ];
  return `${parts.join('\n\n')}\n`;
}

function optionTable(options, args = []) {
  return table(
    ['Option', 'Default', 'Meaning'],
    [
      ...args.map((argument) => [code(argument.usage), '', meaningOf(argument)]),
      ...options.map((option) => [
        code(option.flags),
        option.defaultText === undefined ? '' : code(option.defaultText),
        meaningOf(option),
      ]),
    ],
  );
}

function meaningOf({ description, choices }) {
  return choices.length === 0 ? description : `${description}: ${choices.map(code).join(', ')}`;
}

function identity({ flags, description }) {
  return `${flags} ${description}`;
}

function flatten(node) {
  return [node, ...node.children.flatMap(flatten)];
}

function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}${/[.?]$/.test(text) ? '' : '.'}`;
}

function table(head, rows) {
  const line = (cells) =>
    `| ${cells.map((cell) => String(cell).replaceAll('|', String.raw`\|`)).join(' | ')} |\n`;
  return line(head) + line(head.map(() => '---')) + rows.map(line).join('');
}

function code(text) {
  return `\`${text}\``;
}
