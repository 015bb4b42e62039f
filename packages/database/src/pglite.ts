/**
 * The embedded database: PostgreSQL in WebAssembly, in this process, one connection.
 *
 * Statements queue on that connection, so transactions must be short. Committed data are in the files of
 * the data folder before `query` answers, so they survive kill -9; the WebAssembly build cannot fsync, so a
 * power cut may lose what the operating system had not written yet. Time limits on statements do not
 * work here (no timers inside).
 */
import { readdir, rename, rm } from 'node:fs/promises';
import { PGlite, type Results } from '@electric-sql/pglite';
import { vector } from '@electric-sql/pglite-pgvector';
import { DatabaseUnavailable, DatabaseUnsuitable, excerpt, NestrecError } from '@nestrec/errors';
import { lockDataFolder, type DataFolderLock } from './data-folder-lock.js';
import { quoteChannel } from './channel.js';
import { fileFaultText, mapDatabaseError } from './errors.js';
import { createHolds } from './holds.js';
import { hnswSettings, type HnswOptions } from './hnsw-settings.js';
import { createTransactionScope } from './transaction-scope.js';
import type { Database, Listening, Queryable, QueryResult, Row } from './types.js';
import { byteaText, encodeParameters, parserOf } from './values.js';

export interface PgliteOptions {
  /** Folder of the data; absent = in memory, gone at close. */
  readonly dataDir?: string;
  readonly hnsw?: HnswOptions;
}

/** What PGlite and its transactions have in common. */
interface Connection {
  query(text: string, params?: unknown[]): Promise<Results>;
  exec(script: string): Promise<unknown>;
}

function queryableOn(connection: Connection): Queryable {
  return {
    query: async <R extends Row>(text: string, params?: readonly unknown[]) => {
      const encoded = encodeParameters(params).map((value) =>
        value instanceof Uint8Array ? byteaText(value) : value,
      );
      try {
        return toResult<R>(await connection.query(text, encoded));
      } catch (error) {
        throw mapDatabaseError(error);
      }
    },
    execute: async (script) => {
      try {
        await connection.exec(script);
      } catch (error) {
        throw mapDatabaseError(error);
      }
    },
  };
}

function toResult<R extends Row>(results: Results): QueryResult<R> {
  const rows = results.rows as R[];
  return { rows, rowCount: results.fields.length > 0 ? rows.length : (results.affectedRows ?? 0) };
}

/** Replaces PGlite's own conversions, so that both adapters give and take the same values. */
function useOwnValues(pglite: PGlite): void {
  for (const oid of Object.keys(pglite.parsers))
    pglite.parsers[Number(oid)] = parserOf(Number(oid));
  for (const oid of Object.keys(pglite.serializers)) {
    pglite.serializers[Number(oid)] = (encoded: unknown) => encoded as string;
  }
}

/**
 * Opens, and at the first time creates, an embedded database with pgvector.
 * @throws DataFolderInUse when another process has the folder; DatabaseUnsuitable when the folder cannot
 * be used (rights, other files in it)
 */
export async function openPglite(options: PgliteOptions = {}): Promise<Database> {
  const { dataDir } = options;
  let lock: DataFolderLock | null = null;
  try {
    if (dataDir !== undefined) lock = await lockDataFolder(dataDir);
    if (dataDir !== undefined) await createDataFolder(dataDir);
    const pglite = await openConnection(dataDir, options.hnsw);
    return adapt(pglite, lock, await describe(pglite, dataDir));
  } catch (error) {
    await lock?.release();
    if (error instanceof NestrecError) throw error;
    throw new DatabaseUnsuitable({
      detail: `the embedded database in ${dataDir ?? 'memory'} could not be opened: ${fileFaultText(error)}`,
      cause: error,
    });
  }
}

/**
 * Makes the data folder if it is not there: aside, then renamed, because a folder whose creation was
 * killed half-way can neither be opened nor created again. Runs under the folder's lock.
 */
