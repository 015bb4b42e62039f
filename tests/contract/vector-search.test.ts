/** Searches among item vectors on both databases: which plans give the exact ranking, and every kind of index. */
import { createRandom } from '@nestrec/random';
import { vector, vectorText, type Database, type Queryable } from '@nestrec/database';
import {
  boundSearch,
  exactSearch,
  indexName,
  indexSearch,
  indexSql,
  joinedStatement,
  normsColumn,
  STATEMENT_COLUMN,
  type IndexForm,
  type IndexSearch,
  type Statement,
  type VectorSearch,
} from '@nestrec/storage';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { describeDatabases } from '../helpers/databases.js';

const SIZES = [2, 4, 8];
const D = 8;
const TABLE = '"searched"';

interface Row {
  readonly vector: readonly number[];
  readonly removed: boolean;
}

async function create(db: Database, sizes: readonly number[]): Promise<void> {
  await db.execute(`DROP TABLE IF EXISTS ${TABLE}`);
  await db.query(
    `CREATE TABLE ${TABLE} (item_id entity_id PRIMARY KEY, ${normsColumn(sizes)},
       embedding vector(${sizes.at(-1)}) NOT NULL, removed boolean NOT NULL)`,
  );
}

async function fill(db: Database, rows: readonly Row[]): Promise<void> {
  await db.query(
    `INSERT INTO ${TABLE} (item_id, embedding, removed)
     SELECT id, e::vector, r FROM unnest($1::text[], $2::text[], $3::bool[]) t (id, e, r)`,
    [
      rows.map((_, n) => `i${String(n).padStart(5, '0')}`),
      rows.map((row) => vectorText(Float32Array.from(row.vector))),
      rows.map((row) => row.removed),
    ],
  );
}

async function index(db: Database, form: IndexForm, fullDim = D): Promise<void> {
  const { expression, operatorClass } = indexSql(form, fullDim);
  await db.query(
    `CREATE INDEX "${indexName('t', form)}" ON ${TABLE} USING hnsw (${expression('')} ${operatorClass})
     WITH (m = 16, ef_construction = 64)`,
  );
}

/** Small tables are read whole by themselves; what is under test is the walk of the index. */
function byIndex<T>(db: Database, work: (tx: Queryable) => Promise<T>): Promise<T> {
  return db.transaction(async (tx) => {
    await tx.execute('SET LOCAL enable_seqscan = off');
    return work(tx);
  });
}

async function ask(db: Database, { text, params }: Statement) {
  const { rows } = await byIndex(db, (tx) =>
    tx.query<{ item_id: string; score: number }>(text, params),
  );
  return rows.map((row) => ({ id: row.item_id, score: row.score }));
}

