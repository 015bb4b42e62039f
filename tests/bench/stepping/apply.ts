/**
 * Ingest on a PostgreSQL server of its own (durable, as in production): what applying batches of records
 * costs, by statement, in wall time, in processor time of this process and of the server.
 */
import { readdirSync, readFileSync } from 'node:fs';
import {
  migrate,
  openPostgres,
  vectorText,
  type Database,
  type Queryable,
} from '@nestrec/database';
import type { Manifest } from '@nestrec/contracts';
import type { EventLog, LogBatch, LogRecord, SubscribeOptions } from '@nestrec/event-log';
import { createIngest } from '@nestrec/ingest';
import { createRandom, type Random } from '@nestrec/random';
import { createMetrics, silentLogger, systemClock } from '@nestrec/runtime';
import { itemVectorsTable, registerVersion, swapPublished } from '@nestrec/storage';
import { startPostgres } from '../../helpers/postgres-server.js';
import { makeCatalogue, zipf, type Catalogue } from './workload.js';

const VERSION = 'bench';
const TOPIC = 'bench';
/** Of ticks in /proc/PID/stat; fixed on Linux. */
const TICK_MS = 10;

export interface ApplyCost {
  readonly events: number;
  readonly wallMs: number;
  /** Processor time of this process, and of all processes of the server. */
  readonly ownMs: number;
  readonly serverMs: number;
  /** Wall time by statement, greatest first. */
  readonly statements: readonly (readonly [string, number])[];
}

export interface Applier {
  /** Applies the batches one after another and says what they cost. */
  measure(batches: number, size: number): Promise<ApplyCost>;
}

/** A database with `measure` on it; with `publish` its states are stepped, without they are not. */
export async function withApplier<T>(
  shape: { dim: number; blocks: number; items: number; users: number; publish: boolean },
  use: (applier: Applier) => Promise<T>,
): Promise<T> {
  const server = await startPostgres({ shared_buffers: '256MB' });
  try {
    const db = await openPostgres({ url: server.url, max: 4 });
    try {
      await migrate(db);
      const catalogue = makeCatalogue(1, shape);
      if (shape.publish) await publish(db, catalogue);
      return await use(await createApplier(db, catalogue, shape.users));
    } finally {
      await db.close();
    }
  } finally {
    await server.stop();
  }
}

async function publish(db: Database, { cell, itemIds, vectors }: Catalogue): Promise<void> {
  const table = itemVectorsTable(VERSION);
  await db.execute(
    `CREATE TABLE ${table} (item_id entity_id PRIMARY KEY, embedding vector(${cell.dim}) NOT NULL)`,
  );
  for (let from = 0; from < itemIds.length; from += 500) {
    await db.query(
      `INSERT INTO ${table} SELECT id, v::vector FROM unnest($1::text[], $2::text[]) AS t(id, v)`,
      [itemIds.slice(from, from + 500), vectors.slice(from, from + 500).map(vectorText)],
    );
  }
  await registerVersion(db, { version: VERSION, manifest: {} as Manifest, path: 'unused' });
  await swapPublished(db, VERSION, null);
}

