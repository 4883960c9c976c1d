/**
 * Settings of what is measured and shown to monitoring. Runs on the main thread, once, at start.
 *
 * Always true: what a time series database is asked to keep is bounded by these, however many queues there are; names of
 * clients and topics are never asked to be kept at all.
 */
import { integer } from './variable.js';

/** Part of `Config`; see the file header. */
export const telemetrySettings = {
  metricsQueuesMax: integer('SLUICE_METRICS_QUEUES_MAX', {
    fallback: 1000,
    min: 0,
    max: 65_535,
    unit: 'queues',
    help: 'Queues with metrics of their own, the oldest first; the others are summed as `queue="_other"`.',
  }),
};
