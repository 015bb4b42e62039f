/**
 * Items that are written while others embed the catalogue, on PostgreSQL: a write shows only when it is committed,
 * which may be long after the moment that it was stamped with.
 */
import type { Item } from '@nestrec/contracts';
import { parseVector, type Database } from '@nestrec/database';
import {
  createEmbedderSource,
  createItemEmbedder,
  embedItemInLiveVersions,
  prepareItems,
  rollback,
} from '@nestrec/publishing';
import type { Artifact } from '@nestrec/registry';
import { silentLogger } from '@nestrec/runtime';
import { itemVectorsTable, upsertItems } from '@nestrec/storage';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openTestPostgres, postgresMissing, type TestDatabase } from '../helpers/databases.js';
import { deferred } from '../helpers/deferred.js';
import { catalogueItem, makeArtifact } from '../helpers/published-artifact.js';
import { publishingOn } from '../helpers/publishing.js';
import { wipeAll } from '../helpers/state-verification.js';

const logger = silentLogger();
const missing = postgresMissing();
const artifacts = [makeArtifact({ version: 'v1' }), makeArtifact({ version: 'v2', seed: 2 })];
const [v1, v2] = artifacts as [Artifact, Artifact];
const load = (version: string) =>
  Promise.resolve(artifacts.find(({ manifest }) => manifest.version === version)!);

/** One item in three forms, each with another vector. */
const first = catalogueItem(7);
const second: Item = { ...first, title: 'violet easel' };
const third: Item = { ...first, title: 'black drum' };

describe.skipIf(missing !== null)(`an item written beside others${missing ?? ''}`, () => {
  let opened: TestDatabase;
  let db: Database;
  beforeAll(async () => {
    opened = await openTestPostgres();
    ({ db } = opened);
  });
  afterAll(() => opened.dispose());
  beforeEach(() => wipeAll(db));

  const { publish } = publishingOn(() => db);
  const embedders = createEmbedderSource(load, 4);
  const vectorIn = async ({ manifest }: Artifact) => {
    const { rows } = await db.query<{ embedding: string }>(
      `SELECT embedding FROM ${itemVectorsTable(manifest.version)} WHERE item_id = $1`,
      [first.item_id],
    );
    return [...parseVector(rows[0]!.embedding)];
  };
  const vectorOf = async (artifact: Artifact, item: Item) => [
    ...(await createItemEmbedder(artifact)).embedCatalogue(item)!.vector,
  ];
  /** Writes the item in a transaction that stays open until the function that comes back is called. */
  async function beginToWrite(item: Item): Promise<() => Promise<void>> {
    const [wrote, commit] = [deferred(), deferred()];
    const ended = db.transaction(async (tx) => {
      await tx.query('SET LOCAL idle_in_transaction_session_timeout = 0');
      await upsertItems(tx, [item]);
      wrote.resolve();
      await commit.promise;
    });
    await Promise.race([wrote.promise, ended]);
    return () => (commit.resolve(), ended);
  }

  it('has its new form in the version whose publish began before the write was committed', async () => {
    await publish(v1);
    await upsertItems(db, [first]);
    const commit = await beginToWrite(second);
    // By now the older form is embedded, and the version does not answer yet: the writer does not know of it.
    await publish(v2, { guard: () => commit() });
    expect(await vectorIn(v2)).toEqual(await vectorOf(v2, second));
  });

  it('has its new form after the next rollback, where one caught up just before the commit and its writer died', async () => {
    await publish(v1);
    await publish(v2);
    await upsertItems(db, [first]);
    const commit = await beginToWrite(second);
    const goBack = async () => (await rollback(db, { loadArtifact: load, logger })).caughtUp;
    expect(await goBack()).toMatchObject({ embedded: 1 });
    expect(await vectorIn(v1)).toEqual(await vectorOf(v1, first));
    await commit();
    await goBack();
    expect(await goBack()).toMatchObject({ embedded: 1 });
    expect(await vectorIn(v1)).toEqual(await vectorOf(v1, second));
  });

  it.each(['alone', 'in bulk'])(
    'has its new form after the next publish, where another writer (%s) embedded just before the commit of one that died',
    async (way) => {
      await publish(v1);
      const bulk = await prepareItems(db, [second], embedders, logger);
      await upsertItems(db, [second]);
      const commit = await beginToWrite(third);
      if (way === 'in bulk') await bulk.embed();
      else await embedItemInLiveVersions(db, second.item_id, embedders, logger);
      expect(await vectorIn(v1)).toEqual(await vectorOf(v1, second));
      await commit();
      await publish(v1);
      expect(await vectorIn(v1)).toEqual(await vectorOf(v1, third));
    },
  );
});
