/**
 * The pieces that tables and charts of a report have in common.
 *
 * Always true: a ratio is of figures of the same case in the same run; above 1 is always in favour of Sluice.
 */

/** Rows of a case, Sluice first. */
export function sortedRows({ rows }) {
  return rows.toSorted((a, b) => Number(b.peer === 'sluice') - Number(a.peer === 'sluice'));
}

/** Whole numbers with separators, small ones with decimals. */
export function numberText(value) {
  if (value === undefined) return 'not measured';
  const decimals = Math.abs(value) >= 100 ? 0 : 3;
  return value.toLocaleString('en-US', { maximumFractionDigits: decimals });
}

/** The headline, its unit, and the spread when there were several runs. */
export function figureText({ unit }, { value, low, high, values }) {
  const spread = values.length > 1 ? ` (${numberText(low)} to ${numberText(high)})` : '';
  return value === undefined ? 'not measured' : `${numberText(value)} ${unit}${spread}`;
}

/** Sluice's figure against this row's, such as `8.1 ×`; empty for Sluice itself and where there is none. */
export function ratioText({ rows, better }, row) {
  const own = rows.find(({ peer }) => peer === 'sluice')?.value;
  if (row.peer === 'sluice' || !(own > 0) || !(row.value > 0)) return '';
  const ratio = better === 'higher' ? own / row.value : row.value / own;
  return `${ratio.toFixed(ratio < 10 ? 2 : 0)} ×`;
}

/** Name and text of everything that the figures depend on. */
export function factRows({ startedAt, machine, commit, settings, absent, suite }) {
  const gigabytes = Math.round(machine.memoryBytes / 1024 ** 3);
  const shown = Object.entries(settings)
    .filter(([, value]) => value !== 0 && !(Array.isArray(value) && value.length === 0))
    .map(([name, value]) => `${name} ${Array.isArray(value) ? value.join(',') : value}`);
  return [
    ['run', `${suite}, ${startedAt}`],
    [
      'machine',
      `${machine.cores} cores (${machine.cpu}), ${gigabytes} GB, ${machine.platform}, kernel ${machine.kernel}`,
    ],
    ['load before', `${machine.loadAverage} (1 minute)`],
    ['Node.js', machine.node],
    ['Sluice', `${machine.version}, commit ${commit}`],
    ['settings', shown.join('; ') || 'defaults'],
    ['absent', absent.map(({ name, reason }) => `${name} (${reason})`).join(', ') || 'none'],
  ];
}
