/** pg and PGlite behind one interface; migrations. */
export type {
  Database,
  Listening,
  Queryable,
  QueryOptions,
  QueryResult,
  Row,
  TransactionOptions,
} from './types.js';
export { openPglite, type PgliteOptions } from './pglite.js';
export { openPostgres, type PostgresOptions } from './postgres.js';
export type { HnswOptions } from './hnsw-settings.js';
export { compareVersions, judgeServer, type ServerFacts } from './postgres-checks.js';
export { migrate, migrationsFolder, readMigrations, type Migration } from './migrate.js';
export { sqlState } from './errors.js';
export { isVector, json, vector } from './values.js';
export {
  openRemoteDatabase,
  serveDatabase,
  type DatabaseChannel,
  type DatabaseServer,
} from './remote-database.js';
export { float32Bytes, float32FromBytes, parseVector, vectorText } from './vectors.js';
export { lockDataFolder, type DataFolderLock } from './data-folder-lock.js';
export { databaseSettings, type DatabaseConfig } from './settings.js';
export {
  createReadReplica,
  type ReadReplica,
  type ReadReplicaOptions,
  type ReplicaStatus,
} from './read-replica.js';
