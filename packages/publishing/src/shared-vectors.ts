/**
 * Lets a version whose item side is that of another to the bit (a query-only training) use the other's table
 * of item vectors, with its indexes and its revisions: nothing is embedded, nothing is indexed (decision 0029).
 *
 * Where the other's table or artifact is gone, the version gets a table of its own, as any other does.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Database } from '@nestrec/database';
import { NestrecError, PublishRefused } from '@nestrec/errors';
import { hashItemSide, type Artifact } from '@nestrec/registry';
import type { Logger } from '@nestrec/runtime';
import { getVersion, shareVectors, unshareVectors, type ModelVersion } from '@nestrec/storage';
import { findVectorTable, type VectorTable } from './vector-table.js';

export interface SharedTable extends VectorTable {
  /** The version that has it. */
  readonly vectorsVersion: string;
}

export interface SharingContext {
  readonly db: Database;
  readonly logger: Logger;
  /** Reads the artifact that the other version was published from. */
  readonly loadArtifact: (path: string) => Promise<Artifact>;
}

/**
 * Whose table the version would share: known before anything is read, so that it is not cleaned away meanwhile.
 * Null: nobody's.
 */
export async function sharedVectorsVersion(
  { db }: Pick<SharingContext, 'db'>,
  { manifest: { version, origin } }: Artifact,
  known: ModelVersion | null,
): Promise<string | null> {
  if (origin?.mode !== 'query_only' || origin.startedFrom === null) return null;
  if (known !== null && known.vectorsVersion !== version) return known.vectorsVersion;
  // It was served with vectors of its own: its states count their revisions.
  if (known !== null && known.status !== 'candidate') return null;
  return (await getVersion(db, origin.startedFrom))?.vectorsVersion ?? null;
}

/**
 * The table that the version shares from now on; null where it has to have its own.
 * @throws PublishRefused when the item sides differ, although the manifest says that they do not
 */
export async function openSharedTable(
  context: SharingContext,
  artifact: Artifact,
  known: ModelVersion | null,
): Promise<SharedTable | null> {
  const { db, logger } = context;
  const { version, origin } = artifact.manifest;
  const vectorsVersion = await sharedVectorsVersion(context, artifact, known);
  if (vectorsVersion === null) return null;
  const table = await findVectorTable(db, vectorsVersion);
  const other = table?.whole === true ? await readOther(context, origin!.startedFrom!) : null;
  if (table === null || other === null) {
    logger.info(
      { version, startedFrom: origin!.startedFrom },
      'the vectors that this version could share are gone: it gets its own',
    );
    await unshareVectors(db, version);
    return null;
  }
  if (hashItemSide(artifact) !== hashItemSide(other)) {
    throw new PublishRefused({
      detail: `version ${version} says that only its query side was trained, but its item side differs from that of ${origin!.startedFrom}; train it anew`,
    });
  }
  await shareVectors(db, version, vectorsVersion);
  return { ...table, vectorsVersion };
}

/** The artifact of the version that the training began with, as it was published; null where it is gone. */
async function readOther(
  { db, loadArtifact, logger }: SharingContext,
  version: string,
): Promise<Artifact | null> {
  const row = await getVersion(db, version);
  if (row === null) return null;
  try {
    const artifact = await loadArtifact(row.path);
    return sameFiles(artifact.manifest, row.manifest) ? artifact : null;
  } catch (error) {
    if (!(error instanceof NestrecError)) throw error;
    logger.warn({ err: error, version }, 'an artifact whose vectors could be shared is refused');
    return null;
  }
}

/** Whether two manifests list the same bytes, and say the same of items that are not in them. */
export function sameFiles(
  a: Pick<Artifact['manifest'], 'files' | 'coldItems'>,
  b: Pick<Artifact['manifest'], 'files' | 'coldItems'>,
): boolean {
  const hashes = (files: Artifact['manifest']['files']) =>
    files
      .map((file) => `${file.name} ${file.sha256}`)
      .sort()
      .join('\n');
  return hashes(a.files) === hashes(b.files) && isDeepStrictEqual(a.coldItems, b.coldItems);
}
