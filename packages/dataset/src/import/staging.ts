/**
 * The staging database of one import: a DuckDB in memory, with a limit past which it spills into a
 * temporary folder. It holds the rows while they are judged, sorted and numbered.
 *
 * Knows nothing of file formats. After `lockDown` no statement can reach another file or change a setting:
 * from then on the operator's `--where` text may run.
 */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { StagingFailed, NestrecError } from '@nestrec/errors';

export interface StagingOptions {
  readonly tempDir?: string;
  readonly memoryLimitMb?: number;
  readonly threads?: number;
}

export type Cell = string | number | bigint | boolean | null;

export interface Staging {
  /** Runs one statement for its effect. */
  run(sql: string, values?: readonly Cell[]): Promise<void>;
  /** All rows of a small result. */
  rows(sql: string, values?: readonly Cell[]): Promise<Cell[][]>;
  /** Rows of a result of any size, chunk by chunk, on a connection of its own. */
  stream(sql: string): AsyncIterable<Cell[][]>;
  /** Appends rows to a table of BIGINT and VARCHAR columns. */
  appender(table: string): Promise<RowAppender>;
  lockDown(): Promise<void>;
  close(): Promise<void>;
}

export interface RowAppender {
  append(...cells: (bigint | string | null)[]): void;
  close(): void;
}

const PREFIX = 'nestrec-import-';
const FLUSH_ROWS = 10_000;

/** Opens a fresh staging database; leftovers of imports whose process is gone are removed first. */
export async function openStaging(options: StagingOptions): Promise<Staging> {
  const parent = options.tempDir ?? tmpdir();
  await removeLeftovers(parent);
  const dir = await mkdtemp(join(parent, `${PREFIX}${process.pid}-`)).catch((error: unknown) => {
    throw stagingFailed(error);
  });
  const discard = () => rm(dir, { recursive: true, force: true });
  try {
    const instance = await DuckDBInstance.create(':memory:', {
      memory_limit: `${options.memoryLimitMb ?? 384}MiB`,
      threads: String(options.threads ?? 2),
      temp_directory: join(dir, 'spill'),
      autoinstall_known_extensions: 'false',
      autoload_known_extensions: 'false',
    });
    const connection = await instance.connect();
    await connection.run(`SET TimeZone = 'UTC'`);
    return makeStaging(instance, connection, discard);
  } catch (error) {
    await discard();
    throw stagingFailed(error);
  }
}

function makeStaging(
  instance: DuckDBInstance,
  connection: DuckDBConnection,
  discard: () => Promise<void>,
): Staging {
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw stagingFailed(error);
    }
  };
  return {
    run: (sql, values) =>
      guarded(async () => void (await connection.run(sql, values ? [...values] : undefined))),
    rows: (sql, values) =>
      guarded(async () => {
        const result = await connection.run(sql, values ? [...values] : undefined);
        return (await result.getRowsJS()) as Cell[][];
      }),
    async *stream(sql) {
      const own = await instance.connect();
      try {
        const result = await guarded(() => own.stream(sql));
        for (;;) {
          const chunk = await guarded(() => result.fetchChunk());
          if (chunk === null || chunk.rowCount === 0) return;
          yield chunk.getRows() as Cell[][];
        }
      } finally {
        own.closeSync();
      }
    },
    appender: (table) => guarded(() => makeAppender(connection, table)),
    async lockDown() {
      await guarded(() => connection.run('SET enable_external_access = false'));
      await guarded(() => connection.run('SET lock_configuration = true'));
    },
    async close() {
      connection.closeSync();
      instance.closeSync();
      await discard();
    },
  };
}

async function makeAppender(connection: DuckDBConnection, table: string): Promise<RowAppender> {
  const appender = await connection.createAppender(table);
  let rows = 0;
  const guarded = (work: () => void) => {
    try {
      work();
    } catch (error) {
      throw stagingFailed(error);
    }
  };
  return {
    append(...cells) {
      for (const cell of cells)
        if (cell === null) appender.appendNull();
        else if (typeof cell === 'bigint') appender.appendBigInt(cell);
        else appender.appendVarchar(cell);
      appender.endRow();
      if (++rows % FLUSH_ROWS === 0) guarded(() => appender.flushSync());
    },
    close: () => guarded(() => appender.closeSync()),
  };
}

/** Folders are named by process id, so that what a killed import left behind is known for sure. */
async function removeLeftovers(parent: string): Promise<void> {
  const names = await readdir(parent).catch(() => [] as string[]);
  for (const name of names) {
    const pid = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid)))
      await rm(join(parent, name), { recursive: true, force: true }).catch(() => undefined);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function stagingFailed(error: unknown): NestrecError {
  if (error instanceof NestrecError) return error;
  const message = (error as Error).message.split('\n')[0]!;
  return new StagingFailed({
    detail: `${message}. Free disk space, raise the memory limit, or name another temporary folder.`,
    cause: error,
  });
}

/** A name as an SQL identifier. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A text as an SQL literal. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