async function createApplier(db: Database, catalogue: Catalogue, users: number): Promise<Applier> {
  const { cell } = catalogue;
  const times = new Map<string, number>();
  const handlers: SubscribeOptions[] = [];
  const log: EventLog = {
    topic: TOPIC,
    append: () => Promise.reject(new Error('not used')),
    subscribe: (options) => {
      handlers.push(options);
      const running = {
        state: 'running',
        ...{ lastPollAtMs: 0, lastError: null, failures: 0, crashes: 0 },
      } as const;
      return Promise.resolve({ status: () => running, stop: () => Promise.resolve() });
    },
    offsets: () => Promise.resolve(new Map([[0, { low: 0n, next: 0n }]])),
    close: () => Promise.resolve(),
  };
  const ingest = createIngest({
    ...{ db: timed(db, times), log, clock: systemClock, logger: silentLogger() },
    metrics: createMetrics(),
    loadModel: (version) => Promise.resolve({ version, cell, replayEvents: cell.replayEvents }),
  });
  await ingest.start();
  const random = createRandom(7);
  const next = { offset: 0n, timestampMs: Date.now() - 86_400_000 };
  const serverPids = await pidsOfServer(db);
  return {
    measure: async (batches, size) => {
      const prepared = Array.from({ length: batches }, () =>
        makeBatch(random, catalogue.itemIds, users, size, next),
      );
      times.clear();
      const [own, server, start] = [
        process.cpuUsage(),
        serverCpuMs(serverPids()),
        performance.now(),
      ];
      for (const batch of prepared) await handlers[0]!.handler(batch);
      const wallMs = performance.now() - start;
      const used = process.cpuUsage(own);
      return {
        ...{ events: batches * size, wallMs, ownMs: (used.user + used.system) / 1_000 },
        serverMs: serverCpuMs(serverPids()) - server,
        statements: [...times].sort((a, b) => b[1] - a[1]),
      };
    },
  };
}

/** Events of users drawn alike, each newer than the one before. */
function makeBatch(
  random: Random,
  itemIds: readonly string[],
  users: number,
  size: number,
  next: { offset: bigint; timestampMs: number },
): LogBatch {
  const encoder = new TextEncoder();
  const from = next.offset;
  const records = Array.from({ length: size }, (): LogRecord => {
    const user_id = `user-${random.int(users)}`;
    next.timestampMs += 1;
    const event = {
      ...{
        schema_version: 1,
        event_id: `${Math.floor(random.uniform() * 1e9)}-${next.offset}`,
        user_id,
      },
      ...{ item_id: itemIds[zipf(random, itemIds.length)]!, type: 'view' },
      ...{ timestamp_ms: next.timestampMs, value: null },
    };
    const offset = next.offset++;
    const value = encoder.encode(JSON.stringify(event));
    return { key: user_id, value, offset, appendedAtMs: Date.now() };
  });
  return { partition: 0, from, records };
}

/** The same database; adds the wall time of each statement within transactions to `times`. */
function timed(db: Database, times: Map<string, number>): Database {
  const add = async <T>(name: string, work: Promise<T>): Promise<T> => {
    const start = performance.now();
    try {
      return await work;
    } finally {
      times.set(name, (times.get(name) ?? 0) + performance.now() - start);
    }
  };
  const name = (sql: string) => sql.replace(/\s+/g, ' ').trim().slice(0, 60);
  const within = (tx: Queryable): Queryable => ({
    query: (sql, params) => add(name(sql), tx.query(sql, params)),
    execute: (script) => add(name(script), tx.execute(script)),
  });
  return {
    ...{ kind: db.kind, description: db.description },
    query: db.query,
    execute: db.execute,
    close: db.close,
    listen: (channel, onMessage) => db.listen(channel, onMessage),
    unlimited: db.unlimited,
    hold: db.hold,
    transaction: async (work, options) => {
      const start = performance.now();
      let inside = 0;
      const result = await db.transaction(async (tx) => {
        const began = performance.now();
        const value = await work(within(tx));
        inside = performance.now() - began;
        return value;
      }, options);
      const around = performance.now() - start - inside;
      times.set('BEGIN, COMMIT', (times.get('BEGIN, COMMIT') ?? 0) + around);
      return result;
    },
  };
}

/** Lists the processes of the server that `db` is connected to: the main one and its children. */
async function pidsOfServer(db: Database): Promise<() => number[]> {
  const { rows } = await db.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  const main = Number(statOf(rows[0]!.pid)![1]);
  return () => [
    main,
    ...readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => Number(statOf(pid)?.[1]) === main),
  ];
}

/** Fields of /proc/PID/stat from the state on; null where there is no such process. */
function statOf(pid: number): string[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}

function serverCpuMs(pids: readonly number[]): number {
  const ticks = pids.map((pid) => {
    const stat = statOf(pid);
    return stat === null ? 0 : Number(stat[11]) + Number(stat[12]);
  });
  return TICK_MS * ticks.reduce((a, b) => a + b, 0);
}
