/**
 * Completion scripts for bash, zsh and fish, made from the tree of commands. Pure: tree in, script out.
 *
 * Always true: a script knows every command, option and choice of this version and needs nothing installed; names of queues are
 * asked of the broker, for at most one second, and only where one is expected. Texts are quoted for the shell they go to; a
 * name of a queue is never read as code of the shell, whatever stands in it. Names with a quote, a backslash or a control
 * character are left out.
 */
import { type CommandNode, flatten, type OptionNode } from './tree.js';

/** Shells that a script can be made for. */
export const shells = ['bash', 'zsh', 'fish'] as const;
/** One of them. */
export type Shell = (typeof shells)[number];

// Whole names, one on each line: lines of the JSON without an escape.
const queueNames = String.raw`sluice queues list --json --timeout 1s 2>/dev/null | sed -n 's/^    "name": "\([^"\\]*\)",*$/\1/p'`;

/** The script for a shell. */
export function completionScript(shell: Shell, tree: CommandNode): string {
  return { bash: bashScript, zsh: zshScript, fish: fishScript }[shell](tree);
}

function bashScript(tree: CommandNode): string {
  return `# bash completion for sluice. Add to ~/.bashrc: source <(sluice completion bash)
# Compared by hand: compgen -W would expand its words as code. What is offered is quoted.
_sluice_words() {
  local word quoted
  for word; do
    printf -v quoted %q "$word"
    # Within quotes only what needs none.
    case $current in
      [\\"\\']*) [[ $quoted == "$word" && $word == "\${current:1}"* ]] && COMPREPLY+=("$word") ;;
      *) [[ $word == "$current"* || $quoted == "$current"* ]] && COMPREPLY+=("$quoted") ;;
    esac
  done
}
_sluice_queues() {
  local names=() name
  while IFS= read -r name; do names+=("$name"); done < <(${queueNames})
  _sluice_words "\${names[@]}"
}
_sluice_files() {
  local file
  while IFS= read -r file; do
    # With this option the shell quotes by itself.
    compopt -o filenames 2>/dev/null || printf -v file %q "$file"
    COMPREPLY+=("$file")
  done < <(compgen -f -- "$current")
}
_sluice() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} path=sluice index
  COMPREPLY=()
  for ((index = 1; index < COMP_CWORD; index++)); do
    case "$path \${COMP_WORDS[index]}" in
${pathCases(tree, '      ')}
    esac
  done
  case "$path $previous" in
${valueCases(tree)
  .map(
    ({ pattern, choices, isFile }) =>
      `    ${pattern}) ${isFile ? '_sluice_files' : bashOffer(choices)}; return ;;`,
  )
  .join('\n')}
  esac
  case "$path" in
${flatten(tree)
  .map((node) => `    '${node.path}') ${bashWords(node)} ;;`)
  .join('\n')}
  esac
}
complete -F _sluice sluice
`;
}

/** The shell variable \`path\` follows the words that are commands, whatever their alias. */
function pathCases(tree: CommandNode, indent: string): string {
  return flatten(tree)
    .flatMap((node) => node.children.map((child) => ({ node, child })))
    .map(({ node, child }) => {
      const names = [child.name, ...child.aliases].map((name) => `'${node.path} ${name}'`).join(' | ');
      return `${indent}${names}) path='${child.path}' ;;`;
    })
    .join('\n');
}

/** What may follow an option that takes a value. */
function valueCases(tree: CommandNode): (Pick<OptionNode, 'choices' | 'isFile'> & { pattern: string })[] {
  return flatten(tree).flatMap(({ path, options }) =>
    options
      .filter(({ takesValue }) => takesValue)
      .map((option) => ({
        pattern: [option.short, option.long]
          .filter((flag) => flag !== undefined)
          .map((flag) => `'${path} ${flag}'`)
          .join(' | '),
        choices: option.choices,
        isFile: option.isFile,
      })),
  );
}

function bashWords(node: CommandNode): string {
  const words = bashOffer(wordsOf(node));
  if (takesQueue(node)) return `if [[ $current == -* ]]; then ${words}; else _sluice_queues; fi`;
  return node.arguments.some(({ name }) => name === 'file') ? `${words}; _sluice_files` : words;
}

function bashOffer(words: readonly string[]): string {
  return ['_sluice_words', ...words.map((word) => `'${word}'`)].join(' ');
}

