/**
 * A line chart over time with its current values, on uPlot. In the browser.
 *
 * Always true: the same figures stand beside the picture as text, and the picture has a text alternative with newest, lowest and
 * highest value of each line; lines differ in dashes as well as in colour; colours come from the style sheet and follow the
 * theme. Pointing at it shows the values of that moment. Gives up zooming: ten minutes fit.
 */
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';

import { time } from '../base/format.js';
import { isDark } from '../base/theme.js';

/** One line. `values` has one entry per time, null where nothing is known. */
export interface Line {
  readonly label: string;
  readonly values: readonly (number | null)[];
}

/** See `steps` of a chart. */
export type AxisSteps = 'bytes' | 'time';

const heightPx = 140;
/** A chart that has just begun already has the width of a minute. */
const spanSecondsMin = 60;
const minuteMs = 60_000;
const axisSteps: Readonly<Record<AxisSteps, number[]>> = {
  bytes: Array.from({ length: 50 }, (_, power) => 2 ** power),
  time: [
    ...[1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 15_000, 30_000],
    ...[1, 2, 5, 10, 30, 60, 120, 360, 720, 1440, 2880, 10_080, 40_320].map((count) => count * minuteMs),
  ],
};
const dashes = [[], [6, 3], [2, 3], [8, 3, 2, 3]];

/** `times` are seconds since 1970, growing. `version` changes whenever the arrays do, which are changed in place. */
export function Chart(props: {
  title: string;
  times: readonly number[];
  lines: readonly Line[];
  version: unknown;
  format: (value: number | undefined) => string;
  /** Highest value of the axis at least, so that noise does not look like a mountain. */
  topMin?: number;
  /** What the axis counts in steps of: powers of two, or seconds, minutes and hours. */
  steps?: AxisSteps;
}) {
  const { times, lines, format } = props;
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const [pointed, setPointed] = useState<number | undefined>(undefined);
  const latest = useRef(props);
  latest.current = props;
  const dark = isDark.value;
  const labels = lines.map(({ label }) => label).join('\n');

  useLayoutEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    const made = new uPlot(
      optionsOf(element, latest, (index) => setPointed(index)),
      dataOf(latest.current),
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(() => {
      if (element.clientWidth > 0) made.setSize({ width: element.clientWidth, height: heightPx });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.current = undefined;
      made.destroy();
    };
  }, [dark, labels]);

  useEffect(() => {
    plot.current?.setData(dataOf(latest.current));
  }, [props.version]);

  const at = pointed === undefined || pointed >= times.length ? times.length - 1 : pointed;
  return (
    <figure class="chart">
      <figcaption>
        <span class="chart-title">{props.title}</span>
        <span class="chart-values">
          {lines.map((line, index) => (
            <span key={line.label} class={`legend line-${index + 1}`}>
              {line.label} <b>{format(line.values[at] ?? undefined)}</b>
            </span>
          ))}
        </span>
        <span class="chart-time">{pointed === undefined ? '' : time((times[at] ?? NaN) * 1000)}</span>
      </figcaption>
      <div ref={place} class="chart-plot" role="img" aria-label={describe(props.title, lines, format)} />
    </figure>
  );
}

function optionsOf(
  element: HTMLElement,
  latest: { readonly current: Parameters<typeof Chart>[0] },
  onPoint: (index: number | undefined) => void,
): uPlot.Options {
  const colour = colourReader(element);
  const text = colour('--text-soft');
  const grid = { stroke: colour('--line'), width: 1 };
  const font = `11px ${getComputedStyle(element).fontFamily}`;
  return {
    width: Math.max(element.clientWidth, 100),
    height: heightPx,
    legend: { show: false },
    padding: [8, 8, 0, 0],
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
    scales: {
      x: { range: (_plot, oldest, newest) => [Math.min(oldest, newest - spanSecondsMin), newest] },
      y: {
        // The highest value is null while nothing is known, whatever its type says.
        range: (_plot, _low, high: number | null) => [
          0,
          Math.max(high ?? 0, latest.current.topMin ?? 1) * 1.1,
        ],
      },
    },
    axes: [
      { stroke: text, grid, ticks: grid, font, size: 26, values: '{HH}:{mm}:{ss}', space: 80 },
      {
        stroke: text,
        grid,
        ticks: grid,
        font,
        size: 68,
        ...(latest.current.steps === undefined ? {} : { incrs: axisSteps[latest.current.steps] }),
        values: (_plot, values) => values.map((value) => latest.current.format(value)),
      },
    ],
    series: [
      {},
      ...latest.current.lines.map(({ label }, index) => ({
        label,
        stroke: colour(`--chart-${(index % 4) + 1}`),
        width: 1.5,
        dash: dashes[index % dashes.length] ?? [],
        points: { show: false },
      })),
    ],
    hooks: { setCursor: [({ cursor }) => onPoint(cursor.idx ?? undefined)] },
  };
}

/** Resolves variables of the style sheet, as canvas needs it, at the place of the chart. */
function colourReader(element: HTMLElement): (variable: string) => string {
  return (variable) => {
    const probe = document.createElement('span');
    probe.style.color = `var(${variable})`;
    element.append(probe);
    const { color } = getComputedStyle(probe);
    probe.remove();
    return color;
  };
}

function dataOf({ times, lines }: { times: readonly number[]; lines: readonly Line[] }): uPlot.AlignedData {
  return [[...times], ...lines.map(({ values }) => [...values])];
}

function describe(
  title: string,
  lines: readonly Line[],
  format: (value: number | undefined) => string,
): string {
  const parts = lines.map(({ label, values }) => {
    const known = values.filter((value) => value !== null);
    if (known.length === 0) return `${label}: no values yet`;
    const newest = format(known.at(-1));
    return `${label}: now ${newest}, lowest ${format(Math.min(...known))}, highest ${format(Math.max(...known))}`;
  });
  return `Chart. ${title}. ${parts.join('. ')}.`;
}
