/**
 * The expressions of docs/monitoring, and what they name. Test process.
 */
import { parse } from 'yaml';

import { fileOf } from '../repository/tree.js';

/** One expression, with where it stands. */
export interface Expression {
  readonly where: string;
  readonly text: string;
  /** Names that its legend takes from labels. */
  readonly legend: readonly string[];
}

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

/** Expressions of the Grafana dashboard, its variables as the dashboard fills them in when nothing is chosen. */
export function dashboardExpressions(): Expression[] {
  const { panels } = JSON.parse(fileOf('docs/monitoring/grafana-dashboard.json').text) as {
    panels: readonly Panel[];
  };
  return panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr, legendFormat }) => ({
      where: `panel ${title}`,
      text: expr.replaceAll(/\$(instance|queue)\b/g, '.*').replaceAll('$__rate_interval', '1m'),
      legend: [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, name = '']) => name),
    })),
  );
}

/** Expressions of the alerts. */
export function alertExpressions(): Expression[] {
  const { groups } = parse(fileOf('docs/monitoring/alerts.yml').text) as {
    groups: readonly {
      readonly rules: readonly { alert: string; expr: string; annotations: Record<string, string> }[];
    }[];
  };
  return groups.flatMap(({ rules }) =>
    rules.map(({ alert, expr, annotations }) => ({
      where: `alert ${alert}`,
      text: expr,
      legend: [...JSON.stringify(annotations).matchAll(/\$labels\.(\w+)/g)].map(([, name = '']) => name),
    })),
  );
}
