/**
 * The stores of a run: a database with a published model whose artifact lies on disk, as the product's own
 * processes find them, and keys for the API. Knows nothing of Kafka and of faults.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrate, openPostgres, parseVector, type Database } from '@nestrec/database';
import { loadArtifact } from '@nestrec/registry';
import { createApiKey, ensureDefaultTiers, itemVectorsTable } from '@nestrec/storage';
import { createCell, type Cell } from '@nestrec/streaming';
import { createDatabase } from '../../helpers/postgres-template.js';
import { itemIdOf } from '../../helpers/published-artifact.js';
import { publishModel as publishArtifact } from '../../helpers/published-model.js';
import type { ChaosContext } from './context.js';

const ITEMS = 60;
const VERSION = 'chaos';
/** Long memory: an event that was lost some two hundred events ago still shows in the state. */
const MEMORY = { rMin: 0.5, rMax: 0.95 };

export interface PublishedModel {
  readonly version: string;
  readonly cell: Cell;
  readonly replayEvents: number;
  readonly vectors: ReadonlyMap<string, Float32Array>;
}

export interface Scene {
  readonly url: string;
  /** For the run's own questions, not for the product. */
  readonly db: Database;
  readonly model: PublishedModel;
  readonly items: readonly string[];
  /** A key of the scopes events:write and recommend. */
  readonly apiKey: string;
}

/** Makes a migrated database on the server, with the model published; gone at the end of the run. */
export async function makeScene(context: ChaosContext, serverUrl: string): Promise<Scene> {
  const created = await createDatabase(serverUrl);
  const db = await openPostgres({
    url: created.url,
    max: 4,
    applicationName: 'chaos',
    statementTimeoutMs: 60_000,
    allowUnsafeDurability: true,
  });
  const folder = await mkdtemp(join(tmpdir(), 'nestrec-chaos-'));
  context.defer(async () => {
    await db.close().catch(() => undefined);
    await rm(folder, { recursive: true, force: true });
  });
  await migrate(db);
  await ensureDefaultTiers(db);
  const model = await publishModel(db, folder);
  const scopes = ['events:write', 'recommend'] as const;
  const { key } = await createApiKey(db, { client: 'chaos', tier: 'full', scopes });
  return { url: created.url, db, model, items: [...model.vectors.keys()], apiKey: key };
}

async function publishModel(db: Database, folder: string): Promise<PublishedModel> {
  await publishArtifact(db, folder, { version: VERSION, items: ITEMS, ...MEMORY }, [4, null]);
  const artifact = await loadArtifact(join(folder, VERSION));
  const { rows } = await db.query<{ item_id: string; embedding: string }>(
    `SELECT item_id, embedding::text AS embedding FROM ${itemVectorsTable(VERSION)}`,
  );
  const vectors = new Map(rows.map((row) => [row.item_id, parseVector(row.embedding)]));
  if (!vectors.has(itemIdOf(0))) throw new Error('the published model lacks its items');
  const cell = createCell(artifact.manifest.config, artifact.parameters);
  return { version: VERSION, cell, replayEvents: artifact.manifest.replayEvents, vectors };
}
