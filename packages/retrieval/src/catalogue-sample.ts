/**
 * How many items a filter lets through, estimated from a sample of the catalogue in memory.
 *
 * PostgreSQL keeps no statistics of what stands inside of JSON, and a wrong guess costs a whole walk of an
 * index that finds nothing. A thousand items tell one in a hundred from one in a thousand, which is all that
 * the choice of a plan needs.
 */
import type { Filter } from '@nestrec/contracts';
import type { Queryable } from '@nestrec/database';
import { systemClock, type Clock, type Logger } from '@nestrec/runtime';
import { readSampledFields } from './item-fields.js';
import { filterMatcher, type FilterableItem } from './filter-match.js';

const SAMPLE_ITEMS = 1_000;
const MAX_AGE_MS = 5 * 60_000;

export interface CatalogueSample {
  /** Estimated share of `rows` items that pass, never 0: the sample cannot know that there is none. */
  shareOf(filter: Filter, rows: number): Promise<number>;
}

export function createCatalogueSample(
  db: Queryable,
  logger: Logger,
  clock: Clock = systemClock,
): CatalogueSample {
  let sample: readonly FilterableItem[] | null = null;
  let staleAt = Number.NEGATIVE_INFINITY;
  let loading: Promise<readonly FilterableItem[]> | null = null;
  const load = (rows: number) => {
    loading ??= readSampledFields(db, SAMPLE_ITEMS, rows)
      .then((items) => (sample = items))
      .finally(() => {
        loading = null;
        staleAt = clock.now() + MAX_AGE_MS;
      });
    return loading;
  };
  return {
    shareOf: async (filter, rows) => {
      if (sample === null) return shareIn(await load(rows), filter);
      if (clock.now() >= staleAt) {
        load(rows).catch((error: unknown) => {
          logger.warn(
            { err: error },
            'the sample of the catalogue was not renewed; the old one stays',
          );
        });
      }
      return shareIn(sample, filter);
    },
  };
}

function shareIn(sample: readonly FilterableItem[], filter: Filter): number {
  const matches = filterMatcher(filter);
  const passed = sample.filter(matches).length;
  // Half an item for what a sample cannot see.
  return (passed + 0.5) / (sample.length + 0.5);
}
