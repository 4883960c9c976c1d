/**
 * All queues with what is in them, as a table for operators. Main thread.
 *
 * Always true: the shards are asked once a second at most, whoever asks here and how often; rows are those of the
 * catalogue at this moment, so a new queue is there at once, with zeros until it is asked about. Cost: a call to a shard
 * per 64 queues and second while somebody asks, nothing otherwise.
 */
import type { QueueDefinition } from '../queue/definition.js';
import type { QueueCatalogue } from '../router/queue-catalogue.js';
import type { Shards } from '../shard/link.js';
import { figureFields, type FigureField } from '../shard/queue-figures.js';
import type { Page, PageRequest } from './page-walk.js';

/** What is told about a queue. */
export interface QueueRow {
  readonly definition: QueueDefinition;
  readonly ready: number;
  readonly inFlight: number;
  readonly consumers: number;
  /** Messages per second. */
  readonly inRate: number;
  readonly outRate: number;
  readonly oldestAgeMs: number;
}

/** Columns that rows can be sorted by. */
export type QueueColumn = 'name' | Exclude<keyof QueueRow, 'definition'>;

/** Which rows, and in which order. */
export interface QueueSearch {
  /** A part of the name or of the topic filter, in any case. */
  readonly text: string;
  readonly column: QueueColumn;
  readonly isDescending: boolean;
}

const readingMs = 1000;
const column = (field: FigureField): number => figureFields.indexOf(field);
const columns = {
  ready: column('ready'),
  inFlight: column('inFlight'),
  consumers: column('consumers'),
  inRate: column('inRate'),
  outRate: column('outRate'),
  oldestAgeMs: column('oldestAgeMs'),
};

/** See the file header. */
export class QueueOverview {
  readonly #catalogue: QueueCatalogue;
  readonly #shards: Pick<Shards, 'queueFigures'>;
  readonly #nowMs: () => number;
  #reading: Promise<ReadonlyMap<number, Float64Array>> = Promise.resolve(new Map());
  #isReading = false;
  #readAtMs = Number.NEGATIVE_INFINITY;

  /** `nowMs` is any clock that does not go back. */
  constructor(catalogue: QueueCatalogue, shards: Pick<Shards, 'queueFigures'>, nowMs: () => number) {
    this.#catalogue = catalogue;
    this.#shards = shards;
    this.#nowMs = nowMs;
  }

  /** A page of the rows that are searched for. */
  async page({ text, column: by, isDescending }: QueueSearch, request: PageRequest): Promise<Page<QueueRow>> {
    const wanted = text.toLowerCase();
    const found = (await this.rows()).filter(
      ({ definition: { name, topicFilter } }) =>
        wanted === '' || name.toLowerCase().includes(wanted) || topicFilter.toLowerCase().includes(wanted),
    );
    const sign = isDescending ? -1 : 1;
    found.sort((a, b) => sign * (by === 'name' ? 0 : a[by] - b[by]) || sign * compareNames(a, b));
    const start = (request.page - 1) * request.limit;
    const data = found.slice(start, start + request.limit);
    return { data, count: found.length, hasNext: start + data.length < found.length };
  }

  /** All rows, in order of creation. */
  async rows(): Promise<QueueRow[]> {
    const figures = await this.#figures();
    return [...this.#catalogue.all()].map((definition) => rowOf(definition, figures.get(definition.id)));
  }

  /** The rows of these queues; a name that is none is left out. */
  async rowsOf(names: readonly string[]): Promise<QueueRow[]> {
    const figures = await this.#figures();
    return names.flatMap((name) => {
      const definition = this.#catalogue.get(name);
      return definition === undefined ? [] : [rowOf(definition, figures.get(definition.id))];
    });
  }

  #figures(): Promise<ReadonlyMap<number, Float64Array>> {
    const nowMs = this.#nowMs();
    if (this.#isReading || nowMs - this.#readAtMs < readingMs) return this.#reading;
    this.#isReading = true;
    this.#readAtMs = nowMs;
    this.#reading = this.#shards
      .queueFigures([...this.#catalogue.all()])
      .finally(() => (this.#isReading = false));
    return this.#reading;
  }
}

function rowOf(definition: QueueDefinition, figures: Float64Array | undefined): QueueRow {
  return {
    definition,
    ready: figures?.[columns.ready] ?? 0,
    inFlight: figures?.[columns.inFlight] ?? 0,
    consumers: figures?.[columns.consumers] ?? 0,
    inRate: figures?.[columns.inRate] ?? 0,
    outRate: figures?.[columns.outRate] ?? 0,
    oldestAgeMs: figures?.[columns.oldestAgeMs] ?? 0,
  };
}

function compareNames({ definition: { name: a } }: QueueRow, { definition: { name: b } }: QueueRow): number {
  return a < b ? -1 : Number(a > b);
}
