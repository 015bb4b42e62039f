/**
 * Brings a version's table up to the catalogue: items that the model does not know, and items changed
 * since their vector was made.
 */
import type { Database } from '@nestrec/database';
import { isError, InvalidRequest } from '@nestrec/errors';
import type { Logger } from '@nestrec/runtime';
import { getStoredItems, itemVectorsTable, type StoredItem } from '@nestrec/storage';
import type { ItemEmbedder } from './item-embedder.js';
import { upsertVectors, type CatalogueVector } from './vector-table.js';

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
  readonly writtenAt: string;
}

/**
 * Embeds every catalogue item whose vector is absent from that version's table or of an older form. One that is
 * written meanwhile, committed or not yet, is found the next time: no clock says what was seen.
 */
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
    const stale = await staleItems(db, vectorsVersion, after);
    if (stale.length > 0) {
      const rows: CatalogueVector[] = [];
      for (const [itemId, stored] of await getStoredItems(db, stale)) {
        const row = embedOrSkip(embedder, stored, logger);
        if (row !== null) rows.push(row);
        else {
          skipped++;
          onSkipped?.({ itemId, writtenAt: stored.writtenAt });
        }
      }
      await upsertVectors(db, vectorsVersion, rows);
      embedded += rows.length;
      onProgress?.(embedded);
    }
    if (stale.length < BATCH) return { embedded, skipped };
    after = stale.at(-1)!;
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
function embedOrSkip(
  embedder: ItemEmbedder,
  { item, writtenAt }: StoredItem,
  logger: Logger,
): CatalogueVector | null {
  try {
    const row = embedder.embedCatalogue(item);
    return row && { ...row, writtenAt };
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
): Promise<string[]> {
  const { rows } = await db.query<{ item_id: string }>(
    `SELECT i.item_id FROM items i LEFT JOIN ${itemVectorsTable(version)} v ON v.item_id = i.item_id
     WHERE i.item_id > $1 AND (v.item_id IS NULL OR v.removed OR v.updated_at < i.updated_at)
       AND NOT EXISTS (SELECT 1 FROM unnest($3::text[], $4::text[]) AS w (item_id, written_at)
         WHERE w.item_id = i.item_id AND w.written_at::timestamptz = i.updated_at)
     ORDER BY i.item_id LIMIT $2`,
    [after, limit, without.map(({ itemId }) => itemId), without.map(({ writtenAt }) => writtenAt)],
  );
  return rows.map((row) => row.item_id);
}
