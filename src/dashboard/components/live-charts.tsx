/**
 * Several charts over the same times, from the columns of one history. In the browser.
 *
 * Always true: they are drawn anew when `version` changes, all of them at once; a column that is not there is an empty line. Gives
 * up charts over different times.
 */
import type { History } from '../base/history.js';
import { type AxisSteps, Chart } from './chart.js';

/** A chart: what it is called, how its values read, and which columns it shows. */
export interface LiveChart {
  readonly title: string;
  readonly format: (value: number | undefined) => string;
  /** Highest value of the axis at least. */
  readonly topMin: number;
  readonly steps?: AxisSteps;
  /** Label and column of each line. */
  readonly lines: readonly (readonly [label: string, column: number])[];
}

const noValues: readonly number[] = [];

/** `history` is changed in place; `version` says when. */
export function LiveCharts(props: {
  charts: readonly LiveChart[];
  history: History | undefined;
  version: unknown;
}) {
  const { history } = props;
  return (
    <div class="charts">
      {props.charts.map(({ title, format, topMin, steps, lines }) => (
        <Chart
          key={title}
          title={title}
          times={history?.times ?? noValues}
          lines={lines.map(([label, column]) => ({ label, values: history?.columns[column] ?? noValues }))}
          version={props.version}
          format={format}
          topMin={topMin}
          {...(steps === undefined ? {} : { steps })}
        />
      ))}
    </div>
  );
}
