/**
 * What every command that touches data stands on: the database, migrated, and the folders beside it.
 *
 * DATABASE_URL selects PostgreSQL; otherwise the embedded database in the data folder, which one process
 * at a time may hold.
 */
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { migrate, openPglite, openPostgres, type Database } from '@nestrec/database';
import { InvalidConfig } from '@nestrec/errors';
import { createLogger, removeStaleTemporaries, type Logger } from '@nestrec/runtime';
import type { CliConfig } from './settings.js';

export interface DataFolders {
  readonly root: string;
  readonly database: string;
  readonly models: string;
  readonly checkpoints: string;
  readonly rejects: string;
  /** JSON of evaluation reports, a folder per version. */
  readonly reports: string;
}

export interface Platform {
  readonly config: CliConfig;
  readonly folders: DataFolders;
  readonly db: Database;
  readonly logger: Logger;
  close(): Promise<void>;
}

export function dataFolders(config: CliConfig): DataFolders {
  const root = resolve(config.dataDir);
  return {
    root,
    database: join(root, 'database'),
    models: join(root, 'models'),
    checkpoints: join(root, 'checkpoints'),
    rejects: join(root, 'rejects'),
    reports: join(root, 'reports'),
  };
}

export function cliLogger(config: CliConfig): Logger {
  return createLogger({ name: 'nestrec', level: config.logLevel });
}

const OLD_TEMPORARY_MS = 3_600_000;

/**
 * Opens and migrates the database, and clears what killed writers left.
 * @throws DataFolderInUse where another process holds the data folder, InvalidConfig where none can be made
 */
export async function openPlatform(config: CliConfig): Promise<Platform> {
  const folders = dataFolders(config);
  const logger = cliLogger(config);
  await makeRoot(folders.root);
  const db =
    config.databaseUrl === null
      ? await openPglite({ dataDir: folders.database })
      : await openPostgres({
          url: config.databaseUrl,
          logger,
          allowUnsafeDurability: config.allowUnsafeDurability,
        });
  try {
    await migrate(db);
    // With PostgreSQL another process may be training or saving beside this one: its files are young.
    const models = db.kind === 'postgres' ? OLD_TEMPORARY_MS : 0;
    await removeStaleTemporaries(folders.models, models);
    await removeStaleTemporaries(folders.checkpoints, OLD_TEMPORARY_MS);
  } catch (error) {
    await db.close();
    throw error;
  }
  return { config, folders, db, logger, close: () => db.close() };
}

async function makeRoot(root: string): Promise<void> {
  try {
    await mkdir(root, { recursive: true });
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? 'no reason given';
    const fault = {
      path: 'NESTREC_DATA_DIR',
      got: `a folder that cannot be made (${reason})`,
      want: 'a folder that this user may write, or the name of a new one',
    };
    throw new InvalidConfig({
      detail: `NESTREC_DATA_DIR is ${root}: ${fault.got}, wanted ${fault.want}.`,
      fields: [fault],
      cause: error,
    });
  }
}

/** Opens the platform for the length of `work`. */
export async function withPlatform<T>(
  config: CliConfig,
  work: (platform: Platform) => Promise<T>,
): Promise<T> {
  const platform = await openPlatform(config);
  try {
    return await work(platform);
  } finally {
    await platform.close();
  }
}
