/**
 * From the JSON line of a bench to figures that can be compared: a flat map from path to value and direction. Pure; runs
 * in the process of `bench:compare`.
 *
 * Always true: the direction follows from the name alone (`…PerSecond` up; `…Ms`, `…Seconds`, `…Bytes`, `…PerMillion`
 * and percentiles of them down), so a new suite needs nothing here. What is neither a rate, a time nor a size (counts,
 * options, series, charts) and what belongs to another broker or to the load itself is left out. A case of a scenario names
 * its headline itself.
 */

const LEFT_OUT =
  /^(?:options|settings|machine|facts|load.*|baseline|peers?|series|.*[cC]urve.*|seconds|count|(?:ack|delivery|completed|cpu)Seconds|acks?edBytes|payloadBytes)$/;
const UP = /PerSecond$/i;
const DOWN = /(?:Ms|Us|Seconds|Bytes|PerMillion)$/;
/** Of a list of objects, the first of these members names the item. */
const NAMES = ['name', 'scenario', 'suite', 'id', 'title'];
const UNITS = { 'per second': 'higher', ms: 'lower', bytes: 'lower' };

/** Parses what a bench wrote to stdout: its last line that is a JSON object. Throws when there is none. */
export function lastJson(stdout) {
  const line = stdout
    .trimEnd()
    .split('\n')
    .findLast((text) => text.startsWith('{'));
  if (line === undefined) throw new Error('the bench printed no JSON line: does it need --json?');
  return JSON.parse(line);
}

/** Figures of a bench's JSON, by path. */
export function figuresOf(report) {
  const figures = new Map();
  collect(report, [], undefined, figures);
  return figures;
}

function collect(value, path, direction, figures) {
  if (typeof value === 'number') {
    if (direction !== undefined) figures.set(path.join('.'), { value, better: direction });
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  if (Array.isArray(value)) {
    // A list of plain numbers is a course or a split, not a figure.
    value.forEach((item, index) => {
      if (typeof item === 'object')
        collect(item, [...path, nameOf(item) ?? String(index)], undefined, figures);
    });
    return;
  }
  if (typeof value.value === 'number' && typeof value.unit === 'string') {
    collect(value.value, path, UNITS[value.unit], figures);
    return;
  }
  if (Array.isArray(value.rows) && typeof value.better === 'string') {
    collectCase(value, path, figures);
    return;
  }
  for (const [key, member] of Object.entries(value)) {
    if (LEFT_OUT.test(key)) continue;
    // Wrappers say nothing: `result.endToEndPerSecond` is the end-to-end rate.
    const isWrapper = /^(?:results?|figures|runs|scenarios|cases)$/.test(key);
    collect(member, isWrapper ? path : [...path, key], directionOf(key) ?? direction, figures);
  }
}

/** A case of a scenario: the row of Sluice, whose value is the headline. */
function collectCase({ rows, better }, path, figures) {
  const row = rows.find(({ peer }) => peer === 'sluice');
  if (typeof row?.value !== 'number') return;
  figures.set(path.join('.'), { value: row.value, better, isHeadline: true });
  collect(row.figures, path, undefined, figures);
}

function directionOf(key) {
  if (UP.test(key)) return 'higher';
  return DOWN.test(key) ? 'lower' : undefined;
}

function nameOf(item) {
  const key = NAMES.find((name) => typeof item?.[name] === 'string');
  return key === undefined ? undefined : item[key];
}

/**
 * Paths of the figures that decide: those with `metric` in it, or else the headlines of cases, or else the end-to-end rates,
 * or else all rates, or else all.
 */
export function headlinesOf(figures, metric) {
  const paths = [...figures.keys()];
  if (metric !== '') return paths.filter((path) => path.includes(metric));
  const attempts = [
    (path) => figures.get(path).isHeadline === true,
    (path) => path.endsWith('endToEndPerSecond'),
    (path) => UP.test(path),
  ];
  for (const decides of attempts) {
    const found = paths.filter((path) => decides(path));
    if (found.length > 0) return found;
  }
  return paths;
}
