/**
 * The settings that are in force, as one would write them, and where each comes from. Main thread; pure.
 *
 * Always true: every setting of config/schema.ts is there, in its order; secrets are hidden, and so is what a text may hold
 * of them. Queue settings and live settings are those in force at this moment, whoever set them.
 */
import type { Config, Environment } from '../config/config.js';
import { sections } from '../config/schema.js';
import { formatBytes, formatDurationMs } from '../config/unit.js';
import type { Variable } from '../config/variable.js';
import { HIDDEN, hideInLine } from '../telemetry/log-secret.js';

/** Who said what a setting is. `file`: a file of settings, or what REST has stored. */
export type SettingSource = 'default' | 'environment' | 'file';

/** One setting. */
export interface SettingView {
  readonly name: string;
  readonly section: string;
  /** As text, in the form of the environment. */
  readonly value: string;
  readonly default: string;
  readonly source: SettingSource;
  readonly help: string;
  /** Of a bare number; empty where there is none. */
  readonly unit: string;
  /** A change takes effect without a restart. */
  readonly live: boolean;
}

/** What they are read from. */
export interface SettingSources {
  /** What is in force now. */
  readonly config: Config;
  /** What the start has read: the environment, and below it the file of settings. */
  readonly environment: Environment;
  /** The environment alone. */
  readonly ownEnvironment: Environment;
}

/** Settings whose values are secrets, or may hold some. */
const secretName = /(?:PASSWORD|SECRET|HEADERS|BODY)$/;

/** Lists all settings. */
export function settingViews(sources: SettingSources): SettingView[] {
  return sections.flatMap(({ title, parent, fields }) => {
    const inForce = (parent === undefined ? sources.config : sources.config[parent]) as unknown as Readonly<
      Record<string, unknown>
    >;
    return Object.entries(fields).map(([field, variable]) => ({
      name: variable.name,
      section: title,
      ...valueOf(variable, inForce[field], sources),
      default: variable.defaultText,
      help: variable.help,
      unit: variable.unit,
      live: parent === 'mq' || variable.live === true,
    }));
  });
}

function valueOf(
  variable: Variable<unknown>,
  inForce: unknown,
  { environment, ownEnvironment }: SettingSources,
): Pick<SettingView, 'value' | 'source'> {
  const given = givenIn(environment, variable);
  let source: SettingSource = givenIn(ownEnvironment, variable) === undefined ? 'file' : 'environment';
  let text: string;
  if (given !== undefined && isSame(read(variable, given), inForce)) {
    text = given;
  } else if (given === undefined && isDefault(variable, inForce)) {
    source = 'default';
    text = shown(variable, inForce);
  } else {
    // It was changed since the start: by REST, or by a file that was read again.
    source = 'file';
    text = written(variable, inForce);
  }
  const isSecret = secretName.test(variable.name) && source !== 'default';
  return { value: isSecret ? HIDDEN : hideInLine(text), source };
}

/** As in config.ts: an empty variable counts as not set, and ours wins over EMQX's. */
function givenIn(environment: Environment, { name, alias }: Variable<unknown>): string | undefined {
  for (const each of [name, alias]) {
    const text = each === undefined ? undefined : environment[each]?.trim();
    if (text !== undefined && text !== '') return text;
  }
  return undefined;
}

/** A value that nobody gave. */
function shown(variable: Variable<unknown>, value: unknown): string {
  const isPlain = typeof value === 'number' ? Number.isFinite(value) : typeof value === 'boolean';
  const isText = typeof value === 'string' && value !== '';
  return isPlain || isText ? written(variable, value) : variable.defaultText;
}

function written({ type }: Variable<unknown>, value: unknown): string {
  if (typeof value === 'number' && type === 'duration') return formatDurationMs(value);
  if (typeof value === 'number' && type === 'size') return formatBytes(value);
  if (value === undefined) return 'none';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Some defaults depend on other settings; they are an empty text until those are known. */
function isDefault(variable: Variable<unknown>, value: unknown): boolean {
  const fallback = variable.fallback();
  return fallback === '' || isSame(fallback, value);
}

/** The start has refused what cannot be read. */
function read(variable: Variable<unknown>, given: string): unknown {
  try {
    return variable.parse(given.replace(/^"(.*)"$/s, '$1'));
  } catch {
    return undefined;
  }
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
