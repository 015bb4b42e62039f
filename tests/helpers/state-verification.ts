/** A published artifact with an ingest on it, ways to damage its states, and their verification. */
import { QUERY_TOLERANCE, verifyStates, type VerifyStatesOptions } from '@nestrec/cli';
import type { Item } from '@nestrec/contracts';
import type { Database } from '@nestrec/database';
import type { IngestDeps } from '@nestrec/ingest';
import { createEmbedderSource, embedItemInLiveVersions, publishVersion } from '@nestrec/publishing';
import { createRandom } from '@nestrec/random';
import type { Artifact } from '@nestrec/registry';
import { silentLogger } from '@nestrec/runtime';
import {
  getUserState,
  itemVectorsTable,
  listItemVectorTables,
  upsertItems,
  upsertUserStates,
} from '@nestrec/storage';
import { createCell, decodeState, encodeState, type UserState } from '@nestrec/streaming';
import { recordOf, startIngest, type DraftEvent } from './ingest-harness.js';
import { itemIdOf } from './published-artifact.js';
import { tiersOf } from './tiers-of.js';

const logger = silentLogger();

export async function wipeAll(db: Database): Promise<void> {
  await db.execute(`TRUNCATE interactions, items, deleted_items, item_popularity, user_states,
    consumer_positions, rejects, published_model, model_versions CASCADE`);
  for (const version of await listItemVectorTables(db)) {
    await db.execute(`DROP TABLE ${itemVectorsTable(version)}`);
  }
}

export const publish = (db: Database, artifact: Artifact, path = 'unused') =>
  publishVersion({
    db,
    artifact,
    path,
    tiers: tiersOf(null),
    logger,
    recallQueries: 1,
    force: true,
  });

export function ingestOf(db: Database, artifacts: Artifact[], more: Partial<IngestDeps> = {}) {
  const versions = artifacts.map(({ manifest, parameters }) => ({
    version: manifest.version,
    cell: createCell(manifest.config, parameters),
  }));
  return startIngest(db, versions, more);
}

/** Writes an item as `PUT /v1/items` does; nothing tells the ingest of it. */
export async function putItem(db: Database, artifacts: Artifact[], item: Item): Promise<void> {
  await upsertItems(db, [item]);
  const embedders = createEmbedderSource(
    (version) => Promise.resolve(artifacts.find((one) => one.manifest.version === version)!),
    artifacts.length,
  );
  await embedItemInLiveVersions(db, item.item_id, embedders, logger);
}

export const verify = (
  db: Database,
  artifact: Artifact,
  options: Partial<VerifyStatesOptions> = {},
) =>
  verifyStates(db, artifact, {
    ...{ sample: null, seed: 1, repair: false, hashUser: (userId: string) => `#${userId}` },
    ...options,
  });

/** What both ways must have found wrong. */
export const FOUND_BY_BOTH = {
  state: 1e-5,
  query: QUERY_TOLERANCE,
};

/** Changes a stored state in place. */
export async function damageState(
  db: Database,
  userId: string,
  damage: (state: UserState) => void,
): Promise<void> {
  const row = (await getUserState(db, userId))!;
  const state = decodeState(row.state);
  damage(state);
  await upsertUserStates(db, [{ ...row, state: encodeState(state) }]);
}

/** `count` events of `users` users over the first `items` items: some late, some of unknown items. */
export function randomEvents(
  seed: number,
  { count, users = 40, items = 60 }: { count: number; users?: number; items?: number },
): DraftEvent[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, (_, n) => ({
    id: `e${String(n).padStart(6, '0')}`,
    user: `u${random.int(users)}`,
    item: random.uniform() < 0.002 ? 'unknown' : itemIdOf(random.int(items)),
    // Minutes before now: mostly in order, one in forty late by up to a few thousand events.
    ago: count - n + (random.uniform() < 0.025 ? random.int(3_000) : 0),
  }));
}

/** Delivers events in batches of random sizes. */
export async function deliverAll(
  run: Awaited<ReturnType<typeof startIngest>>,
  events: readonly DraftEvent[],
  seed = 1,
): Promise<void> {
  const random = createRandom(seed);
  for (let at = 0; at < events.length;) {
    const size = 1 + random.int(200);
    await run.deliver(...events.slice(at, at + size).map(recordOf));
    at += size;
  }
}
