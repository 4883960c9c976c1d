/**
 * `sluice config …`: what is in force, what a setting means, and whether an environment is without fault.
 *
 * Always true: `effective` asks the running broker, the others read the tables of settings and start nothing; `check` lists all
 * faults at once, with the nearest name for a mistyped one. Values of secrets are shown by neither.
 */
import type { Command } from 'commander';

import {
  ConfigError,
  type ConfigFault,
  type Environment,
  ignoredVariables,
  loadConfig,
} from '../../config/config.js';
import { ENV_FILE_VARIABLE, readEnvironment } from '../../config/env-file.js';
import { nearest } from '../../config/nearest.js';
import { sections } from '../../config/schema.js';
import type { Variable } from '../../config/variable.js';
import { type CommandContext, readGiven, withExamples } from '../context.js';
import { CommandError, exitCode } from '../io.js';
import { type ApiOptions, withApi, withJson } from '../option.js';

interface Setting {
  readonly name: string;
  readonly value: unknown;
  readonly default: unknown;
  readonly source: string;
  readonly help: string;
  readonly unit: string;
  readonly live?: boolean;
}

interface EffectiveOptions extends ApiOptions {
  readonly changed?: boolean;
}

interface CheckOptions {
  readonly envFile?: string;
  readonly json?: boolean;
}

const settingNames: ReadonlySet<string> = new Set(
  sections.flatMap(({ fields }) => Object.values(fields).map(({ name }) => name)),
);

/** Adds the commands. */
export function addConfig(program: Command, context: CommandContext): void {
  const config = program.command('config').description('settings of the broker');
  addEffective(config, context);
  addExplain(config, context);
  addCheck(config, context);
}

function addEffective(config: Command, context: CommandContext): void {
  const effective = withApi(
    config
      .command('effective')
      .description('the settings of the running broker, and where each comes from')
      .argument('[text]', 'only settings whose name contains it')
      .option('--changed', 'only what is not the default'),
  ).action(async (text: string | undefined, options: EffectiveOptions) => {
    const api = await context.api(options);
    const { data } = await api.get<{ data: Setting[] }>('/configs');
    const wanted = (text ?? '').toUpperCase();
    const rows = data.filter(
      ({ name, source }) => name.includes(wanted) && (options.changed !== true || source !== 'default'),
    );
    context.output(options).list(
      rows,
      [
        { head: 'setting', cell: ({ name }) => name },
        { head: 'value', cell: ({ value, unit }) => valueText(value, unit) },
        { head: 'source', cell: ({ source }) => source },
        { head: 'change', cell: ({ live }) => (live === true ? 'live' : 'restart') },
      ],
      'No setting matches.',
    );
  });
  withExamples(effective, 'sluice config effective --changed');
}

function addExplain(config: Command, context: CommandContext): void {
  const explain = withJson(
    config
      .command('explain')
      .description('what a setting means, takes and does by default')
      .argument('<name>', 'variable, with or without SLUICE_, or a part of it'),
  ).action((name: string, options: { json?: boolean }) => {
    const output = context.output(options);
    const found = settingsLike(name);
    const rows = found.map((variable) => ({
      name: variable.name,
      alias: variable.alias,
      help: variable.help,
      type: variable.type,
      range: variable.range,
      unit: variable.unit,
      default: variable.defaultText,
      given: context.io.env[variable.name] === undefined ? 'no' : 'in this environment',
    }));
    if (output.isJson) {
      output.json(rows);
      return;
    }
    context.io.out(
      rows
        .map((row) =>
          [
            row.name,
            `  ${row.help}`,
            `  takes    ${row.type}: ${row.range}${row.unit === '' ? '' : ` (${row.unit})`}`,
            `  default  ${row.default}`,
            ...(row.alias === undefined ? [] : [`  also     ${row.alias}`]),
            ...(row.given === 'no' ? [] : [`  given    ${row.given}`]),
            '',
          ].join('\n'),
        )
        .join('\n'),
    );
  });
  withExamples(explain, 'sluice config explain durability', 'sluice config explain mq');
}

function addCheck(config: Command, context: CommandContext): void {
  const check = withJson(
    config
      .command('check')
      .description('would a broker start with these settings? lists all faults')
      .option('--env-file <file>', 'settings as KEY=VALUE lines, below those of the environment'),
  ).action((options: CheckOptions) => {
    const { env, faults } = checked(context, options.envFile);
    const ignored = ignoredVariables(env);
    const given = Object.keys(env).filter(
      (name) => settingNames.has(name) && name !== ENV_FILE_VARIABLE,
    ).length;
    if (options.json === true) {
      context.output(options).json({ ok: faults.length === 0, faults, ignored });
    } else if (faults.length === 0) {
      context.io.out(`no faults in ${given} settings\n`);
      for (const name of ignored) context.io.out(`  ${name} has no meaning here and is ignored\n`);
    } else {
      context.io.err(`${faults.length === 1 ? 'one fault' : `${faults.length} faults`}:\n`);
      for (const { variable, message } of faults) context.io.err(`  ${variable}: ${message}\n`);
    }
    if (faults.length > 0) context.exit = exitCode.failed;
  });
  withExamples(check, 'sluice config check', 'SLUICE_SHARDS=4 sluice config check --json');
}

/** The settings, with those of a file below them, and what is wrong with them; a file that is not there is wrong use. */
function checked(
  { io }: CommandContext,
  file: string | undefined,
): { env: Environment; faults: readonly ConfigFault[] } {
  if (file !== undefined) readGiven(file);
  let { env } = io;
  try {
    if (file !== undefined) env = readEnvironment({ ...env, [ENV_FILE_VARIABLE]: file });
    loadConfig(env);
    return { env, faults: [] };
  } catch (error) {
    if (error instanceof ConfigError) return { env, faults: error.faults };
    throw error;
  }
}

/** The settings that a name means: itself, an alias, else all that contain it. */
function settingsLike(given: string): Variable<unknown>[] {
  const all = sections.flatMap(({ fields }) => Object.values(fields));
  const upper = given.toUpperCase().replaceAll('-', '_');
  const exact = all.filter(
    ({ name, alias }) => name === upper || name === `SLUICE_${upper}` || alias === upper,
  );
  const found = exact.length > 0 ? exact : all.filter(({ name }) => name.includes(upper));
  if (found.length > 0) return found;
  const names = all.map(({ name }) => name);
  const close = nearest(upper.startsWith('SLUICE_') ? upper : `SLUICE_${upper}`, names);
  throw new CommandError(exitCode.wrongUse, `${JSON.stringify(given)} is not a setting of Sluice`, {
    hint: close === undefined ? 'docs/configuration.md lists all settings' : `did you mean ${close}?`,
  });
}

function valueText(value: unknown, unit: string): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value ?? null);
  return unit === '' || typeof value !== 'number' ? text : `${text} ${unit}`;
}
