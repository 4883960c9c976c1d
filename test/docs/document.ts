/**
 * The command blocks of a document. Runs in the test process; pure.
 *
 * A block of shell commands says in its opening line what the tests do with it: `sh run` carries it out and expects exit code
 * 0, `sh run broker` starts the broker of the blocks after it, `sh run background` goes on while the next ones run, and
 * `sh no-run: <reason>` is left to the reader. A block `text output` after it is what it prints; `…` stands for anything.
 * A comment `<!-- broker: NAME=value … -->` sets variables of the broker that the blocks below it meet.
 */

/** One block of shell commands. */
export interface Block {
  /** Number of the opening line. */
  readonly line: number;
  readonly mark: 'run' | 'broker' | 'background' | 'no-run' | 'unmarked';
  /** Why it does not run. */
  readonly reason: string;
  readonly text: string;
  /** What it prints, if the document tells. */
  readonly output: string | undefined;
  /** Variables of the broker that it meets, when the document sets them here. */
  readonly settings: Readonly<Record<string, string>> | undefined;
}

/** The document that tells how each command is called. */
const reference = 'docs/cli.md';
const shells = new Set(['sh', 'bash', 'shell', 'console', 'zsh']);
const commandLine =
  /^\s*(?:\$ )?(?:[A-Z_]+=\S+ )*(?:npm|npx|node|curl|sluice|mosquitto_\w+|docker|kubectl|systemctl|sudo|apt-get|git) /m;

/** All blocks of shell commands, in order; also those without a language whose text looks like commands. */
export function blocksOf(document: string, file?: string): Block[] {
  const blocks: Block[] = [];
  const parts = document.matchAll(/^( *)(?:```([^\n`]*)\n([^]*?)^\1```|<!-- broker: ([^\n]*?) -->)$/gm);
  let settings: Record<string, string> | undefined;
  for (const { index, 1: indent = '', 2: info = '', 3: indented = '', 4: variables } of parts) {
    // A block inside a list.
    const text = indented.replaceAll(new RegExp(`^${indent}`, 'gm'), '');
    if (variables !== undefined) {
      settings = Object.fromEntries(variables.split(' ').map((pair) => pair.split(/=(.*)/s).slice(0, 2)));
      continue;
    }
    const [language = '', ...words] = info.trim().split(/\s+/);
    const last = blocks.at(-1);
    if (info === 'text output' && last !== undefined) blocks[blocks.length - 1] = { ...last, output: text };
    // One line about how a command of ours is called is no command: with what stands for something else, or in the reference.
    const isUsage = /^sluice [^\n]*\n$/.test(text) && (/[[<]/.test(text) || file === reference);
    if (!shells.has(language) && (language !== '' || isUsage || !commandLine.test(text))) continue;
    const [, reason = ''] = /^\w+ no-run: (.+)$/.exec(info) ?? [];
    blocks.push({
      line: document.slice(0, index).split('\n').length,
      mark: reason === '' ? markOf(words.join(' ')) : 'no-run',
      reason,
      text,
      output: undefined,
      settings,
    });
    settings = undefined;
  }
  return blocks;
}

function markOf(words: string): Block['mark'] {
  switch (words) {
    case 'run':
      return 'run';
    case 'run broker':
      return 'broker';
    case 'run background':
      return 'background';
    default:
      return 'unmarked';
  }
}

/** Whether `actual` is what a document says is printed. */
export function isPrinted(expected: string, actual: string): boolean {
  const source = expected
    .trim()
    .split('…')
    .map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`))
    .join('[^]*?');
  return new RegExp(`^${source}$`).test(actual.trim());
}