async function createDataFolder(dataDir: string): Promise<void> {
  const unfinished = `${dataDir}.creating`;
  await rm(unfinished, { recursive: true, force: true });
  const present: string[] = await readdir(dataDir).catch(() => []);
  if (present.includes('PG_VERSION')) return;
  if (present.length > 0) {
    throw new DatabaseUnsuitable({
      detail: `${dataDir} holds files that are not a database (${excerpt(present[0])}, ...), wanted an empty or a new folder`,
    });
  }
  await (await PGlite.create({ dataDir: unfinished })).close();
  await rename(unfinished, dataDir);
}

async function openConnection(dataDir: string | undefined, hnsw?: HnswOptions): Promise<PGlite> {
  const pglite: PGlite = await PGlite.create({
    ...(dataDir === undefined ? {} : { dataDir }),
    extensions: { vector },
  });
  useOwnValues(pglite);
  await pglite.exec(
    `SET TimeZone = 'UTC'; SET DateStyle = 'ISO, MDY'; SET IntervalStyle = 'postgres';`,
  );
  await pglite.exec('CREATE EXTENSION IF NOT EXISTS vector');
  await pglite.exec(hnswSettings(hnsw));
  return pglite;
}

async function describe(pglite: PGlite, dataDir: string | undefined): Promise<string> {
  const { rows } = await pglite.query<{ version: string; extension: string }>(
    `SELECT current_setting('server_version') AS version,
            (SELECT extversion FROM pg_extension WHERE extname = 'vector') AS extension`,
  );
  return `PGlite ${rows[0]?.version} + pgvector ${rows[0]?.extension} in ${dataDir ?? 'memory'}`;
}

function adapt(pglite: PGlite, lock: DataFolderLock | null, description: string): Database {
  const scope = createTransactionScope();
  const outside = queryableOn(pglite as unknown as Connection);
  const hold = createHolds();
  let closing: Promise<void> | null = null;
  const assertOpen = () => {
    scope.assertOutside();
    if (closing !== null) throw new DatabaseUnavailable({ detail: 'the database is closed' });
  };
  return {
    kind: 'pglite',
    description,
    query: async (text, params) => {
      assertOpen();
      return outside.query(text, params);
    },
    execute: async (script) => {
      assertOpen();
      return outside.execute(script);
    },
    transaction: async (work) => {
      assertOpen();
      let thrown: { error: unknown } | null = null;
      try {
        return await pglite.transaction((tx) =>
          scope.run(queryableOn(tx as unknown as Connection), work).catch((error: unknown) => {
            thrown = { error };
            throw error;
          }),
        );
      } catch (error) {
        // The work's own error passes unchanged; those of BEGIN and COMMIT are the driver's.
        if (thrown !== null) throw (thrown as { error: unknown }).error;
        throw mapDatabaseError(error);
      }
    },
    listen: (channel, onMessage) => {
      assertOpen();
      return listenOnPglite(pglite, channel, onMessage);
    },
    unlimited: async (statements) => {
      assertOpen();
      for (const statement of statements) await outside.query(statement);
    },
    hold: async (lock, holder) => {
      assertOpen();
      return hold(lock, holder);
    },
    close: () => {
      closing ??= pglite.close().finally(() => lock?.release());
      return closing;
    },
  };
}

function listenOnPglite(
  pglite: PGlite,
  channel: string,
  onMessage: (payload: string | null) => void,
): Listening {
  const name = quoteChannel(channel);
  let stopped = false;
  const hear = (payload: string | null) => {
    if (!stopped) onMessage(payload);
  };
  const begun = pglite.listen(name, hear);
  // A database that is closed before it began has nothing to say.
  begun.then(
    () => hear(null),
    () => undefined,
  );
  return {
    stop: async () => {
      stopped = true;
      const unlisten = await begun.catch(() => null);
      if (!pglite.closed) await unlisten?.();
    },
  };
}