function wordsOf(node: CommandNode): string[] {
  return [
    ...node.children.map(({ name }) => name),
    ...node.arguments.flatMap(({ choices }) => choices),
    ...node.options.map(({ long }) => long),
    '--help',
  ];
}

function takesQueue({ path, arguments: args }: CommandNode): boolean {
  return path.startsWith('sluice queues ') && args.some(({ name }) => ['name', 'from', 'to'].includes(name));
}

function zshScript(tree: CommandNode): string {
  return `#compdef sluice
# zsh completion for sluice. Add to ~/.zshrc, after compinit: source <(sluice completion zsh)
_sluice() {
  local current=\${words[CURRENT]} previous=\${words[CURRENT - 1]} path_=sluice index
  local -a entries
  for ((index = 2; index < CURRENT; index++)); do
    case "$path_ \${words[index]}" in
${pathCases(tree, '      ').replaceAll("path='", "path_='")}
    esac
  done
  case "$path_ $previous" in
${valueCases(tree)
  .map(({ pattern, choices, isFile }) => `    ${pattern}) ${zshValue(choices, isFile)}; return ;;`)
  .join('\n')}
  esac
  case "$path_" in
${flatten(tree)
  .map((node) => `    '${node.path}') ${zshEntries(node)} ;;`)
  .join('\n')}
  esac
  _describe sluice entries
}
compdef _sluice sluice
`;
}

function zshValue(choices: readonly string[], isFile: boolean): string {
  if (isFile) return '_files';
  return choices.length === 0 ? "_message 'value'" : `compadd -- ${choices.join(' ')}`;
}

function zshEntries(node: CommandNode): string {
  const entries = [
    ...node.children.map(({ name, description }) => zshEntry(name, description)),
    ...node.arguments.flatMap(({ choices }) => choices.map((choice) => zshEntry(choice, ''))),
  ];
  const flags = [
    ...node.options.map(({ long, description }) => zshEntry(long, description)),
    zshEntry('--help', 'help'),
  ];
  const queue = takesQueue(node) ? ` compadd -- \${(f)"$(${queueNames})"};` : '';
  const files = node.arguments.some(({ name }) => name === 'file') ? ' _files;' : '';
  const whenFlag = `if [[ $current == -* ]]; then entries=(${flags.join(' ')}); else entries=(${entries.join(' ')});${queue}${files} fi`;
  return whenFlag;
}

function zshEntry(word: string, description: string): string {
  return `'${word.replaceAll(':', String.raw`\:`)}:${description.replaceAll("'", String.raw`'\''`)}'`;
}

function fishScript(tree: CommandNode): string {
  const lines = flatten(tree).flatMap((node) => [
    ...node.children.map((child) => fishLine(node, `-f -a ${child.name}`, child.description)),
    ...node.arguments.flatMap(({ choices }) =>
      choices.map((choice) => fishLine(node, `-f -a ${choice}`, '')),
    ),
    ...node.options.map((option) => fishLine(node, fishOption(option), option.description)),
    ...(takesQueue(node) ? [fishLine(node, `-f -a ${fishQuote(`(${queueNames})`)}`, 'queue')] : []),
  ]);
  return `# fish completion for sluice. Save as ~/.config/fish/completions/sluice.fish
function __sluice_at
    set -l path sluice
    for word in (commandline -opc)[2..-1]
        switch "$path $word"
${flatten(tree)
  .flatMap((node) => node.children.map((child) => ({ node, child })))
  .map(
    ({ node, child }) =>
      `            case ${[child.name, ...child.aliases].map((name) => fishQuote(`${node.path} ${name}`)).join(' ')}\n                set path ${fishQuote(child.path)}`,
  )
  .join('\n')}
        end
    end
    test "$path" = "$argv[1]"
end
complete -c sluice -f
${lines.join('\n')}
`;
}

function fishLine(node: CommandNode, what: string, description: string): string {
  return `complete -c sluice -n ${fishQuote(`__sluice_at ${JSON.stringify(node.path)}`)} ${what} -d ${fishQuote(description)}`;
}

function fishOption({ short, long, takesValue, choices, isFile }: OptionNode): string {
  const names = `${short === undefined ? '' : `-s ${short.slice(1)} `}-l ${long.slice(2)}`;
  if (!takesValue) return names;
  if (choices.length > 0) return `${names} -x -a ${fishQuote(choices.join(' '))}`;
  return isFile ? `${names} -r -F` : `${names} -x`;
}

function fishQuote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", String.raw`\'`)}'`;
}
