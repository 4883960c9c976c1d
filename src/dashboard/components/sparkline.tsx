/**
 * A line of a few characters' width without axes, for tables. In the browser.
 *
 * Always true: it starts at zero, so that a flat line is a flat line; it is hidden from screen readers, because the figures stand
 * beside it. Fewer than two values draw nothing.
 */
const widthPx = 80;
const heightPx = 20;
const valuesMax = 60;

/** The last values, oldest first; null breaks the line. */
export function Sparkline(props: { values: readonly (number | null)[] }) {
  const values = props.values.slice(-valuesMax);
  const top = Math.max(1, ...values.map((value) => value ?? 0));
  const path = values
    .map((value, index) => {
      if (value === null) return '';
      const x = widthPx - (values.length - 1 - index) * (widthPx / (valuesMax - 1));
      const y = heightPx - 1 - (value / top) * (heightPx - 2);
      return `${index === 0 || values[index - 1] === null ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`;
    })
    .join('');
  return (
    <svg class="sparkline" viewBox={`0 0 ${widthPx} ${heightPx}`} aria-hidden="true" focusable="false">
      {values.length < 2 ? null : <path d={path} />}
    </svg>
  );
}
