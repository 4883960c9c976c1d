/**
 * The Dockerfile as data: stages and their instructions. Runs in the test process.
 *
 * Always true: an instruction that this reader does not know is an error, so that a step cannot be passed over in silence.
 * Gives up: ARG, heredocs, escapes other than a backslash at the end of a line.
 */

/** One instruction. */
export interface Instruction {
  readonly keyword: string;
  /** `--from=build` and the like, by name. */
  readonly flags: ReadonlyMap<string, string>;
  /** The rest of the instruction, on one line. */
  readonly text: string;
  /** The arguments of the exec form; undefined: shell form. */
  readonly exec: readonly string[] | undefined;
}

/** What stands between two FROM. */
export interface Stage {
  readonly name: string;
  readonly base: string;
  readonly instructions: readonly Instruction[];
}

const keywords = new Set(
  'FROM WORKDIR COPY RUN ENV USER VOLUME EXPOSE STOPSIGNAL HEALTHCHECK ENTRYPOINT CMD LABEL'.split(' '),
);

/** Reads a whole Dockerfile. Throws for what it does not understand. */
export function parseDockerfile(text: string): Stage[] {
  const stages: { name: string; base: string; instructions: Instruction[] }[] = [];
  const lines = text
    .split('\n')
    .filter((line) => !/^\s*(#|$)/.test(line))
    .join('\n')
    .replaceAll(/\s*\\\n\s*/g, ' ');
  for (const line of lines.split('\n').filter((one) => one !== '')) {
    const instruction = parseInstruction(line);
    if (instruction.keyword === 'FROM') {
      const [, base = '', name = ''] = /^(\S+)(?: AS (\S+))?$/.exec(instruction.text) ?? [];
      stages.push({ name, base, instructions: [] });
    } else {
      const stage = stages.at(-1);
      if (stage === undefined) throw new Error(`before the first FROM: ${line}`);
      stage.instructions.push(instruction);
    }
  }
  return stages;
}

function parseInstruction(line: string): Instruction {
  const [, keyword = '', rest = ''] = /^(\w+)\s+(.*)$/.exec(line) ?? [];
  if (!keywords.has(keyword)) throw new Error(`unknown instruction: ${line}`);
  const flags = new Map<string, string>();
  const text = rest
    .replace(/^(?:--[a-z-]+=\S+\s+)+/, (found) => {
      for (const [, name = '', value = ''] of found.matchAll(/--([a-z-]+)=(\S+)/g)) flags.set(name, value);
      return '';
    })
    .trim();
  // The command of a health check has its own keyword in front.
  const json = /^(?:CMD\s+)?(\[.*\])$/.exec(text)?.[1];
  return { keyword, flags, text, exec: json === undefined ? undefined : (JSON.parse(json) as string[]) };
}

/** All instructions of one kind, in order. */
export function instructionsOf({ instructions }: Stage, keyword: string): Instruction[] {
  return instructions.filter((one) => one.keyword === keyword);
}

/** The variables that ENV sets. */
export function environmentOf(stage: Stage): Record<string, string> {
  return Object.fromEntries(
    instructionsOf(stage, 'ENV').flatMap(({ text }) =>
      text.split(/\s+/).map((pair): [string, string] => {
        const at = pair.indexOf('=');
        return [pair.slice(0, at), pair.slice(at + 1)];
      }),
    ),
  );
}
