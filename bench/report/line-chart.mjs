/**
 * Lines over a number that grows by powers of ten, as SVG text. No library, no script, no network.
 *
 * Always true: the horizontal axis is logarithmic, so on a linear vertical one a constant cost is level, a logarithmic
 * one a straight slope, and everything worse bends upwards; every point is there as text, too, for pointers that rest
 * on it.
 */
import { numberText } from './cells.mjs';
import { COLOURS, escapeText, fixed, frame, label, WIDTH } from './svg.mjs';

const HEIGHT = 280;
const LEFT = 70;
const RIGHT = 30;
const LEGEND = 20;
const BOTTOM = 46;
const LEVELS = 4;

/**
 * `series` is a list of `{ name, points: [[x, y], …] }`; `axis` and `unit` name what goes to the right and upwards;
 * `scale` of the latter is 'linear' from 0, or 'log'.
 */
export function lineChart(title, series, { axis, unit, scale }) {
  const shown = series.filter(({ points }) => points.length > 0);
  const all = shown.flatMap(({ points }) => points);
  if (all.length === 0) return frame(30, title, [label(0, 18, 'Nothing was measured.')]);
  const top = LEGEND * shown.length + 14;
  const bottom = HEIGHT + top - BOTTOM;
  const x = logScale(
    all.map(([value]) => value),
    LEFT,
    WIDTH - RIGHT,
  );
  const y = (scale === 'log' ? logScale : linearScale)(
    all.map(([, value]) => value),
    bottom,
    top,
  );
  const parts = [
    ...y.marks.flatMap((value) => [
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${fixed(y.at(value))}" y2="${fixed(y.at(value))}" class="grid"/>`,
      label(LEFT - 8, y.at(value) + 4, numberText(value), '', 'end'),
    ]),
    ...x.marks.map((value) => label(x.at(value), bottom + 18, shortText(value), '', 'middle')),
    label((LEFT + WIDTH - RIGHT) / 2, bottom + 38, axis, '', 'middle'),
    label(0, 10, unit),
  ];
  for (const [index, { name, points }] of shown.entries()) {
    const colour = index % COLOURS;
    const path = points.map(([value, cost]) => `${fixed(x.at(value))},${fixed(y.at(cost))}`).join(' ');
    parts.push(`<polyline points="${path}" class="line-${colour}"/>`);
    for (const [value, cost] of points)
      parts.push(
        `<circle cx="${fixed(x.at(value))}" cy="${fixed(y.at(cost))}" r="4" class="fill-${colour}"><title>${escapeText(`${name}, ${numberText(value)}: ${numberText(cost)}`)}</title></circle>`,
      );
    const at = LEGEND * index + 18;
    parts.push(
      `<rect x="${LEFT}" y="${at}" width="12" height="12" rx="2" class="fill-${colour}"/>`,
      label(LEFT + 18, at + 10, name),
    );
  }
  return frame(HEIGHT + top, title, parts);
}

/** Whole powers of ten around `values`. */
function logScale(values, from, to) {
  const lowest = Math.floor(Math.log10(Math.min(...values)) + 1e-9);
  const highest = Math.max(lowest + 1, Math.ceil(Math.log10(Math.max(...values)) - 1e-9));
  const marks = Array.from({ length: highest - lowest + 1 }, (_, power) => 10 ** (lowest + power));
  const at = (value) => from + ((to - from) * (Math.log10(value) - lowest)) / (highest - lowest);
  return { marks, at };
}

/** From 0 to a round number above `values`. */
function linearScale(values, from, to) {
  const raw = Math.max(...values) / LEVELS;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw);
  const marks = Array.from({ length: LEVELS + 1 }, (_, index) => index * step);
  return { marks, at: (value) => from + ((to - from) * value) / (LEVELS * step) };
}

function shortText(value) {
  if (value >= 1e6) return `${value / 1e6} M`;
  return value >= 1000 ? `${value / 1000} k` : String(value);
}
