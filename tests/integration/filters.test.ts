/** Filters in SQL hold what the reference in TypeScript says, on both databases, however the rows are reached. */
import { filterSchema, type Filter, type Item } from '@nestrec/contracts';
import type { Database } from '@nestrec/database';
import { matchesFilter } from '@nestrec/retrieval';
import { upsertItems, sqlParameters, type Access } from '@nestrec/storage';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { servable } from '../../packages/retrieval/src/restriction.js';
import { describeDatabases } from '../helpers/databases.js';

const IDS = ['a', 'b', 'c', 'ä', 'i1', 'I1', "x' OR 1=1 --"];
/** Texts that collations order otherwise than bytes do, and a pair that UTF-16 does. */
const TEXTS = [
  '',
  'a',
  'B',
  'b',
  'ä',
  'z',
  '10',
  '9',
  '\uffee',
  '\u{1f600}',
  "'; --",
  '%',
  '{"a":1}',
];
const NUMBERS = [0, -0, 1, 1.5, 10, -3, 0.1 + 0.2, 1e300, 5e-324, 2 ** 53];
/** Names that would matter if they became text of a statement or a path. */
const NAMES = ['n', 't', 'a.b', '{n}', '$1', "n' = 'n", '', '0'].filter((name) => name !== '');

const text = fc.constantFrom(...TEXTS);
const number = fc.oneof(fc.constantFrom(...NUMBERS), fc.integer({ min: -5, max: 15 }));
const value = fc.oneof(text, number, fc.boolean());
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });

const items: fc.Arbitrary<Item[]> = fc.uniqueArray(
  fc
    .record({
      item_id: fc.constantFrom(...IDS),
      brand: maybe(text),
      categories: maybe(fc.array(text, { maxLength: 3 })),
      fields: maybe(
        fc.dictionary(fc.constantFrom(...NAMES), fc.oneof(value, fc.array(text, { maxLength: 3 }))),
      ),
    })
    .map(
      (item) =>
        ({
          ...(Object.fromEntries(
            Object.entries(item).filter(([, part]) => part !== undefined),
          ) as unknown as Item),
          available: true,
        }) satisfies Item,
    ),
  { selector: (item) => item.item_id, maxLength: IDS.length },
);

const texts = fc.array(text, { minLength: 1, maxLength: 3 });
const boundsOf = <T>(bound: fc.Arbitrary<T>) =>
  fc
    .tuple(fc.constantFrom('gt', 'gte', 'lt', 'lte'), bound, fc.boolean(), bound)
    .map(([name, one, both, other]) => ({
      [name]: one,
      ...(both ? { [name.startsWith('g') ? 'lt' : 'gte']: other } : {}),
    }));
const condition = fc
  .oneof(
    fc.tuple(
      fc.constantFrom('brand', 'item_id'),
      fc.oneof(
        fc.oneof(text, fc.constantFrom(...IDS)).map((eq) => ({ eq })),
        fc.oneof(texts, fc.subarray(IDS, { minLength: 1 })).map((list) => ({ in: list })),
        boundsOf(text),
      ),
    ),
    fc.tuple(
      fc.constant('categories'),
      fc.oneof(
        text.map((eq) => ({ eq })),
        texts.map((list) => ({ in: list })),
      ),
    ),
    fc.tuple(
      fc.constant('available'),
      fc.boolean().map((eq) => ({ eq })),
    ),
    fc.tuple(
      fc.constantFrom(...NAMES).map((name) => `fields.${name}`),
      fc.oneof(
        value.map((eq) => ({ eq })),
        fc.array(value, { minLength: 1, maxLength: 4 }).map((list) => ({ in: list })),
        boundsOf(text),
        boundsOf(number),
      ),
    ),
  )
  .map(([field, operator]) => ({ field, ...operator }) as Filter);
const filters = fc.letrec<{ filter: Filter }>((tie) => ({
  filter: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    condition,
    fc.array(tie('filter'), { minLength: 1, maxLength: 3 }).map((and): Filter => ({ and })),
    fc.array(tie('filter'), { minLength: 1, maxLength: 3 }).map((or): Filter => ({ or })),
    tie('filter').map((not): Filter => ({ not })),
  ),
})).filter;

async function matching(db: Database, filter: Filter, access: Access): Promise<string[]> {
  const parameters = sqlParameters();
  const where = servable({ exclusion: { kind: 'none' }, filter }, access, parameters);
  const { rows } = await db.query<{ item_id: string }>(
    `SELECT v.item_id FROM vectors_of_the_test v WHERE ${where}`,
    parameters.values,
  );
  return rows.map((row) => row.item_id).sort();
}

describeDatabases('filters', (database) => {
  beforeAll(async () => {
    await database().execute(
      'CREATE TABLE vectors_of_the_test (item_id entity_id PRIMARY KEY, removed boolean NOT NULL DEFAULT false)',
    );
    await database().query(
      'INSERT INTO vectors_of_the_test (item_id) SELECT * FROM unnest($1::text[])',
      [IDS],
    );
  });

  describe('as SQL', () => {
    it(
      'let the same items through as the reference does, with and without a catalogue row',
      { timeout: 300_000 },
      async () => {
        let passed = 0;
        let stopped = 0;
        const lists = fc.array(filters, { minLength: 10, maxLength: 10 });
        await fc.assert(
          fc.asyncProperty(items, lists, async (catalogue, list) => {
            await database().execute('DELETE FROM items');
            await upsertItems(database(), catalogue);
            const byId = new Map(catalogue.map((item) => [item.item_id, item]));
            for (const filter of list) {
              const wanted = IDS.filter((id) =>
                matchesFilter(byId.get(id) ?? { item_id: id }, filter),
              ).sort();
              expect(await matching(database(), filter, 'point'), 'point').toEqual(wanted);
              expect(await matching(database(), filter, 'scan'), 'scan').toEqual(wanted);
              passed += wanted.length;
              stopped += IDS.length - wanted.length;
            }
          }),
          { numRuns: 60 },
        );
        // Filters that let everything or nothing through would show nothing.
        expect(passed).toBeGreaterThan(500);
        expect(stopped).toBeGreaterThan(500);
      },
    );

    it('hold no text of the filter, only places for parameters', () => {
      const hostile = "'; DROP TABLE items; --";
      const leaf = { field: `fields.${hostile}`, eq: hostile };
      const filter = filterSchema.parse({
        and: [
          leaf,
          {
            or: [
              { ...leaf, eq: 5 },
              { field: 'item_id', eq: hostile },
            ],
          },
          { not: { field: `fields.${hostile}`, gte: hostile } },
          { field: 'brand', lt: hostile },
          { field: 'categories', in: [hostile] },
        ],
      });
      for (const access of ['point', 'scan'] as const) {
        const parameters = sqlParameters();
        const exclude = [hostile];
        const text = servable({ exclusion: { kind: 'none' }, exclude, filter }, access, parameters);
        expect(text).not.toContain('DROP');
        expect(text.replaceAll(/'(number|string)'/g, '')).not.toContain("'");
        expect(parameters.values.length).toBeGreaterThan(6);
      }
    });
  });
});
