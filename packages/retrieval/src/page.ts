/**
 * From candidates to one page of a list: ordered, without what earlier pages showed, diverse where that
 * was asked, with the cursor of the next page and the reasons.
 */
import type { RankedItem } from '@nestrec/contracts';
import type { Queryable } from '@nestrec/database';
import type { Cell } from '@nestrec/streaming';
import { explainItems, type PastEvent } from './because.js';
import type { ShownItems } from './cursor.js';
import { readItemVectors } from './item-vectors.js';
import type { ListOptions } from './list-options.js';
import { diversify } from './mmr.js';
import type { PublishedModel } from './published-models.js';
import { rankCandidates, type Candidate } from './ranking.js';

export interface PageRequest {
  readonly db: Queryable;
  readonly model: PublishedModel;
  readonly dim: number;
  readonly k: number;
  readonly shown: ShownItems;
  readonly options: ListOptions;
  /** What the list was asked by. */
  readonly cell: Cell;
  /** The events behind the state; null where they are not known or say nothing. */
  readonly history: readonly PastEvent[] | null;
}

export interface Page {
  readonly items: RankedItem[];
  readonly next: string | null;
}

export async function pageOf(
  candidates: readonly Candidate[],
  request: PageRequest,
): Promise<Page> {
  const { k, shown, options } = request;
  const chosen =
    (options.diversity ?? 0) > 0
      ? await diverse(candidates, request)
      : rankCandidates(candidates, k + shown.count)
          .filter(({ item_id }) => !shown.has(item_id))
          .slice(0, k);
  const items = chosen.map((item, i) => ({ ...item, rank: shown.count + i + 1 }));
  const next = items.length < k ? null : shown.cursorWith(items.map(({ item_id }) => item_id));
  return { items: options.because === true ? await explained(items, request) : items, next };
}

async function diverse(
  candidates: readonly Candidate[],
  { db, model, dim, k, shown, options }: PageRequest,
): Promise<RankedItem[]> {
  const ranked = rankCandidates(candidates, candidates.length);
  const ids = ranked.map(({ item_id }) => item_id);
  const whole = await readItemVectors(db, model, ids);
  return diversify({
    candidates: ranked.filter(({ item_id }) => !shown.has(item_id)),
    before: ids.filter((id) => shown.has(id)),
    vectors: new Map(Array.from(whole, ([id, vector]) => [id, vector.subarray(0, dim)])),
    ...{ k, diversity: options.diversity ?? 0 },
  });
}

async function explained(
  items: readonly RankedItem[],
  { db, model, cell, dim, history }: PageRequest,
): Promise<RankedItem[]> {
  if (history === null || history.length === 0) {
    return items.map((item) => ({ ...item, because: [] }));
  }
  const ids = items.map(({ item_id }) => item_id);
  const vectors = await readItemVectors(db, model, ids);
  const reasons = explainItems({ cell, history, items: vectors, dim });
  return items.map((item) => ({ ...item, because: reasons.get(item.item_id) ?? [] }));
}
