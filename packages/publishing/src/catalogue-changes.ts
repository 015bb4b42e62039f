/**
 * Brings a version's table up to the catalogue: items that the model does not know, and items changed
 * since their vector was made.
 */
import type { Item } from '@nestrec/contracts';
import type { Database } from '@nestrec/database';
import { isError, InvalidRequest } from '@nestrec/errors';
import type { Logger } from '@nestrec/runtime';
import { getItems, itemVectorsTable } from '@nestrec/storage';
import type { ItemEmbedder } from './item-embedder.js';
import { upsertVectors, type VectorRow } from './vector-table.js';

const BATCH = 500;

export interface CatalogueChanges {
  readonly embedded: number;
  /** Items that this model cannot score (no features to go by, or of another width). */
  readonly skipped: number;
}

export interface ChangeListeners {
  /** Told after each batch. */
  readonly onProgress?: (embedded: number) => void;
  /** Told of each item that the model cannot embed as it is. */
  readonly onSkipped?: (item: ItemAsOf) => void;
}

/** An item in one of its forms. */
export interface ItemAsOf {
  readonly itemId: string;
  /** When the catalogue's row was written, as the database prints it: a Date would lose microseconds. */
  readonly updatedAt: string;
}

/** Embeds every catalogue item whose vector is absent from that version's table or older than the item. */
export async function embedCatalogueChanges(
  db: Database,
  vectorsVersion: string,
  embedder: ItemEmbedder,
  logger: Logger,
  { onProgress, onSkipped }: ChangeListeners = {},
): Promise<CatalogueChanges> {
  let embedded = 0;
  let skipped = 0;
  let after = '';
  for (;;) {
    const readAt = await databaseTime(db);
    const stale = await staleItems(db, vectorsVersion, after);
    if (stale.length > 0) {
      const items = await getItems(
        db,
        stale.map(({ itemId }) => itemId),
      );
      const rows: VectorRow[] = [];
      for (const asOf of stale) {
        const item = items.get(asOf.itemId);
        if (item === undefined) continue;
        const row = embedOrSkip(embedder, item, logger);
        if (row !== null) rows.push(row);
        else {
          skipped++;
          // Where it was changed since it was found stale, its newer form is looked at again.
          onSkipped?.(asOf);
        }
      }
      await upsertVectors(db, vectorsVersion, rows, readAt);
      embedded += rows.length;
      onProgress?.(embedded);
    }
    if (stale.length < BATCH) return { embedded, skipped };
    after = stale.at(-1)!.itemId;
  }
}

/**
 * Whether the catalogue has anything that the table lacks, or has in an older form.
 * @param hopeless what the model is known not to embed, which does not count
 */
export async function isBehindCatalogue(
  db: Database,
  vectorsVersion: string,
  hopeless: readonly ItemAsOf[] = [],
): Promise<boolean> {
  return (await staleItems(db, vectorsVersion, '', 1, hopeless)).length > 0;
}

/** One item with vectors of a wrong width must not keep a whole version from being published. */
function embedOrSkip(embedder: ItemEmbedder, item: Item, logger: Logger): VectorRow | null {
  try {
    return embedder.embedCatalogue(item);
  } catch (error) {
    if (!isError(error, InvalidRequest)) throw error;
    logger.warn({ item_id: item.item_id, reason: error.detail }, 'item cannot be embedded');
    return null;
  }
}

async function staleItems(
  db: Database,
  version: string,
  after: string,
  limit = BATCH,
  without: readonly ItemAsOf[] = [],
): Promise<ItemAsOf[]> {
  const { rows } = await db.query<{ item_id: string; updated_at: string }>(
    `SELECT i.item_id, i.updated_at::text AS updated_at
     FROM items i LEFT JOIN ${itemVectorsTable(version)} v ON v.item_id = i.item_id
     WHERE i.item_id > $1 AND (v.item_id IS NULL OR v.removed OR v.updated_at < i.updated_at)
       AND NOT EXISTS (SELECT 1 FROM unnest($3::text[], $4::text[]) AS w (item_id, updated_at)
         WHERE w.item_id = i.item_id AND w.updated_at::timestamptz = i.updated_at)
     ORDER BY i.item_id LIMIT $2`,
    [after, limit, without.map(({ itemId }) => itemId), without.map(({ updatedAt }) => updatedAt)],
  );
  return rows.map((row) => ({ itemId: row.item_id, updatedAt: row.updated_at }));
}

/** The database's clock, which also stamps the catalogue: clocks of two machines are not compared. */
export async function databaseTime(db: Database): Promise<Date> {
  const { rows } = await db.query<{ now: Date }>('SELECT clock_timestamp() AS now');
  return rows[0]!.now;
}
