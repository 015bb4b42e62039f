/**
 * What the serving benchmark stands on: a private PostgreSQL with a trained model published in it, the
 * histories and states of all its users, keys for its tiers, and the built API beside it.
 */
import { migrate, openPostgres, type Database } from '@nestrec/database';
import { publishVersion } from '@nestrec/publishing';
import type { Artifact } from '@nestrec/registry';
import { silentLogger } from '@nestrec/runtime';
import {
  createApiKey,
  ensureDefaultTiers,
  getVectorsRevision,
  insertInteractions,
  upsertTier,
  upsertUserStates,
  type Interaction,
  type UserState,
} from '@nestrec/storage';
import { createCell, encodeState } from '@nestrec/streaming';
import { itemVectors } from '@nestrec/parameters';
import type { Tier } from '@nestrec/contracts';
import { startPostgres, type PostgresServer } from '../../helpers/postgres-server.js';
import { createDatabase } from '../../helpers/postgres-template.js';
import type { LargeBeauty } from '../retrieval/large-beauty.js';

export interface ServedCatalogue {
  /** Through a socket, as where the database runs beside the API. */
  readonly url: string;
  readonly db: Database;
  readonly userIds: readonly string[];
  /** A key of a client of its own in the tier. */
  keyFor(tier: string): Promise<string>;
  close(): Promise<void>;
}

export interface ServedCatalogueOptions {
  readonly artifact: Artifact;
  readonly path: string;
  readonly data: LargeBeauty;
  readonly tiers: readonly Tier[];
  readonly note: (line: string) => void;
}

const BATCH = 5_000;
const START_MS = Date.UTC(2026, 0, 1);

/** PostgreSQL as an operator with 24 GiB would set it; durability on. */
const SERVER_SETTINGS = {
  shared_buffers: '2GB',
  maintenance_work_mem: '1GB',
  effective_cache_size: '8GB',
  max_wal_size: '4GB',
  random_page_cost: '1.1',
  jit: 'off',
};

export async function serveCatalogue(options: ServedCatalogueOptions): Promise<ServedCatalogue> {
  const server = await startPostgres(SERVER_SETTINGS);
  try {
    return await fill(server, options);
  } catch (error) {
    await server.stop();
    throw error;
  }
}

async function fill(
  server: PostgresServer,
  { artifact, path, data, tiers, note }: ServedCatalogueOptions,
): Promise<ServedCatalogue> {
  const { url } = await createDatabase(server.url);
  const db = await openPostgres({ url, max: 4, statementTimeoutMs: 0 });
  await migrate(db);
  await ensureDefaultTiers(db);
  for (const tier of tiers) await upsertTier(db, tier);
  await writeCatalogue(db, artifact.itemIds);
  const users = await writeHistories(db, data);
  note(`${users.length} users with ${data.dataset.items.length} events; publishing ...`);
  const published = await publishVersion({
    ...{ db, artifact, path, logger: silentLogger() },
    tiers,
    onProgress: ({ phase, done, total }) => {
      if (phase !== 'embed' || done === total) note(`${phase} ${done} of ${total}`);
    },
  });
  for (const { dim, recall, bytes } of published.dims) {
    note(`index at ${dim}: recall@20 ${recall.toFixed(4)}, ${(bytes / 1e6).toFixed(1)} MB`);
  }
  await writeStates(db, artifact, data, users);
  await db.execute('VACUUM ANALYZE');
  return {
    ...{ url: server.socketUrl(url), db, userIds: users },
    keyFor: async (tier) => {
      const scopes = ['recommend', 'events:write', 'admin'] as const;
      return (await createApiKey(db, { client: `bench-${tier}`, tier, scopes })).key;
    },
    close: async () => {
      await db.close();
      await server.stop();
    },
  };
}

/** Rows older than the model, so that publishing takes its vectors as they are. */
async function writeCatalogue(db: Database, itemIds: readonly string[]): Promise<void> {
  for (let from = 0; from < itemIds.length; from += BATCH) {
    await db.query(
      `INSERT INTO items (item_id, title, updated_at)
       SELECT id, 'item ' || id, '2020-01-01T00:00:00Z' FROM unnest($1::text[]) id`,
      [itemIds.slice(from, from + BATCH)],
    );
  }
}

const userIdOf = (user: number) => `user-${user}`;

/** A minute between two events of a user. */
async function writeHistories(db: Database, { dataset }: LargeBeauty): Promise<string[]> {
  const users = dataset.offsets.length - 1;
  let batch: Interaction[] = [];
  for (let user = 0; user < users; user++) {
    historyOf(dataset, user).forEach((item, index) => {
      batch.push({
        ...{ eventId: `e-${user}-${index}`, userId: userIdOf(user), type: 'view', value: null },
        ...{ itemId: dataset.itemIds[item - 1]!, timestampMs: START_MS + index * 60_000 },
      });
    });
    if (batch.length >= BATCH || user === users - 1) {
      await insertInteractions(db, batch);
      batch = [];
    }
  }
  return Array.from({ length: users }, (_, user) => userIdOf(user));
}

const historyOf = ({ offsets, items }: LargeBeauty['dataset'], user: number) =>
  Array.from(items.subarray(offsets[user]!, offsets[user + 1]!));

/** The states as ingest would have left them. */
async function writeStates(
  db: Database,
  artifact: Artifact,
  { dataset }: LargeBeauty,
  userIds: readonly string[],
): Promise<void> {
  const { config, version } = artifact.manifest;
  const cell = createCell(config, artifact.parameters);
  const vectors = itemVectors(config, artifact.parameters, artifact.features);
  const vector = (item: number) => vectors.subarray((item - 1) * cell.dim, item * cell.dim);
  const vectorsRevision = await getVectorsRevision(db, version);
  let batch: UserState[] = [];
  for (const [user, userId] of userIds.entries()) {
    const history = historyOf(dataset, user);
    const last = history.length - 1;
    batch.push({
      ...{ userId, modelVersion: version, unknownEvents: 0, edits: 0, vectorsRevision },
      state: encodeState(cell.fold(history.map(vector))),
      lastItemId: dataset.itemIds[history[last]! - 1]!,
      eventsInState: history.length,
      newestTimestampMs: START_MS + last * 60_000,
      newestEventId: `e-${user}-${last}`,
    });
    if (batch.length >= 1_000 || user === userIds.length - 1) {
      await upsertUserStates(db, batch);
      batch = [];
    }
  }
}