describeDatabases('searches among vectors', (database) => {
  it('a vector parameter arrives bit by bit as it was', async () => {
    const sent = Float32Array.from([0, 1.5, -7, 1 / 3, 1e-30, -3.4e38]);
    const { rows } = await database().query<{ v: string; text: string }>(
      'SELECT $1::vector AS v, $2::vector AS text',
      [vector(sent), vectorText(sent)],
    );
    expect(rows[0]!.v).toBe(rows[0]!.text);
  });

  describe('plans', () => {
    // Few values, so that scores and bounds tie.
    const value = fc.oneof(
      fc.integer({ min: -2, max: 2 }),
      fc.float({ noNaN: true, min: -2, max: 2 }),
    );
    const coordinates = fc.array(value, { minLength: D, maxLength: D });
    const catalogue = fc.record({
      rows: fc.array(fc.record({ vector: coordinates, removed: fc.boolean() }), { maxLength: 40 }),
      query: coordinates,
      dim: fc.constantFrom(4, 8),
      limit: fc.integer({ min: 1, max: 20 }),
      excluded: fc.array(fc.integer({ min: 0, max: 39 }), { maxLength: 5 }),
      shortlist: fc.integer({ min: 1, max: 10 }),
      refuse: fc.constantFrom('index' as const, 'list' as const),
    });
    const form = { kind: 'vector', metric: 'inner_product', dim: 2 } as const;

    beforeAll(async () => {
      await create(database(), SIZES);
      await index(database(), form);
    });

    const searchOf = (given: {
      query: readonly number[];
      dim: number;
      limit: number;
      excluded: readonly number[];
    }): VectorSearch => ({
      ...{ table: TABLE, fullDim: D, limit: given.limit },
      query: Float32Array.from(given.query).subarray(0, given.dim),
      condition: (_access, parameters) => {
        const ids = given.excluded.map((n) => `i${String(n).padStart(5, '0')}`);
        return `NOT v.removed AND v.item_id <> ALL(${parameters.add(ids)}::text[])`;
      },
    });

    it('`bound` gives the exact ranking, whatever the shortlist, restrictions, removals and ties', async () => {
      const db = database();
      await fc.assert(
        fc.asyncProperty(catalogue, async (given) => {
          await db.execute(`TRUNCATE ${TABLE}`);
          await fill(db, given.rows);
          const search = searchOf(given);
          const { shortlist, refuse } = given;
          const by: IndexSearch = { form, shortlist, refuse, efSearch: shortlist };
          const bound = await ask(db, boundSearch(search, { by, dim: form.dim, sizes: SIZES }));
          expect(bound).toEqual(await ask(db, exactSearch(search)));
        }),
        { numRuns: 60 },
      );
    });

    it('`staged` gives the exact ranking where the shortlist holds every row', async () => {
      const db = database();
      await fc.assert(
        fc.asyncProperty(catalogue, async (given) => {
          await db.execute(`TRUNCATE ${TABLE}`);
          await fill(db, given.rows);
          const search = searchOf(given);
          const by: IndexSearch = { form, shortlist: 64, refuse: given.refuse, efSearch: 64 };
          expect(await ask(db, indexSearch(search, by))).toEqual(
            await ask(db, exactSearch(search)),
          );
        }),
        { numRuns: 40 },
      );
    });

    it('scores that grow from stage to stage are those of the whole', async () => {
      const db = database();
      await db.execute(`TRUNCATE ${TABLE}`);
      const random = createRandom(3);
      const draw = () => Array.from({ length: D }, () => random.normal());
      await fill(
        db,
        Array.from({ length: 50 }, () => ({ vector: draw(), removed: false })),
      );
      const search = searchOf({ query: draw(), dim: 8, limit: 10, excluded: [3] });
      const by = { form, shortlist: 64, refuse: 'list', efSearch: 64 } as const;
      const grown = await ask(db, indexSearch(search, { ...by, between: [{ dim: 4, rows: 60 }] }));
      const exact = await ask(db, exactSearch(search));
      expect(grown.map(({ id }) => id)).toEqual(exact.map(({ id }) => id));
      grown.forEach(({ score }, i) => expect(score).toBeCloseTo(exact[i]!.score, 4));
    });
  });

  describe('statements of one text as one', () => {
    const form = { kind: 'halfvec', metric: 'inner_product', dim: 4 } as const;
    const random = createRandom(5);
    const draw = () => Array.from({ length: D }, () => random.normal());
    const searchFor = (excluded: readonly string[], note: string): VectorSearch => ({
      ...{ table: TABLE, fullDim: D, limit: 7, query: Float32Array.from(draw()) },
      condition: (_access, parameters) =>
        `v.item_id <> ALL(${parameters.add(excluded)}::text[]) AND v.item_id <> ${parameters.add(note)}`,
    });
    const statementsOf = (by: Pick<IndexSearch, 'refuse'>) =>
      ['one', "two'); DROP", 'i00002'].map((note, n) => {
        const search = searchFor(n === 0 ? [] : ['i00000', 'i00001'], note);
        return indexSearch(search, { form, shortlist: 20, efSearch: 40, ...by });
      });

    beforeAll(async () => {
      await create(database(), SIZES);
      await index(database(), form);
      await fill(
        database(),
        Array.from({ length: 300 }, () => ({ vector: draw(), removed: false })),
      );
      await database().execute(`ANALYZE ${TABLE}`);
    });

    it.each(['index', 'list'] as const)(
      'give the rows that each gives by itself, refused by the %s, walking the index',
      async (refuse) => {
        const db = database();
        const statements = statementsOf({ refuse });
        const joined = joinedStatement(statements);
        const { rows } = await byIndex(db, (tx) =>
          tx.query<{ item_id: string; score: number; statement: number }>(
            joined.text,
            joined.params,
          ),
        );
        for (const [position, statement] of statements.entries()) {
          const own = rows.filter((row) => row[STATEMENT_COLUMN] === position);
          expect(own).toHaveLength(7);
          const inOrder = own.map((row) => ({ id: row.item_id, score: row.score }));
          inOrder.sort((a, b) => b.score - a.score || (a.id < b.id ? -1 : 1));
          expect(inOrder).toEqual(await ask(db, statement));
        }
        const plan = await byIndex(db, (tx) =>
          tx.query<Record<string, string>>(`EXPLAIN ${joined.text}`, joined.params),
        );
        const lines = plan.rows.map((row) => Object.values(row)[0]).join('\n');
        expect(lines).toContain(`Index Scan using ${indexName('t', form)}`);
      },
    );
  });

  describe('an index', () => {
    const ROWS = 2_000;
    const [wide, sizes] = [32, [8, 16, 32]] as const;
    const forms: IndexForm[] = [
      { kind: 'vector', metric: 'inner_product', dim: 16 },
      { kind: 'vector', metric: 'inner_product', dim: 32 },
      { kind: 'halfvec', metric: 'inner_product', dim: 16 },
      { kind: 'halfvec', metric: 'inner_product', dim: 32 },
      { kind: 'vector', metric: 'reduced_l2', dim: 16, maxNorm: 8.25 },
      { kind: 'halfvec', metric: 'reduced_l2', dim: 32, maxNorm: 6.5 },
      { kind: 'bit', metric: 'hamming', dim: 16 },
      { kind: 'bit', metric: 'hamming', dim: 32 },
    ];
    const random = createRandom(11);
    // Nested: most of the length lies in the first coordinates; lengths differ.
    const draw = () => {
      const length = Math.exp(0.3 * random.normal());
      return Array.from({ length: wide }, (_, j) => (length * random.normal()) / Math.sqrt(1 + j));
    };

    beforeAll(async () => {
      await create(database(), sizes);
      await fill(
        database(),
        Array.from({ length: ROWS }, () => ({ vector: draw(), removed: false })),
      );
      await database().execute(`ANALYZE ${TABLE}`);
    });

    it.each(forms)('$kind by $metric of $dim is built, used and re-ranked well', async (form) => {
      const db = database();
      await index(db, form, wide);
      let [found, wanted] = [0, 0];
      for (let n = 0; n < 20; n++) {
        const search: VectorSearch = {
          ...{ table: TABLE, fullDim: wide, query: Float32Array.from(draw()), limit: 20 },
          condition: () => 'NOT v.removed',
        };
        const by = { form, shortlist: 400, efSearch: 400, refuse: 'list' } as const;
        const statement = indexSearch(search, by);
        if (n === 0) {
          const { rows } = await byIndex(db, (tx) =>
            tx.query<Record<string, string>>(`EXPLAIN ${statement.text}`, statement.params),
          );
          const plan = rows.map((row) => Object.values(row)[0]).join('\n');
          expect(plan).toContain(`Index Scan using ${indexName('t', form)}`);
        }
        const exact = new Set((await ask(db, exactSearch(search))).map(({ id }) => id));
        const got = (await ask(db, statement)).filter(({ id }) => exact.has(id));
        [found, wanted] = [found + got.length, wanted + exact.size];
      }
      await db.execute(`DROP INDEX "${indexName('t', form)}"`);
      // Signs of vectors that nobody trained say little; a shortlist by chance would find 0.2.
      expect(found / wanted).toBeGreaterThan(form.kind === 'bit' ? 0.4 : 0.97);
    });
  });

  it('norms follow a vector that is replaced', async () => {
    const db = database();
    await create(db, SIZES);
    await fill(db, [{ vector: [3, 4, 0, 0, 0, 0, 0, 12], removed: false }]);
    const norms = async () =>
      (await db.query<{ norms: number[] }>(`SELECT norms FROM ${TABLE}`)).rows[0]!.norms;
    expect(await norms()).toEqual([5, 5, 13]);
    await db.query(`UPDATE ${TABLE} SET embedding = $1::vector`, [
      vector(Float32Array.from([0, 0, 3, 4, 0, 0, 0, 0])),
    ]);
    expect(await norms()).toEqual([0, 5, 5]);
  });
});
