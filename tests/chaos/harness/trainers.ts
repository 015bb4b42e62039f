/**
 * Trainers as an external cron starts them: `nestrec retrain` as built, each a process of its own with a training
 * process under it. Loaded first and begun by a signal, so that several can begin at the same instant.
 */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrate, openPostgres, type Database } from '@nestrec/database';
import { getPublished, listItemVectorTables, listVersions } from '@nestrec/storage';
import { createDatabase } from '../../helpers/postgres-template.js';
import { FAST_TRAINING, fillShop } from '../../helpers/training-data.js';
import type { Build, ChaosContext } from './context.js';
import type { Ground } from './ground.js';
import { launchProcess, type LaunchedProcess } from './launched-process.js';
import { startProxy } from './proxy.js';

/** Enough items that copying and indexing them take a moment; few that are trained on, so that little training does. */
const SHOP = { users: 100, items: 20, eventsPerUser: 8, catalogue: 600 };
/** Makes the moments between two statements long enough to be hit. */
const LATENCY_MS = 3;
const READY_TIMEOUT_MS = 120_000;
const PROGRAM = new URL('./retrain-at-signal.mjs', import.meta.url);

export interface Trainers {
  readonly db: Database;
  /** Loads one; resolves once it waits for `begin`. */
  load(options?: { wait?: boolean; seed?: number }): Promise<LaunchedTrainer>;
  /** Leftovers of trainings: tables that nobody serves, runs that nobody works at, half-written artifacts. */
  leftovers(): Promise<string[]>;
  /** What is wrong with the version that answers now, or null. */
  servedFault(): Promise<string | null>;
  served(): Promise<string | null>;
}

export interface LaunchedTrainer extends LaunchedProcess {
  begin(): void;
}

/** @param twin file in broken/ that breaks the product's trainers, where the build is the broken one */
export async function makeTrainers(
  context: ChaosContext,
  ground: Ground,
  build: Build,
  twin: string,
): Promise<Trainers> {
  const created = await createDatabase(ground.postgres.url);
  const db = await openPostgres({
    ...{ url: created.url, max: 4, applicationName: 'chaos', allowUnsafeDurability: true },
  });
  const folder = await mkdtemp(join(tmpdir(), 'nestrec-chaos-trainers-'));
  context.defer(async () => {
    await db.close().catch(() => undefined);
    await rm(folder, { recursive: true, force: true });
  });
  await migrate(db);
  await fillShop(db, SHOP);
  const url = new URL(created.url);
  const proxy = await startProxy(Number(url.port), context.random.fork('trainers'));
  context.defer(() => proxy.stop());
  await proxy.set({ latencyMs: LATENCY_MS, jitterMs: LATENCY_MS });
  url.port = String(proxy.port);
  const broken = new URL(`../broken/${twin}`, import.meta.url).href;
  const env = {
    DATABASE_URL: url.href,
    NESTREC_ALLOW_UNSAFE_DURABILITY: 'true',
    NESTREC_DATA_DIR: folder,
    NESTREC_BACKEND: 'wasm',
    NESTREC_TRAIN_WORKERS: '1',
    NODE_OPTIONS: build === 'broken' ? `--import=${broken}` : '',
  };
  const running = new Set<LaunchedProcess>();
  context.defer(() => {
    for (const one of running) one.kill('SIGKILL');
  });
  return {
    db,
    load: async ({ wait = false, seed = 1 } = {}) => {
      const args = [
        'retrain',
        ...FAST_TRAINING,
        '--seed',
        String(seed),
        ...(wait ? ['--wait'] : []),
        '--json',
      ];
      const launched = launchProcess({ program: PROGRAM, env, args, built: true });
      running.add(launched);
      void launched.ended.then(() => running.delete(launched));
      await launched.ready(/^loaded$/m, READY_TIMEOUT_MS);
      return { ...launched, begin: () => process.kill(launched.pid, 'SIGUSR2') };
    },
    leftovers: () => findLeftovers(db, folder),
    servedFault: () => findServedFault(db),
    served: async () => (await getPublished(db))?.version ?? null,
  };
}

async function findLeftovers(db: Database, folder: string): Promise<string[]> {
  const kept = new Set(
    (await listVersions(db)).filter(({ status }) => status !== 'candidate').map((v) => v.version),
  );
  const tables = await listItemVectorTables(db);
  const { rows } = await db.query<{ id: bigint }>(
    `SELECT id FROM training_runs WHERE status IN ('running', 'queued')`,
  );
  const temporary = (await readdir(join(folder, 'models'))).filter((name) => name.endsWith('.tmp'));
  const checkpoints = await readdir(join(folder, 'checkpoints'));
  return [
    ...tables.filter((version) => !kept.has(version)).map((version) => `table of ${version}`),
    ...rows.map(({ id }) => `run ${id}`),
    ...temporary,
    ...checkpoints.map((name) => `checkpoint ${name}`),
  ];
}

/** The pointer names a version whose table has every item and whose indexes are valid; or nothing is published. */
async function findServedFault(db: Database): Promise<string | null> {
  const pointer = await getPublished(db);
  if (pointer === null) return null;
  const { version } = pointer;
  if (!(await listItemVectorTables(db)).includes(version)) return `${version} has no table`;
  const { rows } = await db.query<{ items: number; indexes: number; invalid: number }>(
    `SELECT (SELECT count(*) FROM item_vectors_${version})::int AS items,
       count(*)::int AS indexes, (count(*) FILTER (WHERE NOT indisvalid))::int AS invalid
     FROM pg_index WHERE indrelid = 'item_vectors_${version}'::regclass`,
  );
  const { items, indexes, invalid } = rows[0]!;
  if (items !== SHOP.catalogue) return `${version} has ${items} of ${SHOP.catalogue} items`;
  if (indexes < 2 || invalid > 0) return `${version} has ${indexes} indexes, ${invalid} invalid`;
  return null;
}
