import { DatabaseUnavailable } from '@nestrec/errors';
import type { Queryable, Row } from '@nestrec/database';
import { describe, expect, it } from 'vitest';
import { createSearchReader } from './search-reader.js';

/** Answers each search with one item named by its parameter; `bad` fails every statement that holds it. */
function recordingDb(failure = new Error('a vector of the wrong length')) {
  const sizes: number[] = [];
  const query = <R extends Row>(_text: string, params: readonly unknown[] = []) => {
    sizes.push(params.length);
    if (params.includes('bad')) return Promise.reject(failure);
    const rows = params.map((id, statement) => ({ statement, item_id: id, score: statement }));
    return Promise.resolve({ rows: rows as unknown as R[], rowCount: rows.length });
  };
  const db: Queryable = { query, execute: () => Promise.reject(new Error('not asked for')) };
  return { db, sizes };
}

const search = (id: string, text = 'SELECT $1') => ({ text, params: [id] });
const idsOf = (found: readonly { itemId: string }[]) => found.map(({ itemId }) => itemId);

describe('the search reader', () => {
  it('sends what comes at one moment together, in even parts, and gives each its own', async () => {
    const { db, sizes } = recordingDb();
    const { read } = createSearchReader(db);
    const ids = ['a', 'b', 'c', 'd', 'e', 'f'];
    const found = await Promise.all(ids.map((id) => read(search(id))));
    expect(found.map(idsOf)).toEqual(ids.map((id) => [id]));
    expect(sizes).toEqual([3, 3]);
    expect(idsOf(await read(search('later')))).toEqual(['later']);
    expect(sizes).toEqual([3, 3, 1]);
  });

  it('never joins searches of different texts', async () => {
    const { db, sizes } = recordingDb();
    const { read } = createSearchReader(db);
    await Promise.all([read(search('a')), read(search('b', 'SELECT 1, $1')), read(search('c'))]);
    expect(sizes).toEqual([2, 1]);
  });

  it('lets nobody fail with a search that the database refuses', async () => {
    const { db } = recordingDb();
    const { read } = createSearchReader(db);
    const [good, bad, other] = await Promise.allSettled([
      read(search('a')),
      read(search('bad')),
      read(search('b')),
    ]);
    expect(good).toMatchObject({ status: 'fulfilled', value: [{ itemId: 'a' }] });
    expect(bad).toMatchObject({ status: 'rejected' });
    expect(other).toMatchObject({ status: 'fulfilled', value: [{ itemId: 'b' }] });
  });

  it('asks a database that is away once, not again for each', async () => {
    const { db, sizes } = recordingDb(new DatabaseUnavailable({ detail: 'gone' }));
    const { read } = createSearchReader(db);
    const results = await Promise.allSettled([read(search('a')), read(search('bad'))]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(sizes).toEqual([2]);
  });
});
