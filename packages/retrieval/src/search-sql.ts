/** The SQL that finds popular items; those by vectors are in `storage`, for publishing tries them too. */
import { sqlParameters, type Statement } from '@nestrec/storage';
import { indexCanFill, servable, type Restriction } from './restriction.js';

/** The `limit` items with most interactions, as last counted, that the version can score. */
export function popularItems(table: string, limit: number, restriction: Restriction): Statement {
  const parameters = sqlParameters();
  const access = indexCanFill(restriction, limit) ? 'point' : 'scan';
  return {
    text: `SELECT p.item_id, p.interactions AS score FROM item_popularity p
      JOIN ${table} v ON v.item_id = p.item_id
      WHERE ${servable(restriction, access, parameters)}
      ORDER BY p.interactions DESC, p.item_id LIMIT ${parameters.add(limit)}`,
    params: parameters.values,
  };
}
