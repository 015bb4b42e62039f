/**
 * Ingest on a database, with models made up on the spot and a log that delivers what the test says, so
 * that redelivery, rewinds and faults can be brought about on purpose.
 */
import type { Manifest } from '@nestrec/contracts';
import type { Database, Queryable } from '@nestrec/database';
import { DatabaseUnavailable } from '@nestrec/errors';
import type { EventLog, LogBatch, LogRecord, SubscribeOptions } from '@nestrec/event-log';
import { createIngest, type IngestDeps, type LoadModel } from '@nestrec/ingest';
import { createRandom } from '@nestrec/random';
import { createMetrics, manualClock, silentLogger, type MetricsRegistry } from '@nestrec/runtime';
import {
  itemVectorsTable,
  registerVersion,
  streamInteractions,
  swapPublished,
} from '@nestrec/storage';
import { createCell, decodeState, type Cell } from '@nestrec/streaming';
import { vectorText } from '@nestrec/database';
import { randomModel, randomVectors, relativeError } from './streaming-reference.js';

export const NOW_MS = Date.UTC(2026, 10, 23, 12);
export const TOPIC = 'interactions.v1';

export interface TestVersion {
  readonly version: string;
  readonly cell: Cell;
  readonly vectors: Map<string, Float32Array>;
}

/** A model version of `items` items `i0..`, whose parameters and vectors follow from the seed. */
export function testVersion(
  version: string,
  shape: { seed: number; blocks?: number; items?: number; rMax?: number },
): TestVersion {
  const { seed, blocks = 1, items = 12, rMax = 0.5 } = shape;
  const model = randomModel(seed, { sizes: [4, 8], blocks, rMin: 0.2, rMax });
  const cell = createCell(model.config, model.params);
  const drawn = randomVectors(createRandom(seed), items, cell.dim);
  const vectors = new Map(drawn.map((vector, i) => [`i${i}`, vector] as [string, Float32Array]));
  return { version, cell, vectors };
}

/** The same, registered as a candidate, its vectors in a table; not yet published. */
export async function makeVersion(
  db: Database,
  version: string,
  shape: Parameters<typeof testVersion>[1],
): Promise<TestVersion> {
  const made = testVersion(version, shape);
  await db.execute(`CREATE TABLE ${itemVectorsTable(version)}
    (item_id entity_id PRIMARY KEY, embedding vector(${made.cell.dim}) NOT NULL)`);
  for (const [itemId, vector] of made.vectors) await putVector(db, version, itemId, vector);
  const manifest = { version } as Manifest;
  await registerVersion(db, { version, manifest, path: 'unused' });
  return made;
}

export async function putVector(
  db: Queryable,
  version: string,
  itemId: string,
  vector: Float32Array,
): Promise<void> {
  await db.query(`INSERT INTO ${itemVectorsTable(version)} VALUES ($1, $2::vector)`, [
    itemId,
    vectorText(vector),
  ]);
}

export const publish = (db: Database, version: string, before: string | null) =>
  swapPublished(db, version, before);

