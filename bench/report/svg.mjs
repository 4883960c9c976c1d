/**
 * Charts as SVG text: horizontal bars, latency curves, shares of consumers. No library, no script, no network.
 *
 * Always true: every text goes through `escapeText`; every chart has a title for readers that cannot see it; colours come
 * from the page's style sheet by class, so that light and dark pages both work.
 */
import { numberText } from './cells.mjs';

/** Of every chart; its height follows from what is in it. */
export const WIDTH = 760;
const LABEL_WIDTH = 130;
const VALUE_WIDTH = 150;
const BAR_HEIGHT = 20;
const BAR_GAP = 6;
const GROUP_GAP = 10;
/** Different colours of the style sheet. */
export const COLOURS = 8;

/** `text` for use in HTML and SVG. */
export function escapeText(text) {
  return String(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

/** A whole chart of `parts`. */
export function frame(height, title, parts) {
  const text = escapeText(title);
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${text}"><title>${text}</title>${parts.join('')}</svg>`;
}

/** A text at its base line. */
export function label(x, y, text, kind = '', anchor = 'start') {
  return `<text x="${fixed(x)}" y="${fixed(y)}" text-anchor="${anchor}" class="${kind}">${escapeText(text)}</text>`;
}

/**
 * Groups `{ title, bars }` over one scale, one bar per `{ name, value, low, high, colour, text }`; a value that is
 * undefined has its text and no bar.
 */
export function barChart(title, groups) {
  const values = groups.flatMap(({ bars }) => bars.map(({ value, high }) => Math.max(value ?? 0, high ?? 0)));
  const most = Math.max(...values, 0);
  const lengthOf = (value) =>
    most > 0 ? Math.max(1, ((WIDTH - LABEL_WIDTH - VALUE_WIDTH) * value) / most) : 1;
  const parts = [];
  let y = 0;
  for (const group of groups) {
    parts.push(label(0, y + 14, group.title, 'group'));
    y += BAR_HEIGHT + 2;
    for (const bar of group.bars) {
      parts.push(...barParts(bar, y, lengthOf));
      y += BAR_HEIGHT + BAR_GAP;
    }
    y += GROUP_GAP;
  }
  return frame(y - GROUP_GAP, title, parts);
}

function barParts({ name, value, low, high, colour, text }, y, lengthOf) {
  const middle = y + BAR_HEIGHT / 2;
  const length = value === undefined ? 0 : lengthOf(value);
  const parts = [
    label(LABEL_WIDTH - 8, middle + 4, name, '', 'end'),
    `<rect x="${LABEL_WIDTH}" y="${y}" width="${fixed(length)}" height="${BAR_HEIGHT}" rx="3" class="fill-${colour % COLOURS}"/>`,
  ];
  let end = length;
  if (low !== undefined && high !== undefined && low !== high) {
    end = lengthOf(high);
    parts.push(
      `<line x1="${fixed(LABEL_WIDTH + lengthOf(low))}" x2="${fixed(LABEL_WIDTH + end)}" y1="${middle}" y2="${middle}" class="spread"/>`,
    );
  }
  parts.push(label(LABEL_WIDTH + end + 8, middle + 4, text, 'value'));
  return parts;
}

const CURVE_HEIGHT = 300;
const LEFT = 70;
const RIGHT = 190;
const TOP = 10;
const BOTTOM = 36;
const PERCENTILE_MARKS = [50, 90, 99, 99.9, 99.99];

/** Percentile to the right, each nine as wide as the one before; milliseconds upwards, by powers of ten. */
export function curveChart(title, curves) {
  const points = curves.flatMap(({ points: list }) => list.map(([, ms]) => ms)).filter((ms) => ms > 0);
  const lowest = Math.floor(Math.log10(Math.min(...points, 1)));
  const highest = Math.max(lowest + 1, Math.ceil(Math.log10(Math.max(...points, 1))));
  const x = (percent) => {
    const nines = -Math.log10(1 - Math.min(percent, 99.995) / 100);
    return LEFT + ((WIDTH - LEFT - RIGHT) * nines) / 4.4;
  };
  const y = (ms) => {
    const power = Math.log10(Math.max(ms, 10 ** lowest));
    return TOP + (CURVE_HEIGHT - TOP - BOTTOM) * (1 - (power - lowest) / (highest - lowest));
  };
  const parts = [];
  for (let power = lowest; power <= highest; power += 1) {
    const at = y(10 ** power);
    parts.push(
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${fixed(at)}" y2="${fixed(at)}" class="grid"/>`,
      label(
        LEFT - 8,
        at + 4,
        `${10 ** power >= 1 ? 10 ** power : (10 ** power).toFixed(-power)} ms`,
        '',
        'end',
      ),
    );
  }
  for (const percent of PERCENTILE_MARKS) {
    const at = x(percent);
    parts.push(
      `<line x1="${fixed(at)}" x2="${fixed(at)}" y1="${TOP}" y2="${CURVE_HEIGHT - BOTTOM}" class="grid"/>`,
      label(at, CURVE_HEIGHT - BOTTOM + 18, `p${percent}`, '', 'middle'),
    );
  }
  for (const [index, { name, colour, points: list }] of curves.entries()) {
    const path = list.map(([percent, ms]) => `${fixed(x(percent))},${fixed(y(ms))}`).join(' ');
    parts.push(
      `<polyline points="${path}" class="line-${colour % COLOURS}"/>`,
      `<rect x="${WIDTH - RIGHT + 14}" y="${TOP + index * 20}" width="12" height="12" rx="2" class="fill-${colour % COLOURS}"/>`,
      label(WIDTH - RIGHT + 32, TOP + index * 20 + 10, name),
    );
  }
  return frame(CURVE_HEIGHT, title, parts);
}

/** One bar in parts: who got how much of the whole. `shares` are counts per consumer, `marks` names of some. */
export function splitChart(title, rows) {
  const height = BAR_HEIGHT + BAR_GAP;
  const span = WIDTH - LABEL_WIDTH - 10;
  const parts = rows.flatMap(({ name, shares, marks }, row) => {
    const whole = shares.reduce((sum, share) => sum + share, 0);
    let x = LABEL_WIDTH;
    const y = row * height;
    const pieces = shares.flatMap((share, index) => {
      const width = whole === 0 ? 0 : (span * share) / whole;
      const at = x;
      x += width;
      const text = `consumer ${index + 1}${marks[index] ?? ''}: ${numberText(share)}`;
      const piece = `<rect x="${fixed(at)}" y="${y}" width="${fixed(width)}" height="${BAR_HEIGHT}" class="fill-${index % COLOURS} piece"><title>${escapeText(text)}</title></rect>`;
      const shown = `${numberText(share)}${marks[index] ?? ''}`;
      return width > 8 * shown.length
        ? [piece, label(at + width / 2, y + 14, shown, 'inside', 'middle')]
        : [piece];
    });
    return [label(LABEL_WIDTH - 8, y + 14, name, '', 'end'), ...pieces];
  });
  return frame(rows.length * height, title, parts);
}

/** A coordinate with one decimal. */
export function fixed(value) {
  return Number(value.toFixed(1));
}
