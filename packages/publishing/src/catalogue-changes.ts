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

/** Embeds every catalogue item whose vector is absent from that version's table or older than the item. */
export async function embedCatalogueChanges(
  db: Database,
  vectorsVersion: string,
  embedder: ItemEmbedder,
  logger: Logger,
  onProgress: (embedded: number) => void = () => undefined,
): Promise<CatalogueChanges> {
  let embedded = 0;
  let skipped = 0;
  let after = '';
  for (;;) {
    const readAt = await databaseTime(db);
    const ids = await staleItems(db, vectorsVersion, after);
    if (ids.length > 0) {
      const items = await getItems(db, ids);
      const rows: VectorRow[] = [];
      for (const item of items.values()) {
        const row = embedOrSkip(embedder, item, logger);
        if (row === null) skipped++;
        else rows.push(row);
      }
      await upsertVectors(db, vectorsVersion, rows, readAt);
      embedded += rows.length;
      onProgress(embedded);
    }
    if (ids.length < BATCH) return { embedded, skipped };
    after = ids.at(-1)!;
  }
}

/** Whether the catalogue has anything that the table lacks, or has in an older form. */
export async function isBehindCatalogue(db: Database, vectorsVersion: string): Promise<boolean> {
  return (await staleItems(db, vectorsVersion, '', 1)).length > 0;
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
): Promise<string[]> {
  const { rows } = await db.query<{ item_id: string }>(
    `SELECT i.item_id FROM items i LEFT JOIN ${itemVectorsTable(version)} v ON v.item_id = i.item_id
     WHERE i.item_id > $1 AND (v.item_id IS NULL OR v.removed OR v.updated_at < i.updated_at)
     ORDER BY i.item_id LIMIT $2`,
    [after, limit],
  );
  return rows.map((row) => row.item_id);
}

/** The database's clock, which also stamps the catalogue: clocks of two machines are not compared. */
export async function databaseTime(db: Database): Promise<Date> {
  const { rows } = await db.query<{ now: Date }>('SELECT clock_timestamp() AS now');
  return rows[0]!.now;
}