/** Empties every table, and drops the item vectors. */
export async function wipe(db: Database): Promise<void> {
  await db.execute(`TRUNCATE interactions, user_states, consumer_positions, rejects, dead_letter_leases,
    published_model, model_versions, event_log, event_log_heads, log_topics, erased_users, erased_events,
    erasures, item_popularity, deleted_items CASCADE`);
  const { rows } = await db.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relname LIKE 'item\\_vectors\\_%'`,
  );
  for (const { name } of rows) await db.execute(`DROP TABLE "${name}"`);
}

export interface DraftEvent {
  readonly id: string;
  readonly user?: string;
  readonly item?: string;
  /** Minutes before NOW_MS. */
  readonly ago?: number;
  readonly type?: string;
}

export type TestRecord = Pick<LogRecord, 'key' | 'keyBytes' | 'value'>;

/** The log's record of an event, by its bytes. */
export function recordOf(event: DraftEvent): { key: string; value: Uint8Array } {
  const user = event.user ?? 'u';
  const body = {
    ...{ schema_version: 1, event_id: event.id, user_id: user, item_id: event.item ?? 'i0' },
    ...{
      type: event.type ?? 'view',
      timestamp_ms: NOW_MS - (event.ago ?? 0) * 60_000,
      value: null,
    },
  };
  return { key: user, value: new TextEncoder().encode(JSON.stringify(body)) };
}

/**
 * Ingest whose batches the test delivers; `deliver` resolves when one is applied. `more` adds to what it
 * stands on, `moreLog` to the log, which has nothing but what is delivered.
 */
export async function startIngest(
  db: Database,
  versions: readonly Pick<TestVersion, 'version' | 'cell'>[] = [],
  more: Partial<IngestDeps> = {},
  moreLog: Partial<EventLog> = {},
) {
  const handlers: SubscribeOptions[] = [];
  const log: EventLog = {
    topic: TOPIC,
    append: () => Promise.reject(new Error('not used')),
    subscribe: (options) => {
      handlers.push(options);
      const running = {
        state: 'running',
        lastPollAtMs: null,
        lastError: null,
        failures: 0,
        crashes: 0,
      } as const;
      return Promise.resolve({ status: () => running, stop: () => Promise.resolve() });
    },
    offsets: () => Promise.resolve(new Map([[0, { low: 0n, next: 0n }]])),
    close: () => Promise.resolve(),
    ...moreLog,
  };
  const loaded: string[] = [];
  const loadModel: LoadModel = (version) => {
    loaded.push(version);
    const found = versions.find((v) => v.version === version);
    if (found === undefined) return Promise.reject(new Error(`no artifact of ${version}`));
    return Promise.resolve({ version, cell: found.cell, replayEvents: found.cell.replayEvents });
  };
  const metrics = createMetrics();
  const clock = manualClock(NOW_MS);
  const logger = silentLogger();
  // Nobody stops these: a sampler of an earlier test would judge the states of a later one by its own model,
  // and each that listens would keep a connection.
  const settings = { verifyIntervalMs: 0 };
  const deaf: Database = Object.create(db, {
    listen: { value: () => ({ stop: () => Promise.resolve() }) },
  }) as Database;
  const ingest = createIngest({
    db: deaf,
    log,
    clock,
    logger,
    metrics,
    loadModel,
    settings,
    ...more,
  });
  await ingest.start();
  const { handler, positions } = handlers[0]!;
  let next = (await positions(new Map([[0, { low: 0n, next: 0n }]]))).get(0)?.nextOffset ?? 0n;
  const deliverAt = (first: bigint, records: readonly TestRecord[], partition = 0) => {
    const batch: LogBatch = {
      partition,
      from: first,
      records: records.map((r, i) => ({
        ...{ ...r, offset: first + BigInt(i), appendedAtMs: NOW_MS },
      })),
    };
    return handler(batch);
  };
  return {
    ...{ ingest, metrics, clock, loaded, handler, deliverAt },
    /** The next records of the log. */
    deliver: async (...records: TestRecord[]) => {
      await deliverAt(next, records);
      next += BigInt(records.length);
    },
    events: async function (...events: DraftEvent[]) {
      await this.deliver(...events.map(recordOf));
    },
    metric: async (name: string) => {
      const { body } = await metrics.expose();
      const line = body.split('\n').find((l) => l.startsWith(name) && !l.startsWith('#'));
      return Number(line?.split(' ').at(-1));
    },
  };
}

/** What ingest read of the log, and what it says became of it: equal at any time (docs/operations.md). */
export async function accountOf(metrics: MetricsRegistry) {
  const { body } = await metrics.expose();
  const total = (pattern: RegExp) =>
    body
      .split('\n')
      .filter((line) => pattern.test(line))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  return {
    read: total(/^rec_events_accepted_total\{source="log"/),
    accounted: total(
      /^rec_(events_(applied|duplicate|erased)|dlq_events|erasures_applied)_total[ {]/,
    ),
  };
}

/**
 * Greatest relative difference between a stored state and the fold of the user's stored interactions of
 * known items in (time, event id) order; Infinity where a state is missing, superfluous or stale.
 */
export async function stateError(db: Queryable, model: TestVersion): Promise<number> {
  const histories = new Map<string, string[]>();
  for await (const batch of streamInteractions(db)) {
    for (const event of batch) {
      const list = histories.get(event.userId) ?? [];
      histories.set(event.userId, [...list, event.itemId]);
    }
  }
  const { rows } = await db.query<{ user_id: string; model_version: string; state: Uint8Array }>(
    'SELECT user_id, model_version, state FROM user_states',
  );
  if (rows.length !== histories.size) return Infinity;
  let worst = 0;
  for (const row of rows) {
    if (row.model_version !== model.version) return Infinity;
    const known = histories.get(row.user_id)!.filter((itemId) => model.vectors.has(itemId));
    const wanted = model.cell.fold(known.map((itemId) => model.vectors.get(itemId)!));
    const got = decodeState(row.state, model.cell);
    for (const part of ['x', 're', 'im'] as const) {
      worst = Math.max(worst, relativeError(got[part], wanted[part]));
    }
  }
  return worst;
}

/**
 * A database on which statement number `failAt` (from 1, inside transactions, of those that hold `text`)
 * fails as if the connection broke, or does what `onFault` says. With `transactional: false` nothing is rolled back: the
 * deliberately broken twin.
 */
export function faultyDatabase(
  db: Database,
  options: { failAt: number; transactional: boolean; text?: string; onFault?: () => void },
): Database & { readonly statements: number } {
  let statements = 0;
  const counted = (tx: Queryable): Queryable => ({
    query: (text, params) => {
      const counts = text.includes(options.text ?? '');
      if (counts) statements += 1;
      if (counts && statements === options.failAt) {
        options.onFault?.();
        return Promise.reject(new DatabaseUnavailable({ detail: 'the connection broke' }));
      }
      return tx.query(text, params);
    },
    execute: (script) => tx.execute(script),
  });
  return {
    kind: db.kind,
    description: db.description,
    get statements() {
      return statements;
    },
    query: (text, params) => db.query(text, params),
    execute: (script) => db.execute(script),
    transaction: (work) =>
      options.transactional ? db.transaction((tx) => work(counted(tx))) : work(counted(db)),
    listen: (channel, onMessage) => db.listen(channel, onMessage),
    unlimited: (statements) => db.unlimited(statements),
    hold: (lock, holder) => db.hold(lock, holder),
    close: () => db.close(),
  };
}
