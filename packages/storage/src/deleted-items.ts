/**
 * Marks of deleted items: publishing takes what is marked out of every version, whichever came before it.
 *
 * A mark counts only where the catalogue has no such item; `upsertItems` removes it, `deleteItems` makes it.
 * Here are the marks of items that a model knows without the catalogue. Ids that nobody knows get none: who
 * deletes what comes to mind must not fill the table.
 */
import { sqlState, type Database, type Queryable } from '@nestrec/database';
import { itemVectorsTable, listItemVectorTables } from './item-vectors.js';

/**
 * Marks an item as deleted where a version has a vector of it or a stored event is of it. Catalogue and vectors
 * stay as they are.
 * @returns whether the mark is new
 */
export async function markDeleted(db: Database, itemId: string): Promise<boolean> {
  if (!(await hasInteractions(db, itemId)) && !(await hasVector(db, itemId))) return false;
  const { rowCount } = await db.query(
    'INSERT INTO deleted_items (item_id) VALUES ($1) ON CONFLICT (item_id) DO NOTHING',
    [itemId],
  );
  return rowCount > 0;
}

/** Looked up among the items: the interactions have no index by item. */
async function hasInteractions(db: Queryable, itemId: string): Promise<boolean> {
  const { rowCount } = await db.query('SELECT 1 FROM item_popularity WHERE item_id = $1', [itemId]);
  return rowCount > 0;
}

const UNDEFINED_TABLE = '42P01';

async function hasVector(db: Database, itemId: string): Promise<boolean> {
  for (const version of await listItemVectorTables(db)) {
    try {
      const { rowCount } = await db.query(
        `SELECT 1 FROM ${itemVectorsTable(version)} WHERE item_id = $1`,
        [itemId],
      );
      if (rowCount > 0) return true;
    } catch (error) {
      // Dropped meanwhile: then it shows nothing any more.
      if (sqlState(error) !== UNDEFINED_TABLE) throw error;
    }
  }
  return false;
}
