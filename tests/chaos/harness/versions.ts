/**
 * What the runs of model versions share: a database with users and a catalogue, numbered models on disk, API
 * processes on the first of them, and a load of requests whose every answer is judged by the version it names.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrate, openPostgres, type Database } from '@nestrec/database';
import {
  createApiKey,
  ensureDefaultTiers,
  insertInteractions,
  upsertItems,
  type Interaction,
} from '@nestrec/storage';
import { freePort } from '../../helpers/processes.js';
import { catalogueItem, itemIdOf } from '../../helpers/published-artifact.js';
import { createDatabase } from '../../helpers/postgres-template.js';
import type { ChaosContext } from './context.js';
import type { Ground } from './ground.js';
import { API, openLoop, send, type Reply, type Target } from './http.js';
import { eventually, supervise, type Supervised } from './supervisor.js';
import { belongsTo, numberOf, publishPath, saveNumbered, versionOf } from './version-models.js';
import { prepareStates, STORED_MARK } from './version-states.js';

/** More than the exact scan is used for, so that answers come from indexes. */
export const ITEMS = 1_200;
export const USERS = 1_000;
const EVENTS_PER_USER = 5;
const T0 = Date.UTC(2026, 0, 1);

export interface VersionScene {
  readonly url: string;
  readonly db: Database;
  /** Where artifacts lie. */
  readonly folder: string;
  readonly key: string;
  /** Of each user, oldest first. */
  readonly histories: readonly (readonly Interaction[])[];
}

export async function makeVersionScene(
  context: ChaosContext,
  serverUrl: string,
): Promise<VersionScene> {
  const created = await createDatabase(serverUrl);
  const db = await openPostgres({
    ...{ url: created.url, max: 4, applicationName: 'chaos', statementTimeoutMs: 60_000 },
    allowUnsafeDurability: true,
  });
  const folder = await mkdtemp(join(tmpdir(), 'nestrec-chaos-versions-'));
  context.defer(async () => {
    await db.close().catch(() => undefined);
    await rm(folder, { recursive: true, force: true });
  });
  await migrate(db);
  await ensureDefaultTiers(db);
  await upsertItems(
    db,
    Array.from({ length: ITEMS }, (_, i) => catalogueItem(i)),
  );
  const events = Array.from({ length: USERS * EVENTS_PER_USER }, (_, n): Interaction => ({
    ...{ eventId: `e${n}`, userId: `u${n % USERS}`, type: 'view', value: null },
    ...{ itemId: itemIdOf(context.random.int(ITEMS)), timestampMs: T0 + n },
  }));
  await insertInteractions(db, events);
  const histories = Array.from({ length: USERS }, (_, user) =>
    events.filter((_event, n) => n % USERS === user),
  );
  await db.execute('ANALYZE');
  const scopes = ['recommend', 'events:write', 'admin'] as const;
  const { key } = await createApiKey(db, { client: 'chaos', tier: 'full', scopes });
  return { url: created.url, db, folder, key, histories };
}

export interface ServedScene {
  readonly scene: VersionScene;
  readonly apis: readonly VersionedApi[];
  /** Begins a load on all of them; resolves once each has answered with version `n`. */
  startLoad(perSecond: number, n?: number): Promise<VersionLoad>;
}

/** A scene whose model 1 is published, and so many API processes that serve it. */
export async function makeServedScene(
  context: ChaosContext,
  ground: Ground,
  options: {
    readonly program: URL;
    readonly processes: number;
    /** Of model 1, as measured by its training. */
    readonly ndcg?: number;
    readonly env?: Readonly<Record<string, string>>;
  },
): Promise<ServedScene> {
  const scene = await makeVersionScene(context, ground.postgres.url);
  const { program, processes, ndcg, env } = options;
  await saveNumbered(scene.folder, 1, ITEMS, ndcg);
  await publishNumbered(scene, 1);
  const apis: VersionedApi[] = [];
  for (let n = 1; n <= processes; n++) {
    apis.push(await startApi(context, scene, `api ${n}`, program, env));
  }
  return {
    ...{ scene, apis },
    startLoad: async (perSecond, n = 1) => {
      const load = startVersionLoad(context, apis, context.scaled(perSecond));
      await eventually(
        `${versionOf(n)} to serve`,
        () => allServe(load, processes, versionOf(n), 0),
        60_000,
      );
      return load;
    },
  };
}

/** Publishes a saved model, and lets the users' states follow. */
export async function publishNumbered(scene: VersionScene, n: number): Promise<void> {
  await publishPath(scene.db, join(scene.folder, versionOf(n)));
  await (
    await prepareStates(scene, versionOf(n))
  )();
}

