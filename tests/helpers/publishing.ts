/** Publishing small artifacts and looking at the indexes that they got, for suites over one database. */
import type { Database } from '@nestrec/database';
import { publishVersion, type PublishOptions, type PublishResult } from '@nestrec/publishing';
import type { Artifact } from '@nestrec/registry';
import { silentLogger } from '@nestrec/runtime';
import { itemVectorsTable } from '@nestrec/storage';
import { tiersOf } from './tiers-of.js';

export interface IndexState {
  readonly name: string;
  readonly valid: boolean;
  readonly hnsw: boolean;
}

export interface TestPublishing {
  /** Serves sizes 4 and all there is, measured with few queries, whatever recall they find. */
  publish(artifact: Artifact, extra?: Partial<PublishOptions>): Promise<PublishResult>;
  /** The indexes of a version's vectors besides the primary key, by name. */
  indexesOf(version: string): Promise<IndexState[]>;
  namesOf(version: string): Promise<string[]>;
}

/** @param database the suite's database, asked for inside tests and hooks only */
export function publishingOn(database: () => Database): TestPublishing {
  const indexesOf = async (version: string) => {
    const { rows } = await database().query<{ name: string; valid: boolean; hnsw: boolean }>(
      `SELECT indexrelid::regclass::text AS name, indisvalid AS valid, amname = 'hnsw' AS hnsw
       FROM pg_index JOIN pg_class c ON c.oid = indexrelid JOIN pg_am a ON a.oid = relam
       WHERE indrelid = to_regclass($1) AND NOT indisprimary ORDER BY 1`,
      [itemVectorsTable(version)],
    );
    return rows;
  };
  return {
    publish: (artifact, extra = {}) =>
      publishVersion({
        ...{ db: database(), artifact, path: artifact.manifest.version, tiers: tiersOf(4, null) },
        ...{ logger: silentLogger(), recallQueries: 5, minRecall: 0, ...extra },
      }),
    indexesOf,
    namesOf: async (version) => (await indexesOf(version)).map(({ name }) => name),
  };
}
