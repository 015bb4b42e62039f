/** Events for `bench:data`: made up in this process, or generated inside a PostgreSQL server and read from there. */
import { openPostgres } from '@nestrec/database';
import type { DatasetRow } from '@nestrec/dataset';
import { createRandom } from '@nestrec/random';
import { streamInteractions } from '@nestrec/storage';
import { createTemplate } from '../../helpers/postgres-template.js';

/** Users of about equal length; popular items first, times within two years. */
export function* madeUpRows(events: number, users: number, items: number): Generator<DatasetRow[]> {
  const random = createRandom(1);
  let batch: DatasetRow[] = [];
  for (let u = 0; u < users; u++) {
    const length = Math.floor(((u + 1) * events) / users) - Math.floor((u * events) / users);
    const userId = `user-${String(u).padStart(8, '0')}`;
    let timestampMs = Date.UTC(2025, 0, 1) + random.int(86_400_000);
    for (let e = 0; e < length; e++) {
      timestampMs += random.int((2 * 63_072_000_000) / length);
      const itemId = `item-${Math.floor(items * random.uniform() ** 3)}`;
      batch.push({
        userId,
        itemId,
        timestampMs,
        eventId: `event-${u}-${String(e).padStart(6, '0')}`,
      });
      if (batch.length < 10_000) continue;
      yield batch;
      batch = [];
    }
  }
  yield batch;
}

/** Events of one statement: few enough for the limit that statements have. */
const STATEMENT_EVENTS = 200_000;

/** A new database with so many events, made by the server itself; returns its address. */
export async function fillDatabase(
  serverUrl: string,
  events: number,
  users: number,
  items: number,
): Promise<string> {
  const { url } = await createTemplate(serverUrl);
  const db = await openPostgres({ url, max: 1, allowUnsafeDurability: true });
  try {
    for (let from = 0; from < events; from += STATEMENT_EVENTS)
      await db.query(
        `INSERT INTO interactions (event_id, user_id, item_id, type, ts, value)
       SELECT 'event-' || e, 'user-' || lpad((e % $2)::text, 8, '0'),
              'item-' || floor($3 * random() ^ 3), 'view',
              timestamptz '2025-01-01' + random() * interval '2 years', NULL
       FROM generate_series($1::bigint, $4::bigint - 1) e`,
        [from, users, items, Math.min(events, from + STATEMENT_EVENTS)],
      );
    await db.query('ANALYZE interactions');
  } finally {
    await db.close();
  }
  return url;
}

/** As the trainer reads them. */
export async function* storedRows(url: string): AsyncGenerator<DatasetRow[]> {
  const db = await openPostgres({ url, max: 1, allowUnsafeDurability: true });
  try {
    yield* streamInteractions(db);
  } finally {
    await db.close();
  }
}