export type VersionedApi = Supervised & Target;

/** An API process over the scene, started; the log is the database's, nobody sends events. */
export async function startApi(
  context: ChaosContext,
  scene: VersionScene,
  name: string,
  program: URL = API,
  env: Readonly<Record<string, string>> = {},
): Promise<VersionedApi> {
  const port = await freePort();
  const supervised = supervise(
    {
      ...{ name, program, keepAlive: true, readyLine: /"msg":"listening"/ },
      env: { DATABASE_URL: scene.url, PORT: String(port), NESTREC_LOG_LEVEL: 'info', ...env },
    },
    context.note,
  );
  context.defer(() => supervised.kill());
  await supervised.start();
  return Object.create(supervised, {
    url: { value: `http://127.0.0.1:${port}` },
    key: { value: scene.key },
  }) as VersionedApi;
}

export const pathOf = (user: number) => `/v1/users/u${user}/recommendations?k=10`;

interface AnswerBody {
  readonly items: readonly { readonly item_id: string; readonly score: number }[];
  readonly served_by: {
    readonly model_version: string;
    readonly fallback: string | null;
    readonly events_in_state: number;
  };
}

/** One answer of a load, judged. */
export interface Served extends Pick<Reply, 'status' | 'atMs' | 'tookMs'> {
  readonly api: number;
  /** Null where there is none. */
  readonly version: string | null;
}

export interface VersionLoad {
  readonly served: readonly Served[];
  readonly mixed: readonly string[];
  /** Answers that were made of a stored state. */
  fromStates(): number;
  /** Answers of a version that is older than one given on the same connection before. */
  backwards(): number;
  unsent(): number;
  /** Resolves when every API has answered with the version; rejects after a while. */
  stop(): Promise<void>;
}

/** Requests for random users, in turn to each API. */
export function startVersionLoad(
  context: ChaosContext,
  apis: readonly VersionedApi[],
  perSecond: number,
): VersionLoad {
  const served: Served[] = [];
  const mixed: string[] = [];
  const newest = new Map<number, number>();
  let backwards = 0;
  let fromStates = 0;
  let told = 0;
  const load = openLoop(perSecond, async (index) => {
    const api = index % apis.length;
    const reply = await send(apis[api]!, 'GET', pathOf(context.random.int(USERS)));
    const { status, atMs, tookMs, connection } = reply;
    const body = status === 200 ? (reply.body as AnswerBody) : null;
    const version = body?.served_by.model_version ?? null;
    served.push({ status, atMs, tookMs, api, version });
    if (status !== 200 && (told += 1) <= 5) {
      context.note(`not 200: ${status} ${reply.reason ?? JSON.stringify(reply.body)}`);
    }
    if (body !== null && version !== null) {
      const n = numberOf(version);
      if (body.served_by.events_in_state >= STORED_MARK) fromStates += 1;
      const wrong = body.items.find(({ score }) => !belongsTo(n, score));
      if (wrong !== undefined || body.items.length !== 10) {
        mixed.push(`${version}: ${wrong?.item_id ?? 'too few'} ${wrong?.score ?? ''}`);
      }
      if (n < (newest.get(connection) ?? 0)) backwards += 1;
      newest.set(connection, Math.max(n, newest.get(connection) ?? 0));
    }
    return reply;
  });
  return {
    ...{ served, mixed },
    backwards: () => backwards,
    fromStates: () => fromStates,
    unsent: load.unsent,
    stop: async () => {
      await load.stop();
    },
  };
}

/** Resolves once every API has answered a request that began after `atMs` with the version. */
export function allServe(load: VersionLoad, apis: number, version: string, atMs: number): boolean {
  const seen = new Set<number>();
  for (let i = load.served.length - 1; i >= 0 && seen.size < apis; i--) {
    const one = load.served[i]!;
    if (one.atMs < atMs) break;
    if (one.version === version) seen.add(one.api);
  }
  return seen.size === apis;
}

export function percentile(values: readonly number[], share: number): number {
  if (values.length === 0) return 0;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
}

/** What a reply says of a user's list, to the byte, without what every request has of its own. */
export async function answersOf(target: Target, users: readonly number[]): Promise<string[]> {
  const answers: string[] = [];
  for (const user of users) {
    const { status, body } = await send(target, 'GET', pathOf(user));
    if (status !== 200) throw new Error(`user ${user}: status ${status}`);
    answers.push(JSON.stringify(body));
  }
  return answers;
}
